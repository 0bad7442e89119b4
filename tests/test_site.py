"""The built documentation: complete, self-contained, and readable by programs."""

import html.parser
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

import databox
import databox.sandbox
from tools.docs import of_repository

ROOT = Path(__file__).resolve().parent.parent
LOADING = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src", "use": "href"}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what `make docs` builds."""
    target = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "properdocs", "build", "--strict", "--config-file", "tools/mkdocs.yml"]
    done = subprocess.run(
        [*build, "--site-dir", str(target)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target


class Page(html.parser.HTMLParser):
    """What a page loads, links to, and offers as targets of links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.targets: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        address = found.get(LOADING.get(tag, ""))
        if address is not None and found.get("rel") not in {"prev", "next", "canonical"}:
            self.loaded.append(address)
        if tag == "a" and found.get("href"):
            self.links.append(found["href"] or "")
        self.targets.add(found.get("id") or "")


def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text("utf-8")) for path in site.rglob("*.html")}


def outside(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme not in {"", "data"} or bool(parts.netloc)


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    found = pages(site)
    assert len(found) > 15
    for path, page in found.items():
        assert not [address for address in page.loaded if outside(address)], path
        if path.name != "404.html":  # which is served for any address, and so contains none of its own
            missing = [file for file in page.loaded if not file.startswith("data:") and not there(path, file)]
            assert not missing, path
    for sheet in site.rglob("*.css"):
        addresses = re.findall(r"url\((?![#\"']?data:)([^)]+)\)|@import ([^;]+)", sheet.read_text("utf-8"))
        assert not [a or b for a, b in addresses if outside((a or b).strip("\"'"))], sheet


def there(page: Path, address: str) -> bool:
    return (page.parent / unquote(urlsplit(address).path)).exists()


@pytest.mark.slow
def test_all_links_lead_somewhere(site: Path) -> None:
    found = pages(site)
    for path, page in found.items():
        if path.name == "404.html":
            continue
        for link in page.links:
            parts = urlsplit(link)
            if outside(link):
                assert parts.scheme == "https", (path, link)
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), (path, link)
            if parts.fragment and target in found:
                assert unquote(parts.fragment) in found[target].targets, (path, link)


@pytest.mark.slow
def test_every_public_name_is_in_the_reference(site: Path) -> None:
    targets = set().union(*(page.targets for page in pages(site).values()))
    names = {f"databox.{name}" for name in databox.__all__ if name != "__version__"}
    names |= {f"databox.sandbox.{name}" for name in databox.sandbox.__all__}
    assert not {name for name in names if name not in targets}


@pytest.mark.slow
def test_the_search_knows_the_pages_and_works_without_a_server(site: Path) -> None:
    index = (site / "search" / "search_index.js").read_text("utf-8")
    assert "databox.Databox.with_options" in index
    assert "iframe-worker" in (site / "index.html").read_text("utf-8")


@pytest.mark.slow
def test_programs_find_every_page_and_the_reference_in_words(site: Path) -> None:
    listing = (site / "llms.txt").read_text("utf-8")
    assert listing.startswith("# Databox SDK for Python\n\n> ")
    entries = re.findall(r"^- \[(.+?)\]\((.+?)\): (.+)$", listing, re.MULTILINE)
    markdown = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert {path for _, path, _ in entries} == markdown
    whole = (site / "llms-full.txt").read_text("utf-8")
    for _, path, gist in entries:
        assert len(gist) > 20, path
        assert ":::" not in (site / path).read_text("utf-8"), path
        assert (site / path).read_text("utf-8") in whole
    assert "on_ambiguous: what to do if the answer to a batch was lost" in whole


def test_the_repository_lists_its_pages_for_programs() -> None:
    listing = (ROOT / "docs" / "llms.txt").read_text("utf-8")
    assert listing == of_repository(), "`make docs` renews llms.txt"
    paths = re.findall(r"\]\((.+?)\)", listing)
    assert len(paths) > 15
    assert not [path for path in paths if not (ROOT / "docs" / path).exists()]


def test_every_page_has_its_place_in_the_navigation() -> None:
    text = (ROOT / "tools" / "mkdocs.yml").read_text("utf-8")
    named = set(re.findall(r"[\w/-]+\.md", str(yaml.safe_load(text)["nav"])))
    assert named == {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}


@pytest.mark.slow
def test_the_description_for_other_generators_can_be_downloaded(site: Path) -> None:
    assert (site / "databox-v1.yaml").read_bytes() == (ROOT / "conformance" / "databox-v1.yaml").read_bytes()
    assert 'href="databox-v1.yaml"' in (site / "port.html").read_text("utf-8")


@pytest.mark.slow
def test_the_reference_names_methods_as_they_are_called(site: Path) -> None:
    page = (site / "reference" / "resources.html").read_text("utf-8")
    whole = (site / "llms-full.txt").read_text("utf-8")
    assert "(self" not in whole
    source = (ROOT / "docs" / "reference" / "resources.md").read_text("utf-8")
    with databox.Databox("a-key") as client:
        for name in ("accounts", "auth", "data_sources", "datasets"):
            methods = [each for each in vars(type(getattr(client, name))) if not each.startswith("_")]
            assert methods
            for method in methods:
                assert f"client.{name}.{method}()" in page
                assert f"client.{name}.{method}(" in source.replace(f'client.{name}.{method}()"', ""), "an example"
    for target in ("models.html#databox.Account", "errors.html#databox.APIError", "clients.html#databox.Page"):
        assert f'href="{target}"' in page


@pytest.mark.slow
def test_the_site_names_its_version_and_has_the_changelog(site: Path) -> None:
    assert f"Version {databox.__version__}" in (site / "index.html").read_text("utf-8")
    assert f'id="{databox.__version__.replace(".", "")}' in (site / "changelog.html").read_text("utf-8")
    assert f"## {databox.__version__}" in (site / "changelog.md").read_text("utf-8")
