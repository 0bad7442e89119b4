"""What a job may do is decided without Spark, for clusters that no test has."""

import re
from typing import Any

import pytest

from databox import ConfigurationError, RateLimit
from databox.integrations import REQUESTS_PER_SECOND
from databox.integrations.spark_plan import Cluster, Column, Plan, plan_of

ID = [Column("id", "bigint"), Column("amount", "double")]
SAFE = {"spark.master": "yarn", "spark.stage.maxConsecutiveAttempts": "1"}


def plan(settings: dict[str, str], *, keys: str = "id", **changes: Any) -> Plan:
    options = {"datasetId": "d", "primaryKeys": keys} | changes.pop("options", {})
    shared = changes.pop("shared", RateLimit(per_second=REQUESTS_PER_SECOND, evenly=True))
    arguments: dict[str, Any] = {"overwrite": False, "streaming": False} | changes
    return plan_of(options, arguments.pop("columns", ID), Cluster.of(settings), shared, **arguments)


@pytest.mark.parametrize(
    ("tasks", "per_second", "per_hour"),
    [(1, 9, 10_000), (2, 4, 5_000), (3, 2, 3_333), (5, 1, 2_000), (8, 1, 1_250), (10, 1, 1_000)],
)
def test_tasks_of_a_cluster_share_the_limit(tasks: int, per_second: int, per_hour: int) -> None:
    limit = plan(SAFE, options={"parallelism": str(tasks)}).limit
    assert limit == RateLimit(per_second=per_second, per_hour=per_hour, evenly=True)
    assert limit.per_second * tasks <= 10
    assert limit.per_hour * tasks <= 10_000


def test_more_tasks_than_requests_need_a_store() -> None:
    with pytest.raises(ConfigurationError, match="rate_limit_store"):
        plan(SAFE, options={"parallelism": "11"})
    shared = RateLimit(per_second=5, store="redis://limits")
    assert plan(SAFE, options={"parallelism": "11"}, shared=shared).limit is shared


def test_a_file_is_no_store_for_a_cluster() -> None:
    shared = RateLimit(store="limit")
    with pytest.raises(ConfigurationError, match="one machine"):
        plan(SAFE, shared=shared)
    assert plan({"spark.master": "local[4]"}, shared=shared).limit is shared


@pytest.mark.parametrize(
    ("settings", "tasks"),
    [
        ({"spark.executor.instances": "4", "spark.executor.cores": "2"}, 8),
        ({"spark.executor.instances": "4", "spark.executor.cores": "2", "spark.task.cpus": "2"}, 4),
        ({"spark.executor.instances": "4"}, None),
        (
            {
                "spark.executor.instances": "4",
                "spark.executor.cores": "2",
                "spark.dynamicAllocation.enabled": "true",
            },
            None,
        ),
        ({}, None),
    ],
)
def test_how_many_tasks_run_at_once_is_known_or_asked(settings: dict[str, str], tasks: int | None) -> None:
    assert Cluster.of(SAFE | settings).parallelism == tasks
    if tasks is None:
        with pytest.raises(ConfigurationError, match="parallelism"):
            plan(SAFE | settings)


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"spark.master": "yarn"}, "spark.stage.maxConsecutiveAttempts=1"),
        ({"spark.master": "local-cluster[2,1,1024]"}, "spark.stage.maxConsecutiveAttempts=1"),
        ({}, "spark.stage.maxConsecutiveAttempts=1"),
        (SAFE | {"spark.speculation": "true"}, "spark.speculation=false"),
        ({"spark.master": "local[4]", "spark.speculation": "true"}, "spark.speculation=false"),
    ],
)
def test_rows_without_keys_are_refused_where_a_task_may_run_twice(settings: dict[str, str], remedy: str) -> None:
    options = {"parallelism": "4"}
    with pytest.raises(ConfigurationError, match=remedy):
        plan(settings, keys="", options=options)
    assert not plan(settings, options=options).once
    asked = plan(settings, keys="", options=options | {"allowDuplicates": "true"})
    assert (asked.once, asked.on_ambiguous) == (False, "resend")


def test_rows_without_keys_are_sent_once_where_that_is_sure() -> None:
    sure = plan(SAFE, keys="", options={"parallelism": "4"})
    assert (sure.once, sure.on_ambiguous) == (True, "report")


def test_a_stream_needs_keys() -> None:
    with pytest.raises(ConfigurationError, match="restarted"):
        plan(SAFE, keys="", streaming=True, options={"parallelism": "4"})
    assert plan(SAFE, streaming=True, options={"parallelism": "4"}).primary_keys == ("id",)


@pytest.mark.parametrize(
    "kind",
    [
        "array<int>",
        "map<string,int>",
        "struct<a:int>",
        "variant",
        "binary",
        "interval day to second",
        "interval year to month",
        "time(6)",
    ],
)
def test_columns_that_a_row_cannot_hold_are_refused(kind: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(kind)):
        plan(SAFE, columns=[*ID, Column("odd", kind)])


@pytest.mark.parametrize(
    "kind", ["timestamp", "timestamp_ntz", "date", "decimal(10,2)", "varchar(3)", "string", "boolean", "void"]
)
def test_plain_columns_are_taken(kind: str) -> None:
    assert plan(SAFE, columns=[*ID, Column("odd", kind)], options={"parallelism": "1"}).dataset_id == "d"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"verify": "perhaps", "parallelism": "4"}, "counts, status or none"),
        ({"verifyTimeout": "soon", "parallelism": "4"}, "verifyTimeout must be 0 or more seconds"),
        ({"verifyTimeout": "-1", "parallelism": "4"}, "verifyTimeout must be 0 or more seconds"),
        ({"verifyTimeout": "inf", "parallelism": "4"}, "verifyTimeout must be 0 or more seconds"),
        ({"parallelism": "0"}, "parallelism"),
        ({"parallelism": "many"}, "parallelism"),
        ({"allowDuplicates": "yes"}, "allowDuplicates"),
        ({"datasetId": ""}, "datasetId"),
        ({"path": "/d"}, "save"),
        ({"primaryKeys": "id, when"}, "when"),
        ({"rateLimitStore": "redis://:password@limits"}, "register"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as failure:
        plan(SAFE, options=options, keys="" if "allowDuplicates" in options else "id")
    assert "Nothing was sent" in str(failure.value)
    assert "password" not in str(failure.value)
