"""dlt keeps to a directory of the test, and its own warnings are its own affair."""

import logging
from collections.abc import Iterator
from pathlib import Path

import dlt
import pytest

from databox import DataSource
from databox.integrations.dlt import databox_destination
from databox.sandbox import Sandbox


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let dlt warn."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's pipelines and configuration out of the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")  # dlt asks Airflow where it finds it


@pytest.fixture
def configured(box: Sandbox, source: DataSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration as dlt finds it."""
    monkeypatch.setenv("DESTINATION__DATABOX__API_KEY", box.api_key)
    monkeypatch.setenv("DESTINATION__DATABOX__BASE_URL", box.url)
    monkeypatch.setenv("DESTINATION__DATABOX__DATA_SOURCE_ID", str(source.id))
    monkeypatch.setenv("DESTINATION__DATABOX__REQUESTS_PER_SECOND", "1000")  # this sandbox has no limit


@pytest.fixture
def pipeline(configured: None) -> dlt.Pipeline:
    return dlt.pipeline("test", destination=databox_destination())


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What dlt logs."""
    words: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: words.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("dlt")
    logger.addHandler(handler)
    yield words
    logger.removeHandler(handler)
