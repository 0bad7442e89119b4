"""Dates and times in common notations, and the order of day and month in a column."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import Literal

import attrs

from databox.misuse import ArgumentValueError
from databox.wording import message, setting

__all__ = ["DateForm", "date_reader", "form_of", "loose_dates", "plain_dates", "with_format"]

Order = Literal["day", "month"]
"""Whether the day or the month comes first."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAME = (
    r"(?P<name>jan(?:uary?|uari|v(?:ier)?)?|feb(?:r(?:uary?|uari|ero)?|braio)?|mar(?:ch|t?s|zo)?|apr(?:ile?)?|mayo?"
    r"|jun(?:e|io?|ho)?|jul(?:y|io?|ho)?|aug(?:ust|ustus|usti)?|sep(?:t|tember|tembre|tiembre)?"
    r"|oct(?:ober|obre|ubre)?|nov(?:ember|embre|embro|iembre)?|dec(?:ember|embre)?)(?![a-z])\.?"
)
"""A month, also in other languages if its name begins as in English. In `12DECK34` there is none."""
_TIME = (
    r"(?:(?:T|,? +)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    r"(?: ?(?P<half>[ap])\.?m\.?)?(?: ?(?P<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?)?"
)


def _pattern(day: str) -> re.Pattern[str]:
    return re.compile(day + _TIME, re.ASCII | re.IGNORECASE)


_FORMS = {
    "year first": _pattern(r"(?P<year>\d{4})(?P<mark>-|/|\. ?)(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})\.?"),
    "dots": _pattern(r"(?P<first>\d{1,2})\. ?(?P<last>\d{1,2})\. ?(?P<year>\d{4}|\d{2})"),
    "slashes": _pattern(r"(?P<first>\d{1,2})/(?P<last>\d{1,2})/(?P<year>\d{4}|\d{2})"),
    "hyphens": _pattern(r"(?P<first>\d{1,2})-(?P<last>\d{1,2})-(?P<year>\d{4})"),
    "day and name": _pattern(rf"(?P<day>\d{{1,2}})\.?[ -]?{_NAME},?[ -]?(?P<year>\d{{4}}|\d{{2}})"),
    "name and day": _pattern(rf"{_NAME} (?P<day>\d{{1,2}}),? (?P<year>\d{{4}})"),
}


_DAY_LENGTH = len("2025-12-31")
_MOMENT_LENGTH = len("2025-12-31 23:59:59")


@attrs.frozen
class DateForm:
    """How the dates of a column are written."""

    name: str
    order: Order | None
    """None while it is undecided, and if there is no choice."""
    needs_order: bool
    has_time: bool


def form_of(cells: Iterable[str], order: Order | None = None) -> DateForm | None:
    """Return the common form of all cells, of which there is at least one, or None.

    With dots the day comes first, as in every country that writes them, unless the dates themselves or `order` say
    otherwise.
    """
    names = set(_FORMS)
    orders: set[Order] = {"day", "month"} if order is None else {order}
    has_time = short = False
    for cell in cells:
        matches = {name: match for name in names if (match := _FORMS[name].fullmatch(cell))}
        if not matches:
            return None
        names = set(matches)
        match = next(iter(matches.values()))
        has_time = has_time or match["hour"] is not None
        short = short or len(match["year"]) == 2
        groups = match.groupdict()
        if "first" in groups:
            orders -= {"day"} if int(groups["last"]) > 12 else set()
            orders -= {"month"} if int(groups["first"]) > 12 else set()
        if not _is_real(match, orders):
            return None
    name = next(each for each in _FORMS if each in names)
    if name not in {"dots", "slashes", "hyphens"}:
        return DateForm(name, None, needs_order=False, has_time=has_time)
    if name == "dots" and "day" in orders:
        return DateForm(name, "day", needs_order=False, has_time=has_time)
    # 25/12/31 may also start with the year; only a leading month rules that out.
    sure = len(orders) == 1 and not (short and orders == {"day"} and order is None)
    return DateForm(name, next(iter(orders)) if sure else None, needs_order=not sure, has_time=has_time)


def date_reader(form: DateForm) -> Callable[[str], date]:
    """Return the function that reads the dates of a column, and its times, if the form has them."""
    pattern, order = _FORMS[form.name], form.order

    @lru_cache(maxsize=4096)
    def read(cell: str) -> date:
        match = pattern.fullmatch(cell)
        if match is None:
            raise ValueError("is not a date in the format of the others")
        if match["hour"] is not None and not form.has_time:
            raise ValueError("has a time, but the dates before it had none")
        try:
            return _moment(match, order) if form.has_time else _day(match, order)
        except ValueError:
            raise ValueError("is not a date that exists") from None

    return read


def plain_dates(form: DateForm) -> Callable[[Sequence[str]], list[date | None] | None] | None:
    """Return a function that reads many ISO 8601 dates at once, or None for another form; an empty cell is None.

    The function returns None if one of them has another form.
    """
    if form.name != "year first":
        return None
    parse, are_plain = (datetime.fromisoformat, _are_moments) if form.has_time else (date.fromisoformat, _are_days)

    def read(cells: Sequence[str]) -> list[date | None] | None:
        full = list(filter(None, cells)) if "" in cells else cells
        if not are_plain(full):
            return None
        try:
            return [parse(cell) if cell else None for cell in cells] if "" in cells else list(map(parse, cells))
        except ValueError:
            return None

    return read


def _are_days(cells: Sequence[str]) -> bool:
    """Whether `date.fromisoformat` would read them as year, month and day, and not as weeks."""
    return {*map(len, cells)} <= {_DAY_LENGTH} and "W" not in "".join(cells)


def _are_moments(cells: Sequence[str]) -> bool:
    """Whether `datetime.fromisoformat` would read them as a day and a time to the second, without a zone."""
    if not {*map(len, cells)} <= {_MOMENT_LENGTH} or not {cell[10] for cell in cells} <= {" ", "T"}:
        return False
    text = "".join(cells)
    return "W" not in text and "+" not in text and text.count("-") == text.count(":") == 2 * len(cells)


def loose_dates(order: Order | None, *, has_time: bool) -> Callable[[str], date]:
    """Return the function that reads the dates of a declared date column, each in its own form."""

    @lru_cache(maxsize=4096)
    def read(cell: str) -> date:
        form = form_of([cell], order)
        if form is None:
            raise ValueError("is not a date")
        if form.needs_order:
            first = setting("dayfirst", True), " or ", setting("dayfirst", False), " or ", setting("date_format")
            raise ValueError(message("may have the day or the month first; use ", *first))
        return date_reader(attrs.evolve(form, has_time=has_time or form.has_time))(cell)

    def checked(cell: str) -> date:
        found = read(cell)
        if isinstance(found, datetime) and not has_time:
            raise ValueError("has a time: declare the column as datetime")
        return found

    return checked


def with_format(pattern: str) -> Callable[[str], date]:
    """Return the function that reads dates with a strptime pattern such as `%d/%m/%Y`.

    Raises:
        ValueError: the pattern has no year, so one would be invented.
    """
    if not any(f"%{letter}" in pattern for letter in "YyGcxDFs"):
        raise ArgumentValueError(f"A pattern of dates must have a year, such as %d/%m/%Y, not {pattern!r}.")
    has_time = any(f"%{letter}" in pattern for letter in "HIMSfpXcs")

    @lru_cache(maxsize=4096)
    def read(cell: str) -> date:
        try:
            found = datetime.strptime(cell, pattern)
        except ValueError:
            raise ValueError(f"is not a date of the form {pattern!r}") from None
        return found if has_time else found.date()

    return read


def _is_real(match: re.Match[str], orders: set[Order]) -> bool:
    """Whether the date exists in at least one of the orders."""
    for order in orders:
        try:
            _moment(match, order)
        except ValueError:
            continue
        return True
    return False


def _day(match: re.Match[str], order: Order | None) -> date:
    groups = match.groupdict()
    year = int(groups["year"])
    if len(groups["year"]) == 2:
        year += 1900 if year >= 69 else 2000  # the default of strptime
    if "first" in groups:
        first, last = int(groups["first"]), int(groups["last"])
        return date(year, first, last) if order == "month" else date(year, last, first)
    name = groups.get("name")
    month = _MONTHS.index(name[:3].lower()) + 1 if name else int(groups["month"])
    return date(year, month, int(groups["day"]))


def _moment(match: re.Match[str], order: Order | None) -> datetime:
    day = _day(match, order)
    if match["hour"] is None:
        return datetime(day.year, day.month, day.day)
    hour = int(match["hour"])
    if match["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("no such hour")
        hour = hour % 12 + (12 if match["half"].lower() == "p" else 0)
    part = int((match["part"] or "0")[:6].ljust(6, "0"))
    clock = time(hour, int(match["minute"]), int(match["second"] or 0), part)
    return datetime.combine(day, clock, _zone(match["zone"]))


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text[0] not in "+-":
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)
