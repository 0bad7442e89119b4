"""Derive the synchronous client from the asynchronous one, so that there is one source.

    python -m tools.unasync           write databox/_sync
    python -m tools.unasync --check   say what differs, and exit 1 if anything does

Only the tokens in the table below are replaced, and ruff formats the result. The modules `runtime` and
`pool` are written by hand in both: they contain the real differences.
"""

import argparse
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "databox" / "_async"
TARGET = ROOT / "databox" / "_sync"
BY_HAND = {"__init__.py", "pool.py", "runtime.py"}

NAMES = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "_async": "_sync",
    "aclose": "close",
    "aiter_raw": "iter_raw",
    "anext": "next",
}
DROPPED = {"async", "await"}
TEXTS = {"await ": "", "async ": "", "any number of tasks": "any number of threads"}


def derive(source: str) -> str:
    """Return the synchronous form of a module."""
    lines = source.splitlines(keepends=True)
    edits: list[tuple[int, int, int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        row, start = token.start
        end = token.end[1]
        if token.type == tokenize.NAME and token.string in DROPPED:
            edits.append((row, start, end + 1, ""))
        elif token.type == tokenize.NAME and token.string != _name(token.string):
            edits.append((row, start, end, _name(token.string)))
        elif token.type == tokenize.STRING and token.start[0] == token.end[0]:
            edits.append((row, start, end, _text(token.string)))
        elif token.type == tokenize.STRING:
            for number in range(token.start[0], token.end[0] + 1):
                lines[number - 1] = _text(lines[number - 1])
    for row, start, end, replacement in sorted(edits, reverse=True):
        line = lines[row - 1]
        lines[row - 1] = line[:start] + replacement + line[end:]
    derived = "".join(lines)
    derived = re.sub(r"\bAwaitable\[([^\[\]]*)\]", r"\1", derived)
    # "Either kind of iterable" becomes one kind.
    return re.sub(r"\b(Iterable\[(?:[^\[\]]|\[[^\]]*\])*\]) \| \1", r"\1", derived)


def _name(name: str) -> str:
    return NAMES.get(name) or (name.removeprefix("Async") if re.match(r"Async[A-Z]", name) else name)


def _text(text: str) -> str:
    for old, new in TEXTS.items():
        text = text.replace(old, new)
    return re.sub(r"\bAsync(?=[A-Z])", "", text)


def derived_files() -> dict[Path, str]:
    """Return the expected content of each derived module."""
    files = sorted(path for path in SOURCE.glob("*.py") if path.name not in BY_HAND)
    return {TARGET / path.name: _formatted(_header(path) + derive(path.read_text("utf-8"))) for path in files}


def _header(path: Path) -> str:
    return f"# Derived from {path.relative_to(ROOT).as_posix()} by tools/unasync.py; edit that one.\n"


def _formatted(source: str) -> str:
    """Leave duplicate imports, import order and line breaks to ruff."""
    ruff = [sys.executable, "-m", "ruff"]
    options = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", "--stdin-filename", "derived.py", "-"]
    fixed = _run(
        [*ruff, "check", "--quiet", "--fix-only", "--unsafe-fixes", "--select", "I,F811,F401,UP028", *options],
        source,
    )
    return _run([*ruff, "format", "--quiet", *options], fixed)


def _run(command: list[str], text: str) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def main() -> int:
    """Write or check the derived modules; return the exit status."""
    parser = argparse.ArgumentParser(description="Derive databox/_sync from databox/_async.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when something differs")
    check = parser.parse_args().check
    wanted = derived_files()
    present = {path for path in TARGET.glob("*.py") if path.name not in BY_HAND}
    stale = [path for path in wanted if not path.exists() or path.read_text("utf-8") != wanted[path]] + sorted(
        present - set(wanted)
    )
    for path in stale:
        name = path.relative_to(ROOT)
        if check:
            print(f"{name} is not what databox/_async says. Run `make generate`.", file=sys.stderr)
        elif path in wanted:
            path.write_text(wanted[path], "utf-8", newline="\n")
            print(f"wrote {name}")
        else:
            path.unlink()
            print(f"removed {name}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
