"""What a Spark job writes, how fast, and whether it may: decided at the driver, before a row is sent.

Nothing here needs Spark. Tasks may be tried again, doubled (speculation) or repeated (a restarted stream), and none of
them can know what another sent. With primary keys that does no harm; without, it is ruled out here.
"""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NoReturn, cast, get_args

import attrs

from databox import ConfigurationError, RateLimit, Verify

__all__ = ["Cluster", "Column", "Plan", "plan_of"]


_DOCUMENTED = RateLimit()
_OPTIONS = {
    "datasetid",
    "primarykeys",
    "parallelism",
    "allowduplicates",
    "verify",
    "verifytimeout",
    "patience",
    "reportpath",
}
_OF_SPARK = {"checkpointlocation", "queryname"}
_AT_REGISTER = {"apikey", "api_key", "baseurl", "base_url", "ratelimitstore", "rate_limit_store"}
_REMEDIES = {
    "array": "Make it text with to_json, or rows of their own with explode",
    "map": "Make it text with to_json",
    "struct": "Select its fields as columns (`struct.*`), or make it text with to_json",
    "variant": "Make it text with to_json",
    "binary": "Make it text with base64, or drop it",
}


@attrs.frozen
class Cluster:
    """Where the tasks run, as the session's configuration says."""

    local: bool
    """On this machine alone."""
    parallelism: int | None
    """Tasks that run at once at most; None where the configuration does not tell."""
    repeats: tuple[str, ...]
    """Settings by which Spark runs a task again without the task being able to know."""

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> "Cluster":
        """Return the cluster that a session's settings describe."""
        repeats = []
        master = settings.get("spark.master", "")  # which Spark Connect need not tell
        one_process = master == "local" or master.startswith("local[")
        if settings.get("spark.speculation", "false") == "true":
            repeats.append("spark.speculation=false")
        if not one_process and settings.get("spark.stage.maxConsecutiveAttempts", "4") != "1":
            repeats.append("spark.stage.maxConsecutiveAttempts=1")
        return cls(master.startswith("local"), _parallelism(settings), tuple(repeats))


@attrs.frozen
class Column:
    """A column of the frame, with Spark's name of its type, such as `decimal(10,2)`."""

    name: str
    type: str


@attrs.frozen
class Plan:
    """A write that may be done."""

    dataset_id: str
    primary_keys: tuple[str, ...]
    once: bool
    """Whether a task may run once only, as it would double its rows."""
    unseen: bool
    """Whether Spark may run a task again, or two of it at once, without the report being able to tell."""
    limit: RateLimit
    """What one task takes of the limit, or all of them through the store."""
    verify: Verify | None
    verify_timeout: float
    patience: float
    report_path: str | None

    @property
    def on_ambiguous(self) -> Literal["resend", "report"]:
        """What to do with a batch whose answer was lost."""
        return "report" if self.once else "resend"


def plan_of(
    options: Mapping[str, str],
    columns: Iterable[Column],
    cluster: Cluster,
    shared: RateLimit,
    *,
    overwrite: bool,
    streaming: bool,
) -> Plan:
    """Return what to do.

    Args:
        options: as given, in any case.
        columns: of the frame.
        cluster: where the tasks run.
        shared: what all tasks take of the limit together.
        overwrite: whether Spark wants what is there replaced.
        streaming: whether this is a micro-batch of a stream.

    Raises:
        ConfigurationError: it cannot be done, or could double or lose rows; the message says what to change.
    """
    given = {name.lower(): value for name, value in options.items()}
    _refuse_unknown(given)
    columns = tuple(columns)
    _refuse_columns(columns)
    if overwrite:
        _refuse(
            "The API cannot replace the rows of a dataset in one step. Use mode('append'), for a stream "
            "outputMode('append') or 'update', and for a fresh start call datasets.purge before."
        )
    if not given.get("datasetid"):
        _refuse("The option datasetId is missing: the id of the dataset to write to.")
    keys = tuple(key.strip() for key in given.get("primarykeys", "").split(",") if key.strip())
    for key in keys:
        if key not in {column.name for column in columns}:
            _refuse(f"primaryKeys names {key!r}, and the frame has no such column.")
    once = not keys and not _flag(given, "allowduplicates", "allowDuplicates")
    if once:
        _refuse_repeats(cluster, streaming=streaming)
    return Plan(
        dataset_id=given["datasetid"],
        primary_keys=keys,
        once=once,
        unseen=bool(cluster.repeats),
        limit=_limit(cluster, shared, given.get("parallelism")),
        verify=_verify(given.get("verify", "counts")),
        verify_timeout=_seconds("verifyTimeout", given.get("verifytimeout", "300")),
        patience=_seconds("patience", given.get("patience", "0")),
        report_path=given.get("reportpath"),
    )


def _refuse(reason: str) -> NoReturn:
    raise ConfigurationError(f"Nothing was sent. {reason}")


def _refuse_unknown(given: Mapping[str, str]) -> None:
    for name in given:
        if name in _AT_REGISTER:
            _refuse(f"{name!r} is no option, as options show in plans. Give it to databox.integrations.spark.register.")
        if name == "path":
            _refuse("A path was given to save(). Name the dataset with option('datasetId', …), and call save().")
        if name not in _OPTIONS | _OF_SPARK:
            _refuse(
                f"There is no option {name!r}. There are datasetId, primaryKeys, parallelism, allowDuplicates, verify, "
                "verifyTimeout, patience and reportPath."
            )


def _refuse_columns(columns: Iterable[Column]) -> None:
    """Refuse what a flat row of JSON cannot hold, and what would be lost in one."""
    seen: set[str] = set()
    for column in columns:
        if column.name in seen:
            _refuse(f"Two columns are named {column.name!r}, of which a row can hold one. Rename one.")
        seen.add(column.name)
        kind = column.type.partition("<")[0].partition("(")[0]
        if kind in _REMEDIES:
            _refuse(f"Column {column.name!r} is of type {column.type}, and a row must be flat. {_REMEDIES[kind]}.")
        if kind.startswith(("interval", "time")) and not kind.startswith("timestamp"):
            _refuse(f"Column {column.name!r} is of type {column.type}, which the API has not. Cast it to string.")


def _refuse_repeats(cluster: Cluster, *, streaming: bool) -> None:
    remedy = (
        "Name the dataset's keys with option('primaryKeys', 'id'), and rows that come again replace themselves; or "
        "accept doubled rows with option('allowDuplicates', 'true')"
    )
    if streaming:
        _refuse(f"A stream that is restarted repeats its last batch, which without keys is stored twice. {remedy}.")
    if cluster.repeats:
        _refuse(
            "Spark may run a task twice without telling it, and without keys its rows are stored twice. "
            f"{remedy}; or start the session with {' and '.join(cluster.repeats)}."
        )


def _limit(cluster: Cluster, shared: RateLimit, parallelism: str | None) -> RateLimit:
    """What a task takes: the whole limit together with others by a store, or a share of its own."""
    if isinstance(shared.store, Path) and not cluster.local:
        _refuse(
            "The rate_limit_store is a file, which holds for one machine, and this is a cluster. Give register() the "
            "redis:// address of a server that all executors reach, or no store, and each task takes a share."
        )
    if shared.store is not None:
        return shared
    tasks = cluster.parallelism if parallelism is None else _count("parallelism", parallelism)
    if tasks is None:
        _refuse(
            "The tasks share the limit of the key, and the configuration does not tell how many run at once. Say so "
            "with option('parallelism', 8), or give register() a rate_limit_store, a Redis server that all share."
        )
    if tasks > _DOCUMENTED.per_second:
        _refuse(
            f"{tasks} tasks at once cannot share {_DOCUMENTED.per_second} requests a second without one another's "
            "help. Give register() a rate_limit_store, a Redis server that all share; or make them fewer with "
            "coalesce(8), and say so with option('parallelism', 8)."
        )
    # Tasks know nothing of one another, and of each a request may arrive in the second after its own.
    share = min(shared.per_second // tasks, _DOCUMENTED.per_second // tasks - 1)
    return RateLimit(per_second=max(1, share), per_hour=_DOCUMENTED.per_hour // tasks, evenly=True)


def _parallelism(settings: Mapping[str, str]) -> int | None:
    """How many tasks run at once, where executors are of a fixed number and size."""
    instances, cores = settings.get("spark.executor.instances"), settings.get("spark.executor.cores")
    if instances is None or cores is None or settings.get("spark.dynamicAllocation.enabled", "false") == "true":
        return None
    return max(1, int(instances) * (int(cores) // int(settings.get("spark.task.cpus", "1"))))


def _verify(value: str) -> Verify | None:
    if value == "none":
        return None
    if value not in get_args(Verify):
        _refuse(f"verify must be counts, status or none, not {value!r}.")
    return cast("Verify", value)


def _flag(given: Mapping[str, str], name: str, shown: str) -> bool:
    value = given.get(name, "false").lower()
    if value not in ("true", "false"):
        _refuse(f"{shown} must be true or false, not {value!r}.")
    return bool(json.loads(value))


def _seconds(name: str, value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        _refuse(f"{name} must be 0 or more seconds, not {value!r}.")
    return seconds


def _count(name: str, value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        _refuse(f"{name} must be a whole number of at least 1, not {value!r}.")
    return int(value)
