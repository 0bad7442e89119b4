"""Adds to the built documentation what programs read: llms.txt, llms-full.txt, and each page as Markdown.

A hook of the site builder, named in mkdocs.yml; llmstxt.org says what the files are.
"""

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_DIRECTIVE = re.compile(r"^::: (\S+)\n(?: {4}.*\n)*", re.MULTILINE)


def on_post_build(config: Any) -> None:
    """Write the files beside the pages."""
    pages, site = Path(config["docs_dir"]), Path(config["site_dir"])
    index = [f"# {config['site_name']}\n", f"> {config['site_description']}\n"]
    whole = []
    for section, entries in _sections(config["nav"]):
        index.append(f"## {section}\n")
        for title, path in entries:
            text = _DIRECTIVE.sub(lambda found: _described(found[1]), (pages / path).read_text("utf-8"))
            (site / path).write_text(text, "utf-8")
            index.append(f"- [{title}]({path}): {_gist(text)}")
            whole.append(text)
        index.append("")
    (site / "llms.txt").write_text("\n".join(index), "utf-8")
    (site / "llms-full.txt").write_text("\n\n".join(whole), "utf-8")


def _sections(nav: list[dict[str, Any]]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    for entry in nav:
        for name, content in entry.items():
            pages = [{name: content}] if isinstance(content, str) else content
            yield name, [(title, path) for page in pages for title, path in page.items()]


def _gist(text: str) -> str:
    """The first sentence of a page, which has to begin with one."""
    paragraph = next(part for part in text.split("\n\n")[1:] if not part.startswith(("#", "```", "|")))
    return re.split(r"(?<=[.:])\s", " ".join(paragraph.split()), maxsplit=1)[0].rstrip(".:") + "."


def _described(name: str) -> str:
    """What a name of the reference is, from its docstrings."""
    module, _, attribute = name.rpartition(".")
    return "\n".join(_lines(attribute, getattr(importlib.import_module(module), attribute)))


def _lines(name: str, thing: Any, level: int = 2) -> Iterator[str]:
    yield f"{'#' * level} {name}\n"
    if not (inspect.isclass(thing) and issubclass(thing, BaseException)):  # nobody but us makes those
        signature = re.sub(r" = <[^>]*>", " = …", str(inspect.signature(thing)))
        yield f"```text\n{name}{signature}\n```\n"
    yield f"{inspect.getdoc(thing)}\n"
    if inspect.isclass(thing):
        for member, value in vars(thing).items():
            if not member.startswith("_") and inspect.isfunction(value):
                yield from _lines(member, value, level + 1)
