"""Where two answers to the same request differ in something that programs rely on."""

import json
import re
from typing import Any

from tools.contract.fields import sent
from tools.contract.recording import Recording

__all__ = ["differences"]


def differences(emulated: Recording, recorded: Recording) -> list[str]:
    """Return where the sandbox's answer differs from a recorded one: status, codes, fields, and their types."""
    said = f"{recorded.name} ({recorded.operation}, {recorded.provenance})"
    found = [
        f"{said}: {what} is {_word(theirs)} in the recording, but {_word(ours)} in the sandbox"
        for what, theirs, ours in (
            ("the HTTP status", recorded.status, emulated.status),
            ("the content type", _kind(recorded), _kind(emulated)),
            ("status", _word_of(recorded), _word_of(emulated)),
            ("errors[].code", _codes(recorded), _codes(emulated)),
        )
        if theirs != ours
    ]
    theirs, ours = sent(recorded.response.body), sent(emulated.response.body)
    for path in sorted(theirs.keys() | ours.keys()):
        if path not in ours and _could_be(path, ours):
            found.append(f"{said}: {path} is in the recording, but the sandbox does not send it")
        elif path not in theirs and _could_be(path, theirs):
            found.append(f"{said}: {path} is sent by the sandbox, but is not in the recording")
        elif path in ours and path in theirs and not ours[path] & theirs[path]:
            types = f"{_word(sorted(theirs[path]))} in the recording, but {_word(sorted(ours[path]))} in the sandbox"
            found.append(f"{said}: {path} is {types}")
    return found


def _could_be(path: str, others: dict[str, Any]) -> bool:
    """Whether a path could stand in the other answer: of the items of an empty list nothing can be said."""
    lists = [match.end() for match in re.finditer(r"\[\]", path)]
    return all(path[:end] in others for end in lists if path[:end] != path)


def _kind(recording: Recording) -> str:
    return recording.response.content_type.partition(";")[0].strip().lower()


def _word_of(recording: Recording) -> Any:
    body = recording.response.body
    return body.get("status") if isinstance(body, dict) else None


def _codes(recording: Recording) -> list[Any]:
    body = recording.response.body
    return [error.get("code") for error in body.get("errors") or ()] if isinstance(body, dict) else []


def _word(value: Any) -> str:
    return json.dumps(value)
