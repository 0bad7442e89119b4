"""One Spark session for all tests until one fails: eight tasks at once, of which each may be tried four times."""

import os
import shutil
import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from databox.integrations.spark import register
from databox.sandbox import Sandbox
from tests.engines.spark.processes import kill_all
from tests.engines.spark.sessions import Sessions, program_of

# For Javas that run for a minute: most of their time goes into compiling what would make them quicker in an hour.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
HANGS = 450.0
"""Seconds after which a test hangs that has a session."""
HAS_FAILED, IS_HUNG = pytest.StashKey[bool](), pytest.StashKey[bool]()


def needs_java() -> None:
    """Skip the test where Spark cannot run."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs Java 17 or later, and there is none here (Debian: openjdk-17-jre-headless)")


@pytest.fixture(scope="session")
def sessions() -> Iterator[Sessions]:
    needs_java()
    sessions = Sessions()
    yield sessions
    sessions.end()


@pytest.fixture
def session(request: pytest.FixtureRequest, sessions: Sessions) -> Iterator[SparkSession]:
    """A local Spark, which dies when a test hangs: an exception alone does not get out of a call of it."""
    session = sessions.current()
    timer = threading.Timer(HANGS, end, [request.node, program_of(session)])
    timer.start()
    yield session
    timer.cancel()
    timer.join()
    if request.node.stash.get(HAS_FAILED, False):
        sessions.give_up()


def end(item: pytest.Item, program: int) -> None:
    """End what hangs."""
    item.stash[IS_HUNG] = True
    kill_all(program)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test has failed, and say that it hung."""
    report = yield
    if item.stash.get(IS_HUNG, False):
        report.sections.append(("It hung", f"It had a Spark for {HANGS:g} seconds, which was killed then."))
    item.stash[HAS_FAILED] = item.stash.get(HAS_FAILED, False) or report.failed
    return report


@pytest.fixture
def spark(session: SparkSession, box: Sandbox) -> SparkSession:
    register(session, box.api_key, box.url, requests_per_second=10)
    return session


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spark's own warnings are its own affair."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("default"))
