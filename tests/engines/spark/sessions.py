"""The local Spark session that tests share, and another one after a test that left it in no known state."""

import logging
import os
import sys

from pyspark import SparkContext
from pyspark.sql import SparkSession

from tests.engines.spark.processes import kill_all


def program_of(session: SparkSession) -> int:
    """Return the process below which everything of a session runs."""
    gateway = session.sparkContext._gateway
    assert gateway is not None
    return int(gateway.proc.pid)


class Sessions:
    """Starting a session takes longer than most tests, so there is one until it is given up."""

    def __init__(self) -> None:
        self._session: SparkSession | None = None

    def current(self) -> SparkSession:
        """Return the session."""
        if self._session is None:
            self.give_up()  # what is left of one that did not start
            os.environ["PYSPARK_PYTHON"] = sys.executable
            self._session = (
                SparkSession.builder.master("local[8,4]")
                .config("spark.ui.enabled", "false")
                .config("spark.driver.host", "127.0.0.1")
                .config("spark.driver.bindAddress", "127.0.0.1")
                .config("spark.sql.shuffle.partitions", "2")
                .config("spark.python.worker.reuse", "false")  # a process for each task, to be killed alone
                .config("spark.sql.session.timeZone", "UTC")
                .getOrCreate()
            )
            self._session.sparkContext.setLogLevel("OFF")
        return self._session

    def give_up(self) -> None:
        """Kill it, since it may hang, with whatever it has under way; the next test gets another."""
        self._session = None
        gateway = SparkContext._gateway
        if gateway is not None:
            kill_all(gateway.proc.pid)
            gateway.proc.wait()
        SparkContext._gateway = SparkContext._jvm = SparkContext._active_spark_context = None
        SparkSession._instantiatedSession = SparkSession._activeSession = None

    def end(self) -> None:
        """Stop it."""
        if self._session is not None:
            self._session.stop()
            logging.getLogger("py4j").setLevel(logging.ERROR)  # it says goodbye when the streams are closed
