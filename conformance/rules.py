"""The rules of the guide, each with its cases and the planted mistakes that they catch.

    python conformance/rules.py

renews the tables in GUIDE.md from `rules.json`, the cases and the mutants.
"""

import json
import re
import sys
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # as a script, it has only its own folder

from conformance.run import cases

FOLDER = Path(__file__).resolve().parent
GUIDE = FOLDER / "GUIDE.md"
_TABLE = re.compile(r"(?<=<!-- rules )(\d+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)


def sections() -> dict[str, list[dict[str, Any]]]:
    """Return the rules by section, with patterns of the ids of their cases."""
    return {each["section"]: each["rules"] for each in json.loads((FOLDER / "rules.json").read_text("utf-8"))}


@cache
def names() -> tuple[str, ...]:
    """Return the ids of all cases."""
    return tuple(case["id"] for _, case in cases())


def cases_of(rule: dict[str, Any]) -> list[str]:
    """Return the ids of a rule's cases."""
    return [name for name in names() if any(fnmatchcase(name, pattern) for pattern in rule["cases"])]


def problems() -> list[str]:
    """Return which cases have no rule, and which rules have no cases or a pattern that matches none."""
    left = set(names())
    found: list[str] = []
    for rules in sections().values():
        for rule in rules:
            mine = cases_of(rule)
            found += [
                f"{pattern!r} of the rule {rule['rule']!r} matches no case"
                for pattern in rule["cases"]
                if not any(fnmatchcase(name, pattern) for name in mine)
            ]
            found += [] if rule["cases"] else [f"the rule {rule['rule']!r} has no case"]
            left -= set(mine)
    return found + [f"the case {name} has no rule" for name in sorted(left)]


def renewed(guide: str) -> str:
    """Return the guide with its tables renewed."""
    mutants = [
        mutant
        for path in sorted((FOLDER / "mutants").glob("*.json"))
        for mutant in json.loads(path.read_text("utf-8"))["mutants"]
    ]
    by_section = sections()
    return _TABLE.sub(lambda found: f"{found[1]}{found[2]}{_table(by_section[found[1]], mutants)}", guide)


def _table(rules: list[dict[str, Any]], mutants: list[dict[str, Any]]) -> str:
    lines = ["| rule | cases | mistakes that they catch |", "|---|---|---|"]
    for rule in rules:
        mine = set(cases_of(rule))
        caught = [f"`{mutant['id']}`" for mutant in mutants if mine.intersection(mutant["cases"])]
        patterns = [f"`{pattern}`" for pattern in rule["cases"]]
        lines.append(f"| {rule['rule']} | {' '.join(patterns)} | {' '.join(caught)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    GUIDE.write_text(renewed(GUIDE.read_text("utf-8")), "utf-8")
    print("\n".join(problems()))
