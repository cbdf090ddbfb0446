"""Reports for programs: described, without filters, and the same in every form."""

import csv
from io import BytesIO, StringIO
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft202012Validator

from mailprefs.policy import Role
from mailprefs.schema.people import Topic
from mailprefs.web.parts import Parts
from tests.web.api.conftest import sent
from tests.web.staff.browsing import Browser


def described(browser: Browser, path: str) -> Draft202012Validator:
    """Give what checks answers of *path* against the description that is served."""
    document = browser.get("/api/openapi.json").json
    assert document
    answers = document["paths"][path]["get"]["responses"]
    schema = answers["200"]["content"]["application/json"]["schema"]
    return Draft202012Validator(schema | {"components": document["components"]})


def answer(browser: Browser, path: str) -> Any:  # noqa: ANN401 - whatever JSON comes
    response = browser.get(path)
    assert response.status_code == 200, response.text
    return response.json


def test_a_report_is_exact_for_who_sends_and_in_fives_for_who_analyses(
    browser: Browser, number: int
) -> None:
    path = f"/api/campaigns/{number}/report"
    browser.sign_in_as(Role.SEND)
    exact = answer(browser, path)
    assert exact["opens"]["confirmed"]["n"] == 172
    assert exact["opens"]["measured"] == 1_001
    assert exact["rounded_to"] == 1
    browser.sign_in_as(Role.ANALYSE)
    fives = answer(browser, path)
    assert fives["opens"]["confirmed"] == {"shown": "exact", "n": 170, "of": 1000, "rate": 0.17}
    assert fives["rounded_to"] == 5
    counts = [one["opens"] for table in fives["opens"]["tables"].values() for one in table["cells"]]
    assert counts and not any(n % 5 for n in counts)


@pytest.mark.parametrize("role", [Role.ANALYSE, Role.SEND])
def test_every_answer_is_as_described(
    browser: Browser, parts: Parts, number: int, notice: int, role: Role
) -> None:
    other = sent(parts, "Summer letter", opened=210)
    browser.sign_in_as(role)
    for schema in answer(browser, "/api/openapi.json")["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for path, ids in (
        ("/api/campaigns", [""]),
        ("/api/campaigns/{id}", [number, notice]),
        ("/api/campaigns/{id}/report", [number, notice]),
        ("/api/topics/months", [""]),
        ("/api/compare", [f"?campaign={number}&campaign={other}"]),
    ):
        check = described(browser, path)
        for one in ids:
            asked = path.format(id=one) if "{id}" in path else f"{path}{one}"
            check.validate(answer(browser, asked))


def test_the_description_names_every_route_and_no_other(browser: Browser, parts: Parts) -> None:
    browser.sign_in_as(Role.ANALYSE)
    served = {
        rule.rule.replace("<int:campaign_id>", "{id}").replace("<name>", "{name}")
        for rule in browser.client.application.url_map.iter_rules()
        if rule.rule.startswith("/api/")
    }
    assert set(answer(browser, "/api/openapi.json")["paths"]) == served


@pytest.mark.parametrize(
    "path",
    [
        "/api/campaigns?topic=news",
        "/api/campaigns/{number}/report?country=IS",
        "/api/campaigns/{number}/report?without=17",
        "/api/campaigns/{number}/report.csv?day=2026-03-02",
        "/api/topics/months?month=2026-03",
        "/api/compare?campaign=1&campaign=2&country=DE",
        "/api/openapi.json?x=",
    ],
)
def test_nothing_can_be_filtered(browser: Browser, number: int, path: str) -> None:
    browser.sign_in_as(Role.ANALYSE)
    response = browser.get(path.format(number=number))
    assert response.status_code == 400
    assert response.json
    assert "no free filters" in response.json["error"]


def test_csv_holds_the_numbers_of_the_answer(browser: Browser, number: int) -> None:
    browser.sign_in_as(Role.ANALYSE)
    opens = answer(browser, f"/api/campaigns/{number}/report")["opens"]
    response = browser.get(f"/api/campaigns/{number}/report.csv")
    assert (
        response.headers["Content-Disposition"] == f'attachment; filename="campaign-{number}.csv"'
    )
    rows = list(csv.DictReader(StringIO(response.text)))
    told = {(row["table"], row["value"]): row for row in rows}
    assert told["totals", "confirmed"]["n"] == str(opens["confirmed"]["n"])
    assert float(told["totals", "estimated"]["low"]) == pytest.approx(
        opens["estimated"]["interval"][0], abs=1e-3
    )
    for name in ("day", "country", "client"):
        of_it = [int(row["n"]) for row in rows if row["table"] == name]
        table = opens["tables"][name]
        rest = [table["rest"]["opens"]] if table["rest"]["opens"] else []
        assert of_it == [one["opens"] for one in table["cells"]] + rest


def test_no_cell_of_a_csv_is_a_formula(browser: Browser, parts: Parts) -> None:
    sent(parts, "Spring letter", opened=152)
    with parts.db.transaction() as session:
        session.query(Topic).update({"name": '=HYPERLINK("https://evil.example")'})
    browser.sign_in_as(Role.SEND)
    (row,) = csv.DictReader(StringIO(browser.get("/api/topics/months.csv").text))
    assert row["topic_name"] == '\'=HYPERLINK("https://evil.example")'
    assert row["confirmed"] == "172"


def test_months_add_up_what_campaigns_tell(browser: Browser, parts: Parts, number: int) -> None:
    browser.sign_in_as(Role.SEND)
    (month,) = answer(browser, "/api/topics/months")["months"]
    assert (month["campaigns"], month["left_out"]) == (1, 0)
    assert (month["measured"], month["confirmed"], month["reported"]) == (1_001, 172, 652)
    assert month["confirmed_rate"] == 0.172


def test_a_verdict_needs_a_difference_that_chance_does_not_make(
    browser: Browser, parts: Parts, number: int
) -> None:
    near, far = sent(parts, "Near", opened=160), sent(parts, "Far", opened=260)
    browser.sign_in_as(Role.SEND)
    (pair,) = answer(browser, f"/api/compare?campaign={number}&campaign={near}")["pairs"]
    assert pair["certain"] is False
    assert pair["interval"][0] < 0 < pair["interval"][1]
    assert "chance" in pair["verdict"]
    (pair,) = answer(browser, f"/api/compare?campaign={number}&campaign={far}")["pairs"]
    assert pair["certain"] is True
    assert "Far" in pair["verdict"]
    for asked in ("", f"?campaign={number}", f"?campaign={number}&campaign=x"):
        assert browser.get(f"/api/compare{asked}").status_code == 400


@pytest.mark.parametrize("name", ["rates", "day", "country", "client", "day-narrow"])
def test_a_chart_is_a_picture_that_runs_and_loads_nothing(
    browser: Browser, number: int, name: str
) -> None:
    browser.sign_in_as(Role.ANALYSE)
    response = browser.get(f"/api/campaigns/{number}/charts/{name}.svg")
    assert response.status_code == 200
    assert response.mimetype == "image/svg+xml"
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    tree = ET.fromstring(response.text)  # noqa: S314 - our own picture
    assert tree.tag.endswith("svg")
    for word in ("<script", "<style", "href", "style=", "url(", "onload"):
        assert word not in response.text
    assert browser.get(f"/api/campaigns/{number}/charts/hour.svg").status_code == 404


def test_a_name_is_no_markup_in_a_chart(browser: Browser, parts: Parts) -> None:
    one, other = (sent(parts, "<b>&x", opened=opened) for opened in (152, 260))
    browser.sign_in_as(Role.ANALYSE)
    text = browser.get(f"/api/compare.svg?campaign={one}&campaign={other}").text
    assert "&lt;b&gt;&amp;x" in text
    ET.fromstring(text)  # noqa: S314 - our own picture


def test_parquet_without_its_package_says_how_to_get_it(
    browser: Browser, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    browser.sign_in_as(Role.ANALYSE)
    response = browser.get(f"/api/campaigns/{number}/report.parquet")
    assert response.status_code == 409
    assert response.json
    assert "mailprefs[parquet]" in response.json["error"]


def test_parquet_holds_the_rows_of_the_csv(browser: Browser, number: int) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    browser.sign_in_as(Role.ANALYSE)
    for path in (f"/api/campaigns/{number}/report", "/api/topics/months"):
        response = browser.get(f"{path}.parquet")
        assert response.mimetype == "application/vnd.apache.parquet"
        found = parquet.read_table(BytesIO(response.data)).to_pylist()
        rows = list(csv.DictReader(StringIO(browser.get(f"{path}.csv").text)))
        assert [list(row) for row in found] == [list(row) for row in rows]
        assert [row.get("n", row.get("confirmed")) for row in found] == [
            int(n) if (n := row.get("n", row.get("confirmed"))) else None for row in rows
        ]
