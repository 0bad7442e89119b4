"""The adapter of this package: reads a line of JSON for each case, and writes one.

python conformance/run.py -- python conformance/clients/python/adapter.py [--async]
"""

import asyncio
import base64
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs

from databox import (
    APIError,
    AsyncDatabox,
    AsyncPage,
    Databox,
    DataboxError,
    IngestError,
    Ingestion,
    InvalidRecordError,
    Page,
)
from databox.api import operations
from databox.api.answers import Listing
from databox.api.operations import Operation
from databox.errors import APIConnectionError, InvalidResponseError
from databox.ingest.batch import Batch, Batcher, body_of_one_request
from databox.ingest.encode import encode
from databox.ingest.patience import Patience
from databox.ingest.run import Answer, Run
from databox.ingest.settle import Shares, share_out, shares_by_status
from databox.limit.rate import RateLimit, RequestLog, Slot
from databox.models import ErrorDetail
from databox.report import BatchOutcome, IngestReport
from databox.secret import Secret
from databox.sending.redaction import Redactor
from databox.sending.retry import Attempts, Effect, effect_of, wait_before_retry
from databox.sending.verdict import Response, read

KEY = "conformance-key-0123456789"
ASYNCHRONOUS = "--async" in sys.argv[1:]
Json = dict[str, Any]


def operation_of(name: str, arguments: Json) -> Operation[Any]:
    """Return one of the 13 operations, built from the arguments of a case."""
    given = dict(arguments)
    if "records" in given:
        given["body"] = body_of_one_request(given.pop("records"))
        given["repeatable"] = False
    build = getattr(operations, name.replace(".", "_"))
    missing = {each: None for each in inspect.signature(build).parameters if each not in given}
    return build(**missing, **given)  # type: ignore[no-any-return]


def requests(given: Json) -> Json:
    made = operation_of(given["operation"], given["arguments"])
    query = {name: str(value) for name, value in made.params.items()}
    body = None if made.body is None else json.loads(made.body)
    return {"method": made.method, "path": made.path, "query": query, "body": body}


def received(given: Json) -> tuple[Operation[Any], Response]:
    made = operation_of(given["operation"], given["arguments"])
    return made, Response(given["status"], given["headers"], given["body"].encode())


def answers(given: Json) -> Json:
    made, response = received(given)
    try:
        result = read(made, response, Redactor(Secret(KEY)))
    except APIError as error:
        return {"error": told(error)}
    if isinstance(result, Listing):
        size = given["arguments"].get("page_size")
        seen = size * given["arguments"]["page"] if size else len(result.items)
        more = result.more_after(min(seen, result.total or seen), size)
        return {"result": {**plain(result), "more": more}}
    return {"result": plain(result)}


def errors(given: Json) -> Json:
    made, response = received(given)
    try:
        read(made, response, Redactor(Secret(KEY)))
    except APIError as error:
        return told(error)
    return {"kind": None}


def told(error: DataboxError) -> Json:
    fields = plain(vars(error)) if isinstance(error, APIError) else {}
    return {**fields, "kind": type(error).__name__, "message": str(error)}


def plain(value: Any) -> Any:
    """Return a model as values that JSON can express."""
    if isinstance(value, Page | AsyncPage):
        return {"items": plain(value.items), "total": value.total, "request_id": value.request_id}
    if attrs.has(type(value)):
        return {field.name: plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value


def retry(given: Json) -> Json:
    failure = failed(given["failure"])
    wait = wait_before_retry(
        failure,
        attempt=given["attempt"],
        max_retries=given["max_retries"],
        repeatable=given["repeatable"],
        randomness=lambda low, high: low + (high - low) * given["random"],
    )
    return {"effect": effect_of(failure).value, "retry": wait is not None, "wait": wait}


def failed(how: Json) -> APIError:
    """Return the error that a failure of this kind raises."""
    about = {"method": "POST", "path": "/v1/datasets/d/data"}
    if "connection" in how:
        sent, retryable = how["connection"] == "lost", how["connection"] != "certificate"
        return APIConnectionError("", request_sent=sent, retryable=retryable, **about)
    if "unreadable" in how:
        return InvalidResponseError("", status_code=how["unreadable"], **about)
    entries = [{"code": how["code"], "message": "m"}] if "code" in how else []
    headers = {"retry-after": str(how["retry_after"])} if "retry_after" in how else {}
    body = json.dumps({"requestId": "r", "status": "error", "errors": entries}).encode()
    try:
        read(operations.datasets_purge("d"), Response(how["status"], headers, body), Redactor(Secret(KEY)))
    except APIError as error:
        return error
    raise ValueError(f"{how} is not a failure")


def limits(given: Json) -> Json:
    log, limit = RequestLog(), RateLimit(given["per_second"], given["per_hour"])
    slots: list[Slot] = []
    for event in given["events"]:
        if "pause" in event:
            log.pause(event["at"], event["pause"])
        elif "leaves" in event:
            log.correct(slots[event["leaves"]], event["at"])
        else:
            slots.append(log.reserve(event["at"], limit))
    return {"sent_at": [slot.at for slot in slots]}


def batches(given: Json) -> Json:
    batcher = Batcher(given["batch_size"], given["max_batch_bytes"])
    rows = [json.loads(each["json"]) for each in given["rows"] for _ in range(each.get("times", 1))]
    made: list[Batch | None] = []
    invalid = []
    for index, row in enumerate(rows):
        try:
            made.append(batcher.add(index, row))
        except InvalidRecordError:
            invalid.append(index)
    made.append(batcher.flush())
    return {"batches": [[b.first_row, len(b.rows), len(b.body)] for b in made if b], "invalid": invalid}


VALUES: dict[str, Callable[[Any], Any]] = {
    "$int": int,
    "$decimal": Decimal,
    "$float": float,
    "$date": date.fromisoformat,
    "$datetime": datetime.fromisoformat,
    "$object": dict,
    "$list": list,
    "$bytes": base64.b64decode,
    "$seconds": lambda seconds: timedelta(seconds=seconds),
    "$surrogate": lambda code: chr(int(code, 16)),
}


def value_of(value: Any) -> Any:
    if isinstance(value, dict) and len(value) == 1:
        ((tag, inner),) = value.items()
        return VALUES[tag](inner) if tag in VALUES else value
    return value


def encoding(given: Json) -> Json:
    try:
        data, _ = encode({name: value_of(value) for name, value in given["columns"]}, 0)
    except InvalidRecordError as error:
        return {"error": {"column": error.column, "message": str(error)}}
    return {"json": data.decode()}


def keys(given: Json) -> Json:
    first, second = (encode({"key": value_of(given[name])}, 0, ["key"])[1] for name in ("first", "second"))
    return {"same": first == second}


def order(given: Json) -> Json:
    run, started = Run(given["concurrency"]), []
    waiting = [Batch((n,), (b"{}",), tuple(key.encode() for key in keys)) for n, keys in enumerate(given["batches"])]
    numbers = [run.cut(batch) for batch in waiting]
    next_ = 0
    for answered in [None, *given["answers"]]:
        if answered is not None:
            run.answered(answered, Answer(ingestion_id="i"))
        now = []
        while next_ < len(waiting) and run.may_go(waiting[next_]):
            run.sending(numbers[next_])
            now.append(numbers[next_])
            next_ += 1
        started.append(now)
    return {"started": started}


def patience(given: Json) -> Json:
    decides = Patience(given["patience"], given["concurrency"], resend=given["resend"])
    attempts: dict[int, Attempts] = {}
    turns, kept = [], []
    for event in given["events"]:
        at, number = event["at"], event["batch"]
        mine = attempts.setdefault(number, Attempts())
        if "asks" in event:
            turn = decides.turn(number, at)
            turns.append("stop" if turn is None else "wait" if turn else "go")
            mine.started_at = mine.started_at if turn != 0 else at
        elif "passes" in event:
            decides.passed(number, mine, at)
        else:
            error = failed(event["fails"])
            mine.open = mine.open or effect_of(error) is Effect.OPEN
            mine.failed_at = at if mine.failed_at is None else mine.failed_at
            kept.append(decides.keeps(number, error, mine, at))
    return {"turns": turns, "kept": kept}


def verification(given: Json) -> Json:
    rows = given["rows"]
    if given["mode"] == "status":
        shares = shares_by_status(given["status"], rows) or Shares(unverified=rows)
    else:
        told = dict(given["ingestion"])
        entries = tuple(ErrorDetail(**entry) for entry in told.pop("errors", ()))
        shares = share_out(Ingestion(id="i", errors=entries, **told), rows)
    return {"settled": not shares.unverified, **attrs.asdict(shares)}


def report(given: Json) -> Json:
    outcomes = [BatchOutcome(index=n, first_row=n, **each) for n, each in enumerate(given["batches"])]
    complete = given.get("complete", True)
    made = IngestReport.of(outcomes, verify=given["verify"], requests=0, seconds=0.0, complete=complete)
    return shown(made)


def shown(made: IngestReport) -> Json:
    fields = {field.name: getattr(made, field.name) for field in attrs.fields(IngestReport) if field.name != "batches"}
    return {**fields, "ok": made.ok}


def calls(given: Json) -> Json:
    group, _, name = given["operation"].partition(".")
    options: Json = {"max_retries": given["max_retries"], "rate_limit": None, "timeout": given.get("timeout", 30.0)}

    first, rest = arguments_of(given)

    async def main() -> Any:
        async with AsyncDatabox(KEY, given["base_url"], **options) as client:
            return await getattr(getattr(client, group), name)(*first, **rest)

    try:
        if ASYNCHRONOUS:
            return {"result": plain(asyncio.run(main()))}
        with Databox(KEY, given["base_url"], **options) as client:
            return {"result": plain(getattr(getattr(client, group), name)(*first, **rest))}
    except APIError as error:
        return {"error": told(error)}
    except (TypeError, ValueError) as error:
        return {"error": {"kind": "refused", "message": str(error)}}


def arguments_of(given: Json) -> tuple[list[Any], Json]:
    """Return the positional arguments of the method, and its keyword arguments."""
    arguments = dict(given["arguments"])
    by_name = {"page_size", "primary_keys", "timezone", "data_source"}
    if given["operation"] == "datasets.create":
        arguments["data_source"] = arguments.pop("data_source_id")
    if given["operation"] == "data_sources.create":
        by_name.add("account_id")
    first = [value for name, value in arguments.items() if name not in by_name]
    return first, {name: value for name, value in arguments.items() if name in by_name}


CLIENT_OPTIONS = ("max_retries", "timeout", "rate_limit")


def ingest(given: Json) -> Json:
    options = {"concurrency": 1, **given["options"], "primary_keys": given["primary_keys"]}
    about_client = {name: options.pop(name) for name in CLIENT_OPTIONS if name in options}
    if not about_client.pop("rate_limit", False):
        about_client["rate_limit"] = None
    try:
        report = ingested(given["base_url"], source(given), options, about_client)
    except IngestError as error:
        return {**shown_run(error.report), "error": told(error)} if error.__cause__ else shown_run(error.report)
    except DataboxError as error:
        return {"error": told(error)}
    return shown_run(report)


def source(given: Json) -> Iterator[Json]:
    """Yield the rows of a case, and raise an error after some of them if the case says so."""
    fails = given.get("source_fails_after")
    for place, row in enumerate(given["rows"]):
        if place == fails:
            raise RuntimeError("the source failed")
        yield {name: value_of(value) for name, value in row.items()}
    if fails == len(given["rows"]):
        raise RuntimeError("the source failed")


def ingested(url: str, rows: Iterator[Json], options: Json, about_client: Json) -> IngestReport:
    if not ASYNCHRONOUS:
        with Databox(KEY, url, **about_client) as client:
            return client.datasets.ingest("dataset", rows, **options)

    async def main() -> IngestReport:
        async with AsyncDatabox(KEY, url, **about_client) as client:
            return await client.datasets.ingest("dataset", rows, **options)

    return asyncio.run(main())


def shown_run(made: IngestReport) -> Json:
    entries = [[batch.first_row, batch.rows, batch.outcome] for batch in made.batches]
    errors = [str(batch.error) for batch in made.batches if batch.error]
    return {"report": shown(made), "entries": entries, "errors": errors}


Area = Callable[[Json], Json]
DECISIONS: tuple[Area, ...] = (
    requests,
    answers,
    errors,
    retry,
    limits,
    batches,
    encoding,
    keys,
    order,
    patience,
    verification,
    report,
)
AREAS: dict[str, Area] = {each.__name__: each for each in (*DECISIONS, calls)}
AREAS |= dict.fromkeys(("ingest", "recovery", "wire", "pace", "files"), ingest)


def main() -> None:
    """Answer one line after another until the input ends."""
    for line in sys.stdin:
        question = json.loads(line)
        answer: Json = {"id": question["id"]}
        area = AREAS.get(question["area"])
        if area is None:
            answer["unsupported"] = True
        else:
            try:
                answer["result"] = area(question["input"])
            except Exception as error:  # noqa: BLE001 - the runner shows it and continues
                answer["error"] = f"{type(error).__name__}: {error}"
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
