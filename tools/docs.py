"""Adds to the built documentation: the description for other generators, and, for programs, llms.txt,
llms-full.txt, and each page as Markdown.

A hook of the site builder, configured in tools/mkdocs.yml, that writes them next to the built pages. As a program, it
renews llms.txt in the repository. llmstxt.org describes these files.
"""

import inspect
import pydoc
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from properdocs.structure.files import File

from databox.version import VERSION

ROOT = Path(__file__).resolve().parent.parent
CHANGELOG = "changelog.md"
_DIRECTIVE = re.compile(r"^::: (\S+)\n((?: {4}.*\n)*)", re.MULTILINE)
_HEADING = re.compile(r'heading: "(.+?)\(\)"')


def on_config(config: Any) -> Any:
    """Show the version at the bottom of each page."""
    config["copyright"] = f"Version {VERSION}"
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the description for other generators as a download."""
    name = "databox-v1.yaml"
    files.append(File.generated(config, name, content=(ROOT / "conformance" / name).read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Insert the repository's changelog into its page."""
    return markdown + _versions() if page.file.src_uri == CHANGELOG else markdown


def on_post_build(config: Any) -> None:
    """Write the files next to the pages."""
    site = Path(config["site_dir"])
    pages = {path: _in_words(path) for _, entries in _sections(config["nav"]) for _, path in entries}
    for path, text in pages.items():
        (site / path).write_text(text, "utf-8")
    (site / "llms.txt").write_text(listing(config), "utf-8")
    (site / "llms-full.txt").write_text("\n\n".join(pages.values()), "utf-8")


def listing(config: Any) -> str:
    """Return llms.txt: every page with its first sentence."""
    lines = [f"# {config['site_name']}\n", f"> {config['site_description']}\n"]
    for section, entries in _sections(config["nav"]):
        lines.append(f"## {section}\n")
        lines += [f"- [{title}]({path}): {_gist(_in_words(path))}" for title, path in entries]
        lines.append("")
    return "\n".join(lines)


def of_repository() -> str:
    """Return llms.txt of the repository."""
    return listing(yaml.safe_load((ROOT / "tools" / "mkdocs.yml").read_text("utf-8")))


def _in_words(path: str) -> str:
    """A page, with its directives replaced by their content."""
    text = _DIRECTIVE.sub(lambda found: _described(found[1], found[2]), (ROOT / "docs" / path).read_text("utf-8"))
    return text + _versions() if path == CHANGELOG else text


def _versions() -> str:
    """The changelog of all versions, with links relative to the pages."""
    _, heading, versions = (ROOT / "CHANGELOG.md").read_text("utf-8").partition("\n## ")
    return heading + versions.replace("](docs/", "](")


def _sections(nav: list[dict[str, Any]]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    for entry in nav:
        for name, content in entry.items():
            pages = [{name: content}] if isinstance(content, str) else content
            yield name, [(title, path) for page in pages for title, path in page.items()]


def _gist(text: str) -> str:
    """The first sentence of a page, which must start with one."""
    paragraph = next(part for part in text.split("\n\n")[1:] if not part.startswith(("#", "```", "|")))
    text = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", " ".join(paragraph.split()))  # links lead elsewhere from there
    return re.split(r"(?<=[.:])\s", text, maxsplit=1)[0].rstrip(".:") + "."


def _described(name: str, options: str) -> str:
    """A name of the reference with its docstrings, under the name that users use."""
    heading = _HEADING.search(options)
    title, level = (heading[1], 3) if heading else (name.rpartition(".")[2], 2)
    return "\n".join(_lines(title, pydoc.locate(name), level)) + "\n"


def _lines(name: str, thing: Any, level: int = 2) -> Iterator[str]:
    yield f"{'#' * level} {name}\n"
    if not (inspect.isclass(thing) and issubclass(thing, BaseException)):  # only we create those
        signature = re.sub(r" = <[^>]*>", " = …", str(inspect.signature(thing)))
        signature = re.sub(r"^\(self(, )?", "(", signature)
        yield f"```text\n{name}{signature}\n```\n"
    yield f"{inspect.getdoc(thing)}\n"
    if inspect.isclass(thing):
        for member, value in vars(thing).items():
            if not member.startswith("_") and inspect.isfunction(value):
                yield from _lines(member, value, level + 1)


if __name__ == "__main__":
    (ROOT / "docs" / "llms.txt").write_text(of_repository(), "utf-8")
