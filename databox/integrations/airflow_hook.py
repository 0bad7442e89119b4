"""A hook for connections of the type `databox`."""

from typing import Any

import airflow
from airflow.sdk import BaseHook

from databox import AsyncDatabox, ConfigurationError, Databox, DataboxError, RateLimit

__all__ = ["DataboxHook"]


class DataboxHook(BaseHook):
    """A Databox client from an Airflow connection.

    The connection's password is the API key, its host the base URL (the service itself without one), and `extra` may
    name a `rate_limit_store`, by which all tasks of a machine, or of several, keep the limit of the key together.

    Args:
        databox_conn_id: the connection.
    """

    conn_name_attr = "databox_conn_id"
    default_conn_name = "databox_default"
    conn_type = "databox"
    hook_name = "Databox"

    def __init__(self, databox_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.databox_conn_id = databox_conn_id

    def get_conn(self) -> Databox:
        """Return a client, which the caller closes or uses in a `with` block.

        Raises:
            ConfigurationError: the connection has no key, or one that cannot be used.
        """
        return Databox(**self._options(self.get_connection(self.databox_conn_id)))

    async def get_async_conn(self) -> AsyncDatabox:
        """Return an asynchronous client, for triggers and `async` tasks; used in an `async with` block.

        Raises:
            ConfigurationError: the connection has no key, or one that cannot be used.
        """
        return AsyncDatabox(**self._options(await self.aget_connection(self.databox_conn_id)))

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the key is valid, and what to tell the person who asked."""
        try:
            with self.get_conn() as client:
                client.auth.validate_key()
        except (DataboxError, ValueError, TypeError) as error:
            return False, str(error)
        return True, "The API knows the key."

    def _options(self, connection: Any) -> dict[str, Any]:
        """The arguments of a client."""
        if not connection.password:  # never the key of the worker's environment instead
            raise ConfigurationError(f"The connection {self.databox_conn_id!r} has no password. Put the API key there.")
        return {
            "api_key": connection.password,
            "base_url": _base_url(connection),
            "rate_limit": RateLimit(store=connection.extra_dejson.get("rate_limit_store")),
            "app": f"airflow/{airflow.__version__}",
        }


def _base_url(connection: Any) -> str | None:
    """The address in a connection: whole in its host, or in parts, as a connection URI has them."""
    host: str | None = connection.host
    if not host:
        return None
    if "://" not in host:
        host = f"{connection.schema or 'https'}://{host}"
    return f"{host}:{connection.port}" if connection.port else host
