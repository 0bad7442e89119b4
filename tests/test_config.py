"""Which key is used, and where it is sent."""

import json
import os
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databox import ConfigurationError
from databox.config import Config, load_config

LONG = "key-of-the-environment"
EVERY_CASE = True


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home folder with the official client's file."""
    folder = tmp_path / ".config" / "databox-cli"
    folder.mkdir(parents=True)
    write(tmp_path, json.dumps({"apiKey": "stored-key", "apiUrl": "https://stored.example.org"}))
    return tmp_path


def write(home: Path, text: str) -> None:
    (home / ".config" / "databox-cli" / "config.json").write_text(text, "utf-8")


def load(home: Path, key: str | None = None, url: str | None = None, **environ: str) -> Config:
    with patch.dict(os.environ, {"HOME": str(home), **environ}):
        return load_config(key, url)


def test_arguments_come_first(home: Path) -> None:
    found = load(home, "mine", "https://mine.example.org", DATABOX_API_KEY=LONG, DATABOX_API_URL="https://e.org")
    assert (found.key.reveal(), found.base_url) == ("mine", "https://mine.example.org")


def test_then_the_environment(home: Path) -> None:
    found = load(home, DATABOX_API_KEY=f"{LONG}\n", DATABOX_API_URL="https://e.example.org/")
    assert (found.key.reveal(), found.base_url) == (LONG, "https://e.example.org")


def test_then_the_official_clients_file(home: Path) -> None:
    found = load(home, DATABOX_API_KEY="", DATABOX_API_URL="")
    assert (found.key.reveal(), found.base_url) == ("stored-key", "https://stored.example.org")


def test_then_the_default_address(tmp_path: Path) -> None:
    assert load(tmp_path, "mine").base_url == "https://api.databox.com"


def test_without_a_key_the_message_says_where_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Account Management"):
        load(tmp_path)


@pytest.mark.parametrize(
    "text", ["{", "[]", "[" * 100_000, '{"apiKey":' * 100_000, '"key"', '{"apiKey": 5}', '{"apiKey": ["k"]}', "\0"]
)
def test_a_broken_file_is_named(home: Path, text: str) -> None:
    write(home, text)
    with pytest.raises(ConfigurationError, match=r"config\.json"):
        load(home)


def test_a_file_that_cannot_be_read_is_named(home: Path) -> None:
    file = home / ".config" / "databox-cli" / "config.json"
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigurationError, match=rf"^Cannot read {file}: Is a directory\.$"):
        load(home)
    assert load(home, "mine").key.reveal() == "mine"


def test_a_broken_file_harms_nobody_who_has_a_key(home: Path) -> None:
    write(home, "{")
    assert load(home, "mine").base_url == "https://api.databox.com"


def test_a_byte_order_mark_in_the_file(home: Path) -> None:
    write(home, '\ufeff{"apiKey": "marked"}')
    assert load(home).key.reveal() == "marked"


@pytest.mark.parametrize("key", ["", " ", "two words", "line\nbreak", "schlüssel", "tab\tbed", "nul\0"])
def test_keys_that_no_header_can_carry(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, key)
    assert not key.strip() or key not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.databox.com",
        "ftp://api.databox.com",
        "https://",
        "https://user:secret@api.databox.com",
        "https://api.databox.com?x=1",
        "https://api.databox.com#x",
        "https://api.databox.com:99999",
        "https://[::1",
        "https://[::1]x",
        "https://[::x]",
        "https://[v1.a]",
        "https://[127.0.0.1]",
        "https://256.1.1.1",
        "https://0177.0.0.1",
        "https://api.databox.com:0",
        "https://a..b",
        "https://.databox.com",
        "https://.",
        "https://a b",
        "https://a%41",
        "https://a\\b",
        "https://api.databox.com/\x00",
        "https://api.databox.com/\udcff",
        "https://" + "a" * 64 + ".com",
        "https://" + ".".join(["a" * 60] * 5),
        "https://\u2603.net",
        "https://xn--zzzz.de",
        "https://\u2167.de",
        "https://a\u200db.de",
        "https://a.de/" + "a" * 70_000,
    ],
)
def test_addresses_that_are_none(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match="base") as caught:
        load(tmp_path, "key", url)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url", ["https://api.databox.com/v1", "http://127.0.0.1:8700/v1/", "https://gate.example/x/v1"]
)
def test_an_address_with_the_version_that_each_path_has(tmp_path: Path, url: str) -> None:
    """Each request would be a 404 about an id."""
    with pytest.raises(ConfigurationError, match="base URL must not end with /v1, which is added to it"):
        load(tmp_path, "key", url)
    assert load(tmp_path, "key", url.rstrip("/").removesuffix("/v1"))


@pytest.mark.parametrize(
    ("url", "base_url"),
    [
        ("HTTPS://API.Example.ORG/Path/", "https://api.example.org/Path"),
        ("https://faß.example", "https://xn--fa-hia.example"),
        ("https://a\u3002example", "https://a.example"),
        ("https://example.org.:8443", "https://example.org.:8443"),
        ("https://api_1.internal", "https://api_1.internal"),
        ("http://127.1:8700", "http://127.0.0.1:8700"),
        ("http://[0:0:0:0:0:0:0:1]:8700/x", "http://[::1]:8700/x"),
        ("https://" + "a" * 63 + ".example", "https://" + "a" * 63 + ".example"),
    ],
)
def test_an_address_has_one_form(tmp_path: Path, url: str, base_url: str) -> None:
    assert load(tmp_path, "key", url).base_url == base_url


HOSTS = st.text() | st.lists(
    st.sampled_from([*"a1.-_:[]%@/\\ \t", "xn--", "ß", "\u3002", "\u2603", "0x7f", "255", "::", "x" * 63])
)


@given(HOSTS.map("".join), st.sampled_from(["", ":1", ":65535", ":x", ":"]), st.text(max_size=5))
def test_any_address_can_be_asked_or_is_refused(host: str, port: str, path: str) -> None:
    """Neither httpx nor the system's name resolution finds fault later."""
    try:
        config = load_config("some-key", f"https://{host}{port}/{path}")
    except ConfigurationError:
        return
    url = httpx.URL(config.base_url)
    assert url.raw_host.decode("ascii") == urlsplit(config.base_url).hostname
    assert url.host
    url.host.encode("idna")
    assert load_config("some-key", config.base_url).base_url == config.base_url


@pytest.mark.parametrize(("key", "url"), [(5, None), (b"key", None), ("key", 5)])
def test_arguments_of_the_wrong_type(tmp_path: Path, key: str, url: str) -> None:
    with pytest.raises(TypeError):
        load(tmp_path, key, url)


@pytest.mark.parametrize(
    ("url", "exposed"),
    [
        ("https://example.org", False),
        ("http://example.org", True),
        ("http://localhost:8700", False),
        ("http://127.0.0.1:8700", False),
        ("http://127.254.1.2", False),
        ("http://127.1", False),
        ("http://[::1]:8700", False),
        ("http://[0:0::1]:8700", False),
        ("http://[::ffff:127.0.0.1]", False),
        ("http://LOCALHOST.", False),
        ("http://box.localhost:8700", False),
        ("http://localhost.example.org", True),
        ("http://notlocalhost", True),
        ("http://128.0.0.1", True),
        ("http://127.0.0.1.example.org", True),
        ("http://[::2]", True),
        ("http://[fe80::1]", True),
        ("http://0.0.0.0", True),
    ],
)
def test_plain_http_is_for_loopback(tmp_path: Path, url: str, exposed: bool) -> None:
    assert load(tmp_path, "key", url).exposes_key is exposed
