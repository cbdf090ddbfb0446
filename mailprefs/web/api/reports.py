"""Reports for programs: JSON, CSV, Parquet and pictures, all of the same released numbers."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from flask import Blueprint, Response, jsonify

from mailprefs.errors import NotFound
from mailprefs.policy import Role
from mailprefs.reports import catalogue, cells, charts, exports
from mailprefs.reports.campaigns import Report, report
from mailprefs.web import auth
from mailprefs.web.api import asking
from mailprefs.web.api.asking import takes
from mailprefs.web.current import here

READING_REPORTS: Final = (Role.DRAFT, Role.SEND, Role.APPROVE, Role.ANALYSE, Role.ADMIN)
"""Who may read a campaign's report: everybody who works on campaigns or with their numbers."""
_PICTURE: Final = "default-src 'none'; sandbox"
"""A picture runs and loads nothing, also when it is opened by itself."""
_CSV: Final = "text/csv; charset=utf-8"
_PARQUET: Final = "application/vnd.apache.parquet"
_WIDTHS: Final = {"": charts.WIDE, "-narrow": charts.NARROW}

routes = Blueprint("reports", __name__)


@routes.get("/campaigns/<int:campaign_id>/report")
@auth.only(*READING_REPORTS)
def campaign(campaign_id: int) -> Response:
    """Report one campaign's mail and opens; analysts get counts in fives.

    :raises NotFound: for an unknown campaign.
    """
    return jsonify(_report(campaign_id).as_json())


@routes.get("/campaigns/<int:campaign_id>/report.csv")
@auth.only(*READING_REPORTS)
def campaign_csv(campaign_id: int) -> Response:
    """Give the same numbers as CSV.

    :raises NotFound: for an unknown campaign.
    """
    return _csv(f"campaign-{campaign_id}", exports.Row, exports.rows(_report(campaign_id)))


@routes.get("/campaigns/<int:campaign_id>/report.parquet")
@auth.only(*READING_REPORTS)
def campaign_parquet(campaign_id: int) -> Response:
    """Give the same numbers as Parquet.

    :raises NotFound: for an unknown campaign.
    :raises Conflict: where the optional package isn't installed.
    """
    return _parquet(f"campaign-{campaign_id}", exports.Row, exports.rows(_report(campaign_id)))


@routes.get("/campaigns/<int:campaign_id>/charts/<name>")
@auth.only(*READING_REPORTS)
def chart(campaign_id: int, name: str) -> Response:
    """Draw a campaign's rates, or one of its breakdowns; *name* ends with .svg.

    :raises NotFound: for an unknown campaign, and for a chart of what isn't told.
    """
    kind, narrow, _ = name.removesuffix(".svg").partition("-narrow")
    return _picture(_drawn(_report(campaign_id), kind, _WIDTHS[narrow]))


@routes.get("/topics/months")
@auth.only(*READING_REPORTS)
def months() -> Response:
    """Give every topic's months: its campaigns added up."""
    return jsonify(months=[one.as_json() for one in _months()], rounded_to=_rounded_to())


@routes.get("/topics/months.csv")
@auth.only(*READING_REPORTS)
def months_csv() -> Response:
    """Give the same as CSV."""
    return _csv("topics", catalogue.Month, _months())


@routes.get("/topics/months.parquet")
@auth.only(*READING_REPORTS)
def months_parquet() -> Response:
    """Give the same as Parquet.

    :raises Conflict: where the optional package isn't installed.
    """
    return _parquet("topics", catalogue.Month, _months())


@routes.get("/compare")
@auth.only(*READING_REPORTS)
@takes("campaign")
def compare() -> Response:
    """Put campaigns side by side, each two of them with the interval of their difference.

    :raises BadInput: for fewer than two campaigns, or too many.
    :raises NotFound: for an unknown campaign.
    """
    reports, pairs = _compared()
    return jsonify(
        campaigns=[one.as_json() for one in reports], pairs=[one.as_json() for one in pairs]
    )


@routes.get("/compare.svg", defaults={"narrow": ""})
@routes.get("/compare-narrow.svg", defaults={"narrow": "-narrow"})
@auth.only(*READING_REPORTS)
@takes("campaign")
def compare_chart(narrow: str) -> Response:
    """Draw the estimated rates of campaigns with their intervals, for a page or for a phone.

    :raises BadInput: for fewer than two campaigns, or too many.
    :raises NotFound: for an unknown campaign.
    """
    return _picture(charts.of_comparison(_compared()[0], _WIDTHS[narrow]))


def rounded() -> bool:
    """Tell whether whoever asks gets counts in fives."""
    return not auth.member().sees_exact_numbers


def _rounded_to() -> int:
    return cells.ROUNDED_TO if rounded() else 1


def _report(campaign_id: int) -> Report:
    parts = here()
    with parts.db.reading() as session:
        return report(session, campaign_id, now=parts.clock(), rounded=rounded())


def _months() -> list[catalogue.Month]:
    with here().db.reading() as session:
        return catalogue.months(session, rounded=rounded())


def _compared() -> tuple[list[Report], list[catalogue.Pair]]:
    parts = here()
    asked = asking.campaigns()
    with parts.db.reading() as session:
        return catalogue.compared(session, asked, now=parts.clock(), rounded=rounded())


def _drawn(found: Report, kind: str, width: int) -> str:
    if kind == "rates":
        return charts.of_rates(found, width)
    table = found.opens.table(kind) if found.opens else None
    if table is None:
        raise NotFound("Of this campaign there is no such chart: what it would show isn’t told.")
    if kind in {"day", "hour"}:
        return charts.of_times(table, found.zone, width)
    return charts.of_values(table, width)


def _csv(name: str, named: Any, rows: Iterable[Sequence[object]]) -> Response:  # noqa: ANN401 - a class of named tuples, which typing has no name for
    return _file(f"{name}.csv", _CSV, lambda: exports.as_csv(named, rows).encode())


def _parquet(name: str, named: Any, rows: Iterable[Sequence[object]]) -> Response:  # noqa: ANN401 - as above
    return _file(f"{name}.parquet", _PARQUET, lambda: exports.as_parquet(named, rows))


def _file(name: str, kind: str, made: Callable[[], bytes]) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(made(), headers=headers, content_type=kind)


def _picture(drawn: str) -> Response:
    headers = {"Content-Security-Policy": _PICTURE}
    return Response(drawn, headers=headers, content_type="image/svg+xml")
