"""Recorded answers: one JSON file each, named after the step of the walk that requests it."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from jsonschema import Draft202012Validator

from tools.spec.project import Project

__all__ = ["ABSENT", "PROVENANCES", "RECORDINGS", "Message", "Recording", "RecordingError", "read", "read_all", "write"]

RECORDINGS = Project().root / "tests" / "contract" / "recordings"
"""A folder for each provenance."""

PROVENANCES = ("documentation", "vendor-test-data", "live")
"""Provenances that are evidence about the real service."""

ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "ABSENT"})()
"""Stands for a body that is not JSON; null is JSON."""


class RecordingError(Exception):
    """A file that is not a recording; the message says what is wrong with it."""


@attrs.frozen
class Message:
    """The common parts of a request and an answer."""

    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """By lower-case name; those that say something about the API."""
    body: Any = ABSENT
    """The JSON."""
    text: str | None = None
    """The body if it is not JSON."""

    @property
    def content(self) -> bytes:
        """The body as sent over the wire."""
        if self.body is ABSENT:
            return (self.text or "").encode()
        return json.dumps(self.body, ensure_ascii=False).encode()

    @property
    def content_type(self) -> str:
        """The declared content type of the body."""
        return self.headers.get("content-type", "")


@attrs.frozen
class Recording:
    """A request to the API, and its answer."""

    name: str
    """The step of the walk, such as `create-dataset`."""
    operation: str
    provenance: str
    source: str
    method: str
    path: str
    query: Mapping[str, str]
    request: Message
    status: int
    response: Message
    recorded: str | None = None
    deviations: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the content of its file."""
        request = {"method": self.method, "path": self.path, "query": dict(self.query)} | _message(self.request)
        found = {
            "operation": self.operation,
            "provenance": self.provenance,
            "source": self.source,
            "recorded": self.recorded,
            "deviations": list(self.deviations),
            "request": {name: value for name, value in request.items() if value != {}} | _body(self.request),
            "response": {"status": self.status} | _message(self.response) | _body(self.response),
        }
        return {name: value for name, value in found.items() if value not in (None, [])}


def write(recording: Recording, folder: Path) -> Path:
    """Write a recording to its file in a folder; return the file."""
    document = recording.document()
    _check(document, recording.name)
    path = folder / f"{recording.name}.json"
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    return path


def read(path: Path) -> Recording:
    """Return the recording in a file.

    Raises:
        RecordingError: it is not one.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordingError(f"{path.name} is not JSON: {error}") from None
    _check(document, path.name)
    request, response = document["request"], document["response"]
    return Recording(
        name=path.stem,
        operation=document["operation"],
        provenance=document["provenance"],
        source=document["source"],
        method=request["method"],
        path=request["path"],
        query=request.get("query", {}),
        request=Message(request.get("headers", {}), request.get("body", ABSENT), request.get("text")),
        status=response["status"],
        response=Message(response["headers"], response.get("body", ABSENT), response.get("text")),
        recorded=document.get("recorded"),
        deviations=tuple(document.get("deviations", ())),
    )


def read_all(*provenances: str, folder: Path = RECORDINGS) -> list[Recording]:
    """Return the recordings of some provenances, in order of their names.

    Raises:
        RecordingError: a file is not a recording, or is in the folder of another provenance.
    """
    found = [read(path) for provenance in provenances for path in sorted((folder / provenance).glob("*.json"))]
    strays = [item.name for item in found if item.provenance not in provenances]
    if strays:
        raise RecordingError(f"{strays[0]} lies in the folder of another provenance.")
    return found


def _message(message: Message) -> dict[str, Any]:
    return {"headers": dict(message.headers)}


def _body(message: Message) -> dict[str, Any]:
    if message.body is not ABSENT:
        return {"body": message.body}
    return {} if message.text is None else {"text": message.text}


def _check(document: Any, name: str) -> None:
    errors = sorted(_validator().iter_errors(document), key=lambda error: len(error.absolute_path), reverse=True)
    if errors:
        place = "/".join(map(str, errors[0].absolute_path))
        raise RecordingError(f"{name} is not a recording: {place or 'the file'}: {errors[0].message}")


@functools.cache
def _validator() -> Draft202012Validator:
    schema = json.loads(Path(__file__).with_name("recording.schema.json").read_text(encoding="utf-8"))
    return Draft202012Validator(schema)
