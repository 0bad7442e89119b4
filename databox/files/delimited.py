"""Reads CSV and similar files into rows of cells."""

import csv
import io
from collections.abc import Iterator
from itertools import chain, islice

from databox.errors import InvalidRecordError
from databox.files.column import MOST_COLUMNS, too_many
from databox.files.dialect import DELIMITERS, Layout, layout_of
from databox.files.doubts import Line
from databox.files.source import Source
from databox.files.text import LONGEST_LINE, blocks, head_text, zero_byte
from databox.files.unsplit import ask_about_markup
from databox.wording import message, setting

__all__ = ["Delimited"]


class Delimited:
    """The rows of a delimited file.

    Args:
        source: the source of its bytes.
        encoding: the codec's name.
        delimiter: one character; detected if None.
        skip_lines: lines before the first row; detected if None.
        max_field: the maximum length of a field in characters; the csv module's own limit if None.
        is_sure: whether the caller passed CSV-only options, so that it must be CSV.

    Raises:
        InvalidRecordError: it has lines above its header, cannot be decoded, or looks like something else.
    """

    typed = False

    def __init__(
        self,
        source: Source,
        encoding: str,
        delimiter: str | None,
        skip_lines: int | None,
        max_field: int | None,
        *,
        is_sure: bool,
    ) -> None:
        self._source, self._encoding = source, encoding
        if max_field is not None:
            csv.field_size_limit(max(csv.field_size_limit(), min(max_field, LONGEST_LINE)))
        head = head_text(source, encoding)
        if "\0" in head:
            raise zero_byte(source.name, head.count("\n", 0, head.index("\0")) + 1, encoding)
        self._head = head
        if not is_sure:
            ask_about_markup(source.name, head, delimiter or ",")
        self._layout: Layout = layout_of(source.name, head, delimiter, skip_lines, is_sure=is_sure)
        self.where = f"{source.name}, line"
        self.delimiter = self._layout.delimiter
        self.blank = 0

    def description(self, columns: int) -> str:
        """Return the name of its delimiter."""
        return DELIMITERS.get(self.delimiter, repr(self.delimiter)) if columns > 1 else "one column"

    def sample(self, most: int) -> tuple[list[Line], bool]:
        """Return the first rows, without a truncated one, and whether they are all."""
        found: list[Line] = []
        records = self._records(iter([list(io.StringIO(self._head, newline=""))]))
        is_whole = self._source.is_whole
        try:
            found.extend(islice(records, most))
        except InvalidRecordError:
            if is_whole:
                raise
            # The cut may be within quotes. Real errors are found again when the row is read.
            found.append((0, []))
        if not is_whole and 1 < len(found) < most:
            found.pop()
        return found, is_whole and len(found) < most

    def rows(self) -> Iterator[Line]:
        """Yield all rows.

        Raises:
            InvalidRecordError: one is malformed, or cannot be decoded.
        """
        return self._records(blocks(self._source, self._source.stream(), self._encoding))

    def _records(self, text: Iterator[list[str]]) -> Iterator[Line]:
        """Splits lines into cells; empty lines are skipped, and line numbers are those of a row's first line."""
        skipped = self._layout.skip_lines
        line = skipped + 1

        def limited() -> Iterator[list[str]]:
            """Yields lines, until one row has too many: a quote may be unclosed."""
            length, begun = 0, line
            for block in text:
                if begun != line:  # other rows have been read since
                    length, begun = 0, line
                length += sum(map(len, block))
                if length > LONGEST_LINE:
                    raise InvalidRecordError(
                        f"{self.where} {line:,}: the row that starts here is longer than {LONGEST_LINE:,} characters. "
                        "Is a quote never closed?"
                    )
                yield block

        rows = _without_mark(islice(chain.from_iterable(limited()), skipped, None))
        reader = csv.reader(rows, delimiter=self.delimiter, strict=True, **self._layout.quoting)
        try:
            for cells in reader:
                if 1 < len(cells) <= MOST_COLUMNS or (len(cells) == 1 and cells[0] != "\x1a"):  # once the end of a file
                    yield line, cells
                elif len(cells) > MOST_COLUMNS:
                    raise too_many(f"{self.where} {line:,}", len(cells))
                else:
                    self.blank += 1
                line = reader.line_num + skipped + 1
        except csv.Error as error:
            raise self._malformed(line, error) from None

    def _malformed(self, line: int, error: csv.Error) -> InvalidRecordError:
        name = self._source.name
        if "field limit" in str(error):
            return InvalidRecordError(
                message(
                    f"{name}, line {line:,}: the row that starts here has a field of more than "
                    f"{csv.field_size_limit():,} characters. Is a quote opened there and never closed? If not, use ",
                    setting("max_field", LONGEST_LINE),
                    ".",
                )
            )
        if "unexpected end" in str(error):
            return InvalidRecordError(
                f"{name}, line {line:,}: the row that starts here opens a quote that is never closed."
            )
        return InvalidRecordError(
            f"{name}, line {line:,}: a quote within a quoted value must be doubled, and a closing quote must be "
            f"followed by a delimiter ({error})."
        )


def _without_mark(text: Iterator[str]) -> Iterator[str]:
    """Lines without byte order marks before the first: there may be two, as programs add one to files that have one."""
    first = [line.lstrip("\ufeff") for line in islice(text, 1)]
    return chain(first, text)
