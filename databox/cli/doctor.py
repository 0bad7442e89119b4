"""`databox doctor`: what could be wrong, without anything secret in it."""

import importlib.metadata
import os
import platform
import stat
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import attrs
import httpx
import typer

from databox import APIError, ConfigurationError, Databox
from databox.clash import REMEDY, is_there
from databox.cli.failures import REFUSED, words
from databox.cli.output import Json
from databox.cli.terminal import console, echo_json
from databox.config import KEY_VARIABLE, URL_VARIABLE, Config, config_file, load_config
from databox.limit.rate import DOCUMENTED
from databox.sending.environment import certificates_for, proxy_for
from databox.version import VERSION

__all__ = ["doctor"]

_LIBRARIES = ("httpx", "orjson", "typer", "rich", "ijson", "zstandard", "pyarrow")
_SKEW = 60.0
"""Seconds by which a clock may be off before it is worth telling."""


@attrs.frozen
class Finding:
    """One thing that was looked at; `fine` is None for what is neither."""

    name: str
    words: str
    fine: bool | None = None


def doctor(as_json: Json = False) -> None:
    """Check the key, the address, the network and the clock.

    Nothing secret is shown, so the output is fit for a bug report.
    """
    findings = _findings()
    fine = all(finding.fine is not False for finding in findings)
    if as_json:
        echo_json(
            {
                "status": "success" if fine else "error",
                "checks": [{"name": each.name, "ok": each.fine, "detail": each.words} for each in findings],
            }
        )
    else:
        for each in findings:
            mark, style = {True: ("ok", "green"), False: ("!!", "bold red"), None: ("  ", "")}[each.fine]
            console().print((mark, style), f" {each.name:<12} {each.words}", whole=True)
    raise typer.Exit(0 if fine else REFUSED)


def _findings() -> list[Finding]:
    findings = [
        Finding("version", f"databox-sdk {VERSION}, Python {platform.python_version()}, {platform.platform()}"),
        Finding("libraries", ", ".join(map(_version, _LIBRARIES))),
        Finding("limits", f"{DOCUMENTED.per_second} requests a second, {DOCUMENTED.per_hour:,} an hour, for each key"),
    ]
    if is_there():  # pragma: no cover - in an environment of its own, by tests/test_distribution.py
        findings.append(Finding("packages", REMEDY, fine=False))
    proxies = sorted(name for name in os.environ if name.lower() in {"http_proxy", "https_proxy", "all_proxy"})
    if proxies:
        findings.append(Finding("proxy", f"set by {', '.join(proxies)}"))
    path = config_file()
    try:
        config = load_config(None, None)
    except ConfigurationError as error:
        return [*findings, Finding("key", words(error), fine=False)]
    key_from = KEY_VARIABLE if os.environ.get(KEY_VARIABLE) else str(path)
    findings.append(Finding("key", f"{config.key!r} from {key_from}", fine=True))
    if key_from == str(path) and os.name == "posix" and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        findings.append(Finding("key file", f"others can read {path}: chmod 600 {path}", fine=False))
    findings.append(Finding("address", f"{config.base_url} from {_url_from(config)}", fine=not config.exposes_key))
    reached = _reached(config)
    findings += reached
    if all(each.fine for each in reached):
        findings.append(_validated())
    return findings


def _url_from(config: Config) -> str:
    if os.environ.get(URL_VARIABLE):
        return URL_VARIABLE
    return "the default" if config.base_url == "https://api.databox.com" else str(config_file())


def _reached(config: Config) -> list[Finding]:
    """Whether the address answers, and what time it is there; asked without the key."""
    try:
        proxy, trusted = proxy_for(config.base_url), certificates_for(config.base_url)
    except ConfigurationError as error:
        return [Finding("environment", words(error), fine=False)]
    url = f"{config.base_url}/v1/auth/validate-key"
    started = time.monotonic()
    try:
        answer = httpx.get(url, proxy=proxy, verify=trusted, trust_env=False, timeout=10.0)
    except httpx.HTTPError as error:
        return [Finding("network", f"no answer: {error or type(error).__name__}", fine=False)]
    took = (time.monotonic() - started) * 1000
    findings = [Finding("network", f"answered in {took:,.0f} ms", fine=True)]
    try:
        there = parsedate_to_datetime(answer.headers["date"]).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return findings
    skew = (datetime.now(UTC) - there).total_seconds()
    said = "agrees with the server's" if abs(skew) < _SKEW else f"differs from the server's by {abs(skew):,.0f} s"
    return [*findings, Finding("clock", said, fine=abs(skew) < _SKEW)]


def _validated() -> Finding:
    try:
        with Databox(max_retries=1, timeout=10.0) as client:
            client.auth.validate_key()
    except APIError as error:
        return Finding("key check", words(error), fine=False)
    return Finding("key check", "the API accepts the key", fine=True)


def _version(name: str) -> str:
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return f"no {name}"
