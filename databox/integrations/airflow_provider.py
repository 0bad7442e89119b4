"""What Airflow asks of a provider, apart from the rest so that it can ask while it starts."""

from typing import Any

from databox import __version__

__all__ = ["get_provider_info"]


def get_provider_info() -> dict[str, Any]:
    """Return what this distribution adds to Airflow."""
    return {
        "package-name": "databox-sdk",
        "name": "Databox",
        "description": "Rows into Databox datasets.",
        "versions": [__version__],
        "connection-types": [
            {
                "connection-type": "databox",
                "hook-class-name": "databox.integrations.airflow.DataboxHook",
                "hook-name": "Databox",
                "ui-field-behaviour": {
                    "hidden-fields": ["login", "schema", "port"],
                    "relabeling": {"password": "API key", "host": "Base URL"},
                    "placeholders": {"host": "https://api.databox.com"},
                },
            }
        ],
    }
