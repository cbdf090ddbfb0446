"""Reports as files: one table of plain rows for spreadsheets and notebooks.

Every row is one number of a report as it may be shown, so a file holds what the page holds.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from io import BytesIO, StringIO
from typing import Any, Final, NamedTuple

from mailprefs.errors import Conflict
from mailprefs.reports.breakdowns import Breakdown
from mailprefs.reports.campaigns import Opens, Report
from mailprefs.reports.cells import Cell

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet may take for the beginning of a formula (OWASP, CSV injection)."""
_NO_PARQUET: Final = (
    "Parquet files need the package pyarrow, which isn't installed here: pip install "
    "'mailprefs[parquet]'. CSV and JSON hold the same numbers."
)


class Row(NamedTuple):
    """One number: of which campaign, table and value; how it is shown, and of how many."""

    campaign: int
    table: str
    value: str
    shown: str
    n: int | None
    of: int | None
    rate: float | None
    low: float | None = None
    high: float | None = None


def rows(report: Report) -> list[Row]:
    """Give all numbers of a report."""
    number = report.campaign_id
    found = [
        Row(number, "mailbox", event, "exact", n, None, None) for event, n in report.mailbox.items()
    ]
    return found + (list(_opens(number, report.opens)) if report.opens else [])


def as_csv(named: Any, found: Iterable[Sequence[object]]) -> str:  # noqa: ANN401 - a class of named tuples, which typing has no name for
    """Write rows as CSV (RFC 4180); no cell is a formula to a spreadsheet."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(named._fields)
    writer.writerows([_harmless(value) for value in row] for row in found)
    return text.getvalue()


def as_parquet(named: Any, found: Iterable[Sequence[object]]) -> bytes:  # noqa: ANN401 - as above
    """Write rows as Parquet.

    :raises Conflict: where the optional package isn't installed, saying how to get it.
    """
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise Conflict(_NO_PARQUET) from error
    kinds = {str: arrow.string(), int: arrow.int64(), float: arrow.float64()}
    schema = arrow.schema(
        (name, next(kinds[kind] for kind in kinds if kind.__name__ in str(hint)))
        for name, hint in named.__annotations__.items()
    )
    listed = [dict(zip(named._fields, row, strict=True)) for row in found]
    file = BytesIO()
    parquet.write_table(arrow.Table.from_pylist(listed, schema=schema), file)
    return file.getvalue()


def _opens(number: int, opens: Opens) -> Iterator[Row]:
    if opens.measured:
        yield Row(number, "totals", "measured", "exact", opens.measured, None, opens.share)
    for name, cell in (("reported", opens.reported), ("confirmed", opens.confirmed)):
        yield _of_cell(number, name, cell)
    if opens.estimate is not None:
        rate, low, high, *_ = opens.estimate
        yield Row(number, "totals", "estimated", "exact", None, opens.measured, rate, low, high)
    for letter, n in (opens.inputs or {}).items():
        yield Row(number, "inputs", letter, "exact", n, None, None)
    if opens.loads is not None:
        yield Row(number, "totals", "loads", "exact", opens.loads, None, None)
    for table in opens.tables:
        yield from _of_table(number, table)


def _of_table(number: int, table: Breakdown) -> Iterator[Row]:
    for part in table.parts:
        value = part.label if table.name == "client" else part.value
        yield Row(number, table.name, value, "exact", part.opens, table.of, part.rate)
    rest = table.rest
    if rest.opens:
        yield Row(number, table.name, rest.label, "rest", rest.opens, table.of, rest.rate)


def _of_cell(number: int, name: str, cell: Cell) -> Row:
    return Row(number, "totals", name, cell.shown.value, cell.n, cell.of, cell.rate)


def _harmless(value: object) -> object:
    """Put a quote before what a spreadsheet would run; numbers stay numbers."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
