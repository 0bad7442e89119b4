"""Fetch the published description, byte for byte, and renew `spec.lock`.

    python -m tools.spec.pull        SPEC_URL= overrides the address, file:// too

Both files change together or not at all, and anything but a complete OpenAPI 3 description is refused. If it differs
from the previous one, the CHANGELOG gets a paragraph that says how.
"""

import http.client
import os
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tools.spec.diff import compare, in_words
from tools.spec.document import Report, SpecError, operations
from tools.spec.lock import Lock
from tools.spec.normalise import plain
from tools.spec.pins import PINS, missing
from tools.spec.project import ADDRESS, Project
from tools.spec.validity import published, read

__all__ = ["fetch", "pull"]

MOST_TOLD = 40
"""The maximum number of changes of one kind in the CHANGELOG; `make diff` lists all."""
TIMEOUT = 60.0
LARGEST = 50 * 1024 * 1024


def fetch(address: str) -> bytes:
    """Return the content of an http(s):// or file:// address.

    Raises:
        SpecError: it could not be read completely.
    """
    if not address.startswith(("https://", "http://", "file://")):
        raise SpecError(f"{address!r} is not an http(s):// or file:// address.")
    try:
        request = urllib.request.Request(address, headers={"User-Agent": "databox-sdk pull"})
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            status = getattr(answer, "status", None)
            if status not in (200, None):
                raise SpecError(f"{address} answered with status {status}, not 200.")
            content: bytes = answer.read(LARGEST)
            announced = answer.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        error.close()
        raise SpecError(f"{address} answered with status {error.code}, not 200.") from None
    except http.client.IncompleteRead as error:
        raise SpecError(f"{address} broke off after {len(error.partial)} bytes. Try again.") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise SpecError(f"{address} cannot be fetched: {reason}.") from None
    # Reading with a limit does not detect a short body by itself.
    if announced and announced.isdecimal() and int(announced) != len(content):
        raise SpecError(f"{address} announced {announced} bytes and sent {len(content)}. Try again.")
    return content


def accepted(content: bytes, address: str, report: Report) -> int:
    """Return the number of operations in a complete description of our API.

    Args:
        content: the content of the address.
        address: the address.
        report: receives its irregularities.

    Raises:
        SpecError: it is not one.
    """
    found = published(content, address)
    try:
        document = plain(found.document)
    except SpecError as error:
        raise SpecError(f"{address} cannot be used: {error}") from None
    lacking = missing(document)
    if lacking:
        names = ", ".join(pin.title for pin in lacking[:3])
        raise SpecError(f"{address} lacks {len(lacking)} of our {len(PINS)} operations, such as {names}.")
    found.warn(report)
    return len(list(operations(document)))


def pull(project: Project, address: str, report: Report) -> Lock:
    """Replace description and lock with the content of an address; its irregularities are reported.

    Raises:
        SpecError: it is refused; both files are unchanged.
    """
    content = fetch(address)
    count = accepted(content, address, report)
    lock = Lock.of(content, address=address, provenance="pulled", operations=count)
    files = {project.description: content, project.lock: lock.write()}
    if project.changelog.exists() and project.description.exists() and project.description.read_bytes() != content:
        files[project.changelog] = _noted(project, content, lock.date)
    _replace_all(files)
    return lock


def _noted(project: Project, content: bytes, date: str) -> bytes:
    """Return the CHANGELOG with a paragraph at the top of its newest section."""
    try:
        old = read(project.description).document
        told = in_words(compare(old, published(content, "the new description").document), most=MOST_TOLD)
    except SpecError as error:  # a pull is how a broken description is repaired
        told = f"It could not be compared with the one before. {error}"
    before = project.changelog.read_bytes().decode()
    newest = re.search(r"^## .*\n", before, re.MULTILINE)
    place = newest.end() if newest else len(before)
    return f"{before[:place]}\n### The API's description, {date}\n\n{told}\n{before[place:]}".encode()


def _replace_all(files: dict[Path, bytes]) -> None:
    """Write several files, all or none."""
    before = {path: path.read_bytes() if path.exists() else None for path in files}
    fresh = {path: path.with_name(path.name + ".new") for path in files}
    try:
        for path, content in files.items():
            fresh[path].write_bytes(content)
        for path in files:
            fresh[path].replace(path)
    except OSError as error:
        for path, old in before.items():
            if old is None:
                path.unlink(missing_ok=True)
            elif path.read_bytes() != old:
                path.write_bytes(old)
        raise SpecError(f"Cannot write to {error.filename}: {error.strerror}.") from None
    finally:
        for path in fresh.values():
            path.unlink(missing_ok=True)


def main(project: Project | None = None) -> int:
    """Run as a command; return the exit status."""
    address = os.environ.get("SPEC_URL") or ADDRESS
    try:
        lock = pull(project or Project(), address, lambda line: print(line, file=sys.stderr))
    except SpecError as error:
        print(f"Refused, and nothing was changed. {error}", file=sys.stderr)
        return 1
    print(f"Pulled {lock.operations} operations from {address}. See `make diff`, then run `make generate`.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
