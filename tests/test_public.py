"""The public interface: complete, typed, and the same in both clients."""

import difflib
import inspect
import pickle
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import attrs
import pytest

import databox
from databox import AsyncDatabox, Databox, errors, models
from tools.public import SNAPSHOT, surface

EXPECTED_TREE = {
    "ConfigurationError": "DataboxError",
    "InvalidRecordError": "DataboxError",
    "APIError": "DataboxError",
    "APIConnectionError": "APIError",
    "APITimeoutError": "APIConnectionError",
    "InvalidResponseError": "APIError",
    "APIStatusError": "APIError",
    "BadRequestError": "APIStatusError",
    "AuthenticationError": "APIStatusError",
    "PermissionDeniedError": "APIStatusError",
    "NotFoundError": "APIStatusError",
    "ConflictError": "APIStatusError",
    "RequestTooLargeError": "APIStatusError",
    "RateLimitError": "APIStatusError",
    "ServerError": "APIStatusError",
    "IngestError": "DataboxError",
    "IngestionTimeoutError": "DataboxError",
}


def test_every_name_is_there_once() -> None:
    assert len(databox.__all__) == len(set(databox.__all__))
    assert all(hasattr(databox, name) for name in databox.__all__)


@pytest.mark.parametrize("module", [errors, models])
def test_every_public_name_of_the_vocabulary_is_exported(module: ModuleType) -> None:
    assert set(module.__all__) - {"Model"} <= set(databox.__all__)


def test_nothing_else_is_public() -> None:
    public = {
        name for name, value in vars(databox).items() if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert (public - {"VERSION"}) | set(databox._LATER) == set(databox.__all__) - {"__version__"}


def test_only_names_that_exist_can_be_asked_for() -> None:
    with pytest.raises(AttributeError, match="Databix"):
        getattr(databox, "Databix")  # noqa: B009 - as a program with a mistake in it does


def test_the_error_tree() -> None:
    for name, parent in EXPECTED_TREE.items():
        assert getattr(databox, parent) in getattr(databox, name).__bases__
    assert issubclass(databox.InvalidRecordError, ValueError)
    assert issubclass(databox.APITimeoutError, TimeoutError)
    assert issubclass(databox.IngestionTimeoutError, TimeoutError)


ERRORS = [
    databox.ConfigurationError("m"),
    databox.InvalidRecordError("m", index=3, column="c"),
    databox.APIConnectionError("m", method="GET", path="/", request_sent=True),
    databox.APITimeoutError("m", method="GET", path="/", request_sent=False),
    databox.InvalidResponseError("m", method="GET", path="/", status_code=200, request_id="r"),
    databox.RateLimitError(
        "m", method="GET", path="/", status_code=429, errors=[databox.ErrorDetail(code="c")], retry_after=1.0
    ),
    databox.IngestError("m", report=databox.IngestReport.of([], verify=None, requests=0, seconds=0.0)),
    databox.IngestionTimeoutError("m", ingestion=databox.Ingestion(id="i")),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_pickle_whole(error: databox.DataboxError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args, str(again), vars(again)) == (type(error), ("m",), "m", vars(error))


MODELS = [value for value in vars(models).values() if attrs.has(value) and value.__module__ == models.__name__]


@pytest.mark.parametrize("model", MODELS)
def test_models_are_frozen(model: Any) -> None:
    made = model(**{field.name: 1 for field in attrs.fields(model) if field.default is attrs.NOTHING})
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(made, attrs.fields(model)[0].name, 2)
    assert pickle.loads(pickle.dumps(made)) == made


def methods(client: type) -> Iterator[tuple[str, Any]]:
    """Return the public methods of a client and its groups, by dotted name."""
    parts = {"": client}
    made = client("a-key-of-sixteen-or-more")
    for group in ("accounts", "auth", "data_sources", "datasets"):
        parts[group + "."] = type(getattr(made, group))
    for prefix, part in parts.items():
        for name, value in inspect.getmembers(part, inspect.isfunction):
            if not name.startswith("_"):
                yield prefix + name, value


def test_both_clients_have_the_same_methods_with_the_same_arguments() -> None:
    sync = dict(methods(Databox))
    asynchronous = dict(methods(AsyncDatabox))
    assert set(sync) == {name.replace("aclose", "close") for name in asynchronous}
    for name, method in asynchronous.items():
        twin = sync[name.replace("aclose", "close")]
        assert list(inspect.signature(method).parameters) == list(inspect.signature(twin).parameters)
        assert inspect.iscoroutinefunction(method) is (name != "with_options")
        assert not inspect.iscoroutinefunction(twin)


@pytest.mark.parametrize("client", [Databox, AsyncDatabox])
def test_every_method_says_what_the_caller_gets(client: type) -> None:
    for name, method in methods(client):
        first = (inspect.getdoc(method) or "").partition("\n")[0]
        assert first.endswith((".", ").")), name
        parameters = [p for p in inspect.signature(method).parameters if p != "self"]
        undocumented = [p for p in parameters if f"{p}:" not in method.__doc__ and name != "with_options"]
        assert not undocumented, (name, undocumented)


def test_the_public_surface_is_what_the_snapshot_says() -> None:
    """A name or signature that is removed or changed breaks programs, so the CHANGELOG must say so."""
    before, now = SNAPSHOT.read_text("utf-8").splitlines(), surface().splitlines()
    changes = "\n".join(difflib.unified_diff(before, now, "tests/public.txt", "databox", lineterm="", n=1))
    assert not changes, f"The public surface has changed. If that is meant, run `make public`.\n{changes}"


@pytest.mark.slow
def test_the_clients_are_derived_from_one_source(capsys: pytest.CaptureFixture[str]) -> None:
    from tools.unasync import SOURCE, derive, derived_files

    for path, text in derived_files().items():
        assert path.read_text("utf-8") == text
    assert "await" not in derive((SOURCE / "transport.py").read_text("utf-8"))
