"""Workbooks: .xlsx, .xls and .ods."""

import io
import re
import struct
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlwt
from odf.element import Element
from odf.office import Annotation
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import CoveredTableCell, Table, TableCell, TableRow
from odf.text import LineBreak, P, S, Span, Tab
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from databox import InvalidRecordError, read_records
from tests.cli.conftest import Command

ROWS: list[list[Any]] = [
    ["id", "code", "day", "at", "amount", "ok"],
    [1, "007", date(2025, 12, 31), datetime(2025, 12, 31, 10, 30), 1234.56, True],
    [2, "012", date(9999, 12, 31), datetime(2026, 1, 1), -3, None],
]
READ = [dict(zip(ROWS[0], row, strict=True)) for row in ROWS[1:]]


def xlsx(*sheets: list[list[Any]], titles: str = "ABC", epoch: Any = None, change: Any = None) -> bytes:
    book = openpyxl.Workbook()
    if epoch:
        book.epoch = epoch
    assert book.active
    book.remove(book.active)
    for title, rows in zip(titles, sheets, strict=False):
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
        if change:
            change(sheet)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def xls(rows: list[list[Any]], change: Any = None) -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("A")
    for y, row in enumerate(rows):
        for x, value in enumerate(row):
            form = {datetime: "yyyy-mm-dd hh:mm", date: "yyyy-mm-dd"}.get(type(value))
            sheet.write(y, x, value, xlwt.easyxf(num_format_str=form) if form else xlwt.Style.default_style)
    if change:
        change(sheet)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def with_parts(data: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    """A workbook whose parts are other ones; without those for which there is None."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            if (part := change(name, old.read(name))) is not None:
                new.writestr(name, part)
    return file.getvalue()


def xlsb(rows: list[list[Any]], form: str = "General") -> bytes:
    """An .xlsb as small as can be; a None in it is the error #N/A."""

    def wide(text: str) -> bytes:
        return struct.pack("<I", len(text)) + text.encode("utf-16-le")

    def part(*records: tuple[int, bytes]) -> bytes:
        return b"".join(
            (bytes([kind]) if kind < 128 else bytes([kind & 127 | 128, kind >> 7])) + bytes([len(data)]) + data
            for kind, data in records
        )

    def cell(column: int, value: Any) -> tuple[int, bytes]:
        place = struct.pack("<II", column, 0)
        if isinstance(value, str):
            return 0x06, place + wide(value)
        return (0x03, place + b"\x2a") if value is None else (0x05, place + struct.pack("<d", value))

    cells = [
        each
        for number, row in enumerate(rows)
        for each in ((0x00, struct.pack("<I", number) + bytes(21)), *(cell(*pair) for pair in enumerate(row)))
    ]
    corners = struct.pack("<4I", 0, len(rows) - 1, 0, len(rows[0]) - 1)
    one, of_form = struct.pack("<I", 1), struct.pack("<H", 164)
    parts: dict[str, bytes | str] = {
        "workbook.bin": part((0x9C, struct.pack("<II", 0, 1) + wide("rId1") + wide("A")), (0x90, b""), (0x84, b"")),
        "_rels/workbook.bin.rels": '<Relationships><Relationship Id="rId1" Target="worksheets/a.bin"/></Relationships>',
        "worksheets/a.bin": part((0x94, corners), (0x91, b""), *cells, (0x92, b"")),
        "styles.bin": part((0x267, one), (0x2C, of_form + wide(form)), (0x269, one), (0x2F, b"\0\0" + of_form)),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(f"xl/{name}", content)
    return file.getvalue()


def ods(rows: list[list[Any]], error: str | None = None, before: int = 0, others: Any = ()) -> bytes:
    document, table = OpenDocumentSpreadsheet(), Table(name="A")
    for other in others:
        document.spreadsheet.addElement(other)
    if before:
        table.addElement(TableRow(numberrowsrepeated=str(before)))
    for row in rows:
        line = TableRow()
        for value in row:
            line.addElement(ods_cell(value))
        table.addElement(line)
    if error:
        cell = TableCell(valuetype="string", stringvalue="")
        cell.addElement(P(text=error))
        line.addElement(cell)
    document.spreadsheet.addElement(table)
    file = io.BytesIO()
    document.write(file)
    return file.getvalue()


def ods_cell(value: Any) -> Any:
    match value:
        case Element():
            return value
        case None:
            return TableCell()
        case bool():
            return TableCell(valuetype="boolean", booleanvalue=str(value).lower())
        case int() | float():
            return TableCell(valuetype="float", value=str(value))
        case date():
            return TableCell(valuetype="date", datevalue=value.isoformat())
        case _:
            cell = TableCell(valuetype="string")
            cell.addElement(P(text=value))
            return cell


def read(data: bytes, **options: Any) -> list[dict[str, Any]]:
    return list(read_records(io.BytesIO(data), **options))


def asked(data: bytes, **options: Any) -> str:
    with pytest.raises(InvalidRecordError) as caught:
        read(data, **options)
    return str(caught.value)


@pytest.mark.parametrize("data", [xlsx(ROWS), xlsx(ROWS, epoch=CALENDAR_MAC_1904), xls(ROWS), ods(ROWS)])
def test_values_come_with_their_types(data: bytes, tmp_path: Path) -> None:
    records = read_records(io.BytesIO(data))
    assert [column.type for column in records.columns] == ["number", "text", "date", "datetime", "number", "boolean"]
    assert records.description == "sheet 'A'"
    assert records.total_rows == 2
    assert list(records) == READ
    path = tmp_path / "book.xlsx"
    path.write_bytes(data)
    assert list(read_records(path)) == READ


def test_the_sheet_is_asked_for(command: Command, tmp_path: Path) -> None:
    data = xlsx(ROWS, [], ROWS[:2])
    assert "2 sheets with rows: 'A', 'C'. Choose one, such as sheet='A'." in asked(data)
    assert len(read(data, sheet="A")) == 2
    assert len(read(data, sheet=2)) == 1
    assert "has no sheet 'D'. It has: 'A', 'B', 'C'" in asked(data, sheet="D")
    assert read(xlsx(ROWS, [])) == READ
    assert "has no rows" in asked(xlsx([]))
    path = tmp_path / "book.xlsx"
    path.write_bytes(data)
    assert command("dataset", "ingest", "x", path, "--dry-run").code == 2
    for sheet, rows in (("A", 2), ("2", 1)):
        assert command("dataset", "ingest", "x", path, "--sheet", sheet, "--dry-run", "--json").json["rows"] == rows


def test_a_title_above_the_header() -> None:
    data = xlsx([["Sales report"], [], *ROWS])
    assert "sheet 'A', row 1: column 2 has no name. If the header is row 3, use skip_lines=2" in asked(data)
    assert read(data, skip_lines=2) == READ
    assert read(xlsx([[], [], *ROWS])) == READ


def test_no_header_and_totals() -> None:
    assert "'1' looks like a value" in asked(xlsx([["1", "x"], ["2", "y"]]))
    assert "looks like a value" in asked(xlsx([[1, "x"], [2, "y"], [3, "z"]]))
    assert len(read(xlsx([[1, "x"], [2, "y"]]), header=["id", "name"])) == 2
    said = asked(xlsx([[1, "x"], [2, "y"]]), header=["id"])
    assert ("row 1 has 2 fields, but there are 1 columns" in said, "delimiter" in said) == (True, False)
    data = xlsx([["id", "n"], [1, 5], [2, 7], ["Total", 12]])
    assert "row 4, the last: 'Total, 12' looks like a line of totals" in asked(data)
    assert len(read(data, skip_footer=1)) == 2


def test_errors_are_asked_about() -> None:
    def change(sheet: Any) -> None:
        sheet["B3"] = "#N/A"
        sheet["B3"].data_type = "e"

    data = xlsx([["id", "n"], [1, 5], [2, None], [3, 7]], change=change)
    assert "row 3, cell B3 is the error #N/A. If it stands for a missing value, use nulls=['#N/A']" in asked(data)
    assert [row["n"] for row in read(data, nulls=["#N/A"])] == [5, None, 7]


@pytest.mark.parametrize(
    ("pattern", "instead"),
    [(rb' r="[A-Z]+\d+"', b""), (rb' r="[A-Z]*\d+"', b""), (rb'(?<=<row) r="\d+"', b""), (b'"', b"'")],
    ids=["cells", "cells and rows", "rows", "other quotes"],
)
def test_cells_that_do_not_say_where_they_are_follow_each_other(pattern: bytes, instead: bytes) -> None:
    """Some programs leave it out. The library takes an error for an empty cell, and passes no zeros on."""

    def change(sheet: Any) -> None:
        sheet["C3"] = "#N/A"
        sheet["C3"].data_type = "e"
        sheet["B2"].number_format = "00000"

    data = with_parts(
        xlsx([["id", "zip", "n"], [1, 1067, 5], [2, 80331, None], [3, 1, 7]], change=change),
        lambda name, part: re.sub(pattern, instead, part) if "/sheet" in name else part,
    )
    assert "row 3, cell C3 is the error #N/A." in asked(data)
    assert read(data, nulls=["#N/A"]) == [
        {"id": 1, "zip": "01067", "n": 5},
        {"id": 2, "zip": "80331", "n": None},
        {"id": 3, "zip": "00001", "n": 7},
    ]


def test_errors_in_a_workbook_without_styles() -> None:
    def change(sheet: Any) -> None:
        sheet["B2"] = "#REF!"
        sheet["B2"].data_type = "e"

    data = xlsx([["id", "n"], [1, None]], change=change)
    assert "cell B2 is the error #REF!" in asked(
        with_parts(data, lambda name, part: None if "styles" in name else part)
    )


def test_a_workbook_without_sheets() -> None:
    assert "has no sheets" in asked(with_parts(xlsx(ROWS), lambda _, part: re.sub(rb"<sheet [^>]*/>", b"", part)))


def test_a_binary_workbook_says_what_it_cannot_tell() -> None:
    rows: list[list[Any]] = [["id", "zip"], [1, 1067], [2, None]]
    records = read_records(io.BytesIO(xlsb(rows)))
    assert list(records) == [{"id": 1, "zip": 1067}, {"id": 2, "zip": None}]
    (note,) = records.notes
    assert note.startswith("Cells with errors such as #N/A cannot be told from empty ones")
    zeros, same = read_records(io.BytesIO(xlsb(rows, "00000"))).notes
    assert ("leading zeros" in zeros, same) == (True, note)
    styles = zipfile.ZipFile(io.BytesIO(xlsb(rows))).getinfo("xl/styles.bin").CRC
    assert "is damaged: Bad CRC-32" in asked(xlsb(rows).replace(struct.pack("<I", styles), b"else"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            xls([["id", "n"], [1, 5], [2]], lambda sheet: sheet.row(2).set_cell_error(1, 42)),
            "cells with the error #N/A",
        ),
        (ods([["id", "n"], [1, 5], [2]], error="#N/A"), "row 3, cell B3 is the error #N/A"),
    ],
)
def test_errors_that_the_library_takes_for_empty_cells(data: bytes, words: str) -> None:
    assert words in asked(data)
    assert [row["n"] for row in read(data, nulls=["#N/A"])] == [5, None]


def test_a_formula_without_its_result_is_told() -> None:
    assert "cell B2 has a formula, but the file does not have its result" in asked(xlsx([["id", "n"], [1, "=1+1"]]))


def test_words_for_nothing_and_numbers_kept_as_text() -> None:
    assert "without 'n/a', the column would be numbers" in asked(xlsx([["n"], [1], ["n/a"], [2.5]]))
    assert read(xlsx([["n"], [1], ["2"], [2.5]])) == [{"n": 1}, {"n": 2}, {"n": 2.5}]
    mixed = read_records(io.BytesIO(xlsx([["n"], [1], [True]])))
    assert mixed.columns[0].note == "kept as text: boolean and number are mixed"
    assert [row["n"] for row in mixed] == ["1", "TRUE"]
    records = read_records(io.BytesIO(xlsx([["n"], [1], ["A2"], [2.5]])))
    assert records.columns[0].note == "kept as text: text and number are mixed"
    assert [row["n"] for row in records] == ["1", "A2", "2.5"]


def test_leading_zeros_that_the_workbook_shows() -> None:
    def change(sheet: Any) -> None:
        for cell in ("A2", "A3", "A4"):
            sheet[cell].number_format = "00000"

    assert read(xlsx([["zip", "n"], [1067, 1], [None, 2], [80331, 3]], change=change)) == [
        {"zip": "01067", "n": 1},
        {"zip": None, "n": 2},
        {"zip": "80331", "n": 3},
    ]


def test_a_day_among_datetimes_is_a_datetime_however_it_is_written() -> None:
    moment = datetime(2025, 12, 31, 10, 30)
    for first, second in ((moment, "2026-01-01"), (date(2025, 12, 31), "2026-01-01 10:00")):
        records = read_records(io.BytesIO(xlsx([["at"], [first], [second], [date(2026, 1, 2)], ["2026-01-03"]])))
        assert records.columns[0].type == "datetime"
        rows = [row["at"] for row in records]
        assert {type(value) for value in rows} == {datetime}
        assert rows[2:] == [datetime(2026, 1, 2), datetime(2026, 1, 3)]


def test_a_text_below_numbers_alone_is_an_error_that_says_all() -> None:
    data = xlsx([["id", "n"], *([n, n] for n in range(10_000)), [10_000, "many"]])
    said = asked(data)
    assert "row 10,002, column 'n': 'many' is text, but the column was number before it" in said
    assert read(data, columns={"n": "text"})[-1] == {"id": 10_000, "n": "many"}


@pytest.mark.parametrize(
    ("form", "value", "shown"),
    [
        ("[$-407]00000", 1067, "01067"),
        ("00000;-00000", 1067, "01067"),
        ("00000_)", 1067, "01067"),
        ("00000-0000", 12345678, "01234-5678"),
        (r"000\-00\-0000", 12345678, "012-34-5678"),
        ('"A-"000', 7, "A-007"),
        ("(00) 000", 1234, "(01) 234"),
        ("00", 12345, 12345),
        ("0", 7, 7),
        ('0 "days"', 7, 7),
        ("#,##0", 7, 7),
        ("00.00", 7, 7),
        ("[Red]0", 7, 7),
        ("0.00E+00", 7, 7),
        ("000,000", 7, 7),
    ],
)
def test_what_a_format_of_digits_shows(form: str, value: int, shown: object) -> None:
    data = xlsx([["id", "n"], [1, value]], change=lambda sheet: setattr(sheet["B2"], "number_format", form))
    assert read(data) == [{"id": 1, "n": shown}]


def number(value: str, shown: str, **more: str) -> Any:
    cell = TableCell(valuetype="float", value=value, **more)
    cell.addElement(P(text=shown))
    return cell


def test_leading_zeros_that_opendocument_shows() -> None:
    rows = [["id", "zip"], [1, number("1067", "01067")], [2, number("80331", "80331")]]
    assert [row["zip"] for row in read(ods(rows))] == ["01067", "80331"]


def test_other_workbooks_say_that_they_may_show_leading_zeros() -> None:
    zeros = xlwt.easyxf(num_format_str="00000")
    data = xls([["id", "zip"], [1]], lambda sheet: sheet.write(1, 1, 1067, zeros))
    records = read_records(io.BytesIO(data))
    assert "leading zeros" in records.notes[0]
    assert list(records) == [{"id": 1, "zip": 1067}]
    assert read_records(io.BytesIO(xls(ROWS))).notes == []


LONG = ["9007199254740993", "99999999999999999999", "1234567890123456", "-9007199254740993"]


def digit_for_digit(rows: list[list[Any]], digits: list[str]) -> bytes:
    """An .xlsx as other writers make it: openpyxl makes floats of numbers first."""

    def change(_: str, part: bytes) -> bytes:
        for n, text in enumerate(digits):
            part = part.replace(b"<v>%d</v>" % (700 + n), b"<v>%s</v>" % text.encode())
        return part

    return with_parts(xlsx([*rows, *([700 + n, 5] for n in range(len(digits)))]), change)


@pytest.mark.parametrize("before", [0, 3])
def test_whole_numbers_that_no_double_holds_stay_text(before: int) -> None:
    for data in (
        digit_for_digit([*[[]] * before, ["id", "n"]], LONG),
        ods([["id", "n"], *([number(text, text), 5] for text in LONG)], before=before),
    ):
        records = read_records(io.BytesIO(data))
        assert records.columns[0].type == "text"
        assert [row["id"] for row in records] == LONG


@pytest.mark.parametrize("before", [0, 3])
def test_what_opendocument_has_in_a_cell(before: int) -> None:
    def asked_of(*rows: list[Any]) -> str:
        return asked(ods([["id", "n"], *rows], before=before))

    other = Table(name="B")
    other.addElement(TableRow())
    assert read(ods([["id", "n"], [1, 5]], others=[other], before=before)) == [{"id": 1, "n": 5}]
    row = 3 + before
    broken = number("0", "", formula="of:=1/0")
    linked = Span()
    linked.addText("#DIV/0!")
    comment = Annotation()
    comment.addElement(P(text="Why?"))
    broken.childNodes[0].addElement(linked)
    broken.childNodes[0].addElement(comment)
    assert f"row {row}, cell B{row} is the error #DIV/0!. If it stands for a missing value" in asked_of(
        [1, 5], [2, broken]
    )
    assert read(ods([["id", "n"], [2, broken]], before=before), nulls=["#DIV/0!"]) == [{"id": 2, "n": None}]
    assert f"cell B{row} has a formula, but the file does not" in asked_of([1, 5], [2, TableCell(formula="of:=1+1")])
    spanned = number("5", "5", numberrowsspanned="2", numbercolumnsspanned="1")
    assert f"cells B{row}:B{row + 1} are merged" in asked_of([1, 5], [2, spanned], [3, CoveredTableCell()])
    three = number("7", "7", numbercolumnsrepeated="2")
    text = TableCell(valuetype="string")
    paragraph = P(text="a")
    for part in (S(c=2), Tab(), LineBreak()):
        paragraph.addElement(part)
        paragraph.addText("b")
    text.addElement(paragraph)
    text.addElement(P(text="c"))
    data = ods([["id", "n", "text"], [three, text], [1, 2, "x"]], before=before)
    assert read(data)[0] == {"id": 7, "n": 7, "text": "a  b\tb\nb\nc"}


@pytest.mark.parametrize(("value", "words"), [(time(10, 30), "times of day"), (timedelta(hours=30), "durations")])
def test_times_of_day_are_refused_and_may_be_text(value: Any, words: str) -> None:
    data = xlsx([["id", "t"], [1, value], [2, value]])
    assert words in asked(data)
    assert "columns={'t': 'text'}" in asked(data)
    assert [row["t"] for row in read(data, columns={"t": "text"})] == [str(value)] * 2


def test_merged_cells_are_asked_about() -> None:
    data = xlsx([["id", "n"], [1, 5], [2, None]], change=lambda sheet: sheet.merge_cells("B2:B3"))
    assert "the cells B2:B3 are merged" in asked(data)
    title = xlsx([["Report", None], ["id", "n"], [1, 5]], change=lambda sheet: sheet.merge_cells("A1:B1"))
    assert read(title, skip_lines=1) == [{"id": 1, "n": 5}]


def test_declared_columns() -> None:
    data = xlsx([["n", "d", "c"], ["1.234,5", "31.12.2025", 7], [2, date(2026, 1, 1), 8.5]])
    rows = read(data, columns={"n": "number", "d": "date", "c": "text"}, decimal=",")
    assert rows == [{"n": 1234.5, "d": date(2025, 12, 31), "c": "7"}, {"n": 2, "d": date(2026, 1, 1), "c": "8.5"}]
    assert "'d': '2026-01-01' is of type date" in asked(xlsx([["d"], [date(2026, 1, 1)]]), columns={"d": "number"})


def test_what_is_no_workbook(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(InvalidRecordError, match="not a workbook that can be read"):
        read_records(path)
    path.write_text("id;name\n1;Ann\n")  # what many programs write under this name
    assert list(read_records(path)) == [{"id": 1, "name": "Ann"}]


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(ImportError, match=r'pip install "databox-sdk\[excel\]"'):
        read(xlsx(ROWS))


@pytest.mark.parametrize("cut", [30, 200, 400, 900])
def test_a_workbook_that_is_not_whole(tmp_path: Path, cut: int) -> None:
    made = openpyxl.Workbook()
    sheet: Any = made.active
    sheet.append(["id", "name"])
    sheet.append([1, "x"])
    made.save(tmp_path / "a.xlsx")
    whole = (tmp_path / "a.xlsx").read_bytes()
    for damaged in (whole[:-cut], whole[:cut] + whole[cut + 20 :], whole[:-cut] + b"\0" * cut, whole[-cut:]):
        (tmp_path / "b.xlsx").write_bytes(damaged)
        try:
            rows = list(read_records(tmp_path / "b.xlsx"))
        except InvalidRecordError as error:
            assert "b.xlsx" in str(error)
        else:
            assert rows == [{"id": 1, "name": "x"}]


@pytest.mark.parametrize(
    "change",
    [
        lambda part: re.sub(rb'<c r="[A-Z]+\d+"', b"<c", part),
        lambda part: re.sub(rb'<(c|row) r="[A-Z]*\d+"', rb"<\1", part),
        lambda part: part.replace(b'"', b"'"),
        lambda part: part.replace(b"<v>", b'<v xml:space="preserve">'),
    ],
    ids=["cells without places", "rows without places", "single quotes", "attributes of values"],
)
@pytest.mark.parametrize("special", ["error", "formula", "zeros", "long"])
def test_what_is_asked_does_not_depend_on_how_the_xml_is_written(special: str, change: Any) -> None:
    def prepare(sheet: Any) -> None:
        if special == "zeros":
            for row in (2, 3):
                sheet.cell(row, 2).number_format = "00000"
        elif special != "long":
            sheet.cell(3, 2, "#N/A" if special == "error" else "=A1")

    data = xlsx([["id", "n"], [1, 7], [2, 8]], change=prepare)
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as given, zipfile.ZipFile(written, "w") as changed:
        for name in given.namelist():
            part = given.read(name)
            if special == "long":
                part = part.replace(b"<v>8<", b"<v>9007199254740993<")
            changed.writestr(name, change(part) if "worksheets/" in name else part)
    if special in {"error", "formula"}:
        assert "row 3, cell B3" in asked(written.getvalue())
    else:
        column = [row["n"] for row in read(written.getvalue())]
        assert column == (["00007", "00008"] if special == "zeros" else ["7", "9007199254740993"])


@pytest.mark.parametrize("value", [{"valuetype": "float", "value": "0"}, {"valuetype": "string", "stringvalue": ""}])
@pytest.mark.parametrize("shown", ["#NV", "#WERT!", "#BEZUG!", "#NOM ?", "#¡DIV/0!", "#ЗНАЧ!"])
def test_an_error_in_another_language_is_asked_about(shown: str, value: dict[str, str]) -> None:
    cell = TableCell(formula="of:=NA()", **value)
    cell.addElement(P(text=shown))
    data = ods([["id", "n"], [1, cell], [2, 3]])
    assert f"cell B2 is the error {shown}" in asked(data)
    assert read(data, nulls=[shown])[0] == {"id": 1, "n": None}


@pytest.mark.parametrize("shown", ["#7", "# of them", "#NV"])
def test_a_text_that_looks_like_an_error_is_a_text(shown: str) -> None:
    cell = TableCell(formula="of:=A1", valuetype="string", stringvalue=shown)
    cell.addElement(P(text=shown))
    assert read(ods([["id", "n"], [1, cell], [2, "x"]]))[0] == {"id": 1, "n": shown}


def test_a_cell_that_says_that_it_is_an_error_is_one() -> None:
    cell = TableCell(formula="of:=X()", valuetype="string", stringvalue="")
    cell.setAttrNS("urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0", "value-type", "error")
    cell.addElement(P(text="Fehler"))
    assert "cell B2 is the error Fehler" in asked(ods([["id", "n"], [1, cell], [2, 3]]))


def test_a_note_apart_from_a_narrow_table_is_asked_about() -> None:
    rows: list[list[Any]] = [["k", "v"], ["a", 1], ["b", 2]]
    assert "row 5, the last: 'Source: ERP,' looks like a line of totals, or a note" in asked(
        xlsx([*rows, [], ["Source: ERP"]])
    )
    assert read(xlsx([*rows, ["c"]]))[-1] == {"k": "c", "v": None}
