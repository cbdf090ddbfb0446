"""Every staff page and API route against every role: who gets in is written down here, once more.

A new route fails until it stands in the table; a route that lets more people in than it says, or
fewer, fails too.
"""

from pathlib import Path

import pytest
from flask import Flask
from pydantic import SecretStr

from mailprefs.app import build, create_app
from mailprefs.policy import Role
from mailprefs.settings import Settings
from mailprefs.web.parts import Parts
from tests.snapshots import snapshot
from tests.web.conftest import ADDRESS_KEY, TOKEN_KEY, NoVendor
from tests.web.staff.browsing import BASE, Browser

NOBODY_ELSE: frozenset[Role] = frozenset()
ALL_STAFF = frozenset(Role)
WRITES = frozenset({Role.DRAFT})
SENDS = frozenset({Role.SEND})
APPROVES = frozenset({Role.APPROVE})
SEES_PEOPLE = frozenset({Role.SEND, Role.PRIVACY, Role.ADMIN})
READS_NUMBERS = frozenset({Role.DRAFT, Role.SEND, Role.APPROVE, Role.ANALYSE, Role.ADMIN})
LIFTS = frozenset({Role.PRIVACY})
RUNS_STAFF = frozenset({Role.ADMIN})
PUBLISHES = frozenset({Role.PRIVACY, Role.ADMIN})
READS_AUDIT = frozenset({Role.PRIVACY, Role.ADMIN})

DOORS = {
    ("GET", "/staff/sign-in"),
    ("POST", "/staff/sign-in"),
    ("GET", "/staff/sign-in/<token>"),
    ("POST", "/staff/sign-in/<token>"),
}
# Open to all staff, also to somebody who has no role yet.
FOR_ALL = {
    ("GET", "/staff/"),
    ("GET", "/staff/account"),
    ("GET", "/staff/alarms"),
    ("GET", "/staff/<path:anywhere>"),
    ("POST", "/staff/account/password"),
    ("POST", "/staff/sign-out"),
    ("GET", "/staff/campaigns"),
    ("GET", "/staff/campaigns/rows"),
    ("GET", "/staff/campaigns/<int:campaign_id>"),
    ("GET", "/staff/campaigns/<int:campaign_id>/progress"),
    ("GET", "/staff/campaigns/<int:campaign_id>/begins"),
    ("GET", "/staff/campaigns/<int:campaign_id>/preview"),
    ("GET", "/staff/campaigns/<int:campaign_id>/unknown"),
    ("GET", "/staff/topics"),
    ("GET", "/staff/topics/sign-up"),
}
# For programs with a key of their own; no session of anybody's opens them.
KEYED = {("POST", "/api/choices"), ("POST", "/api/sign-ups")}
FOR_SOME = {
    ("GET", "/staff/campaigns/new"): WRITES,
    ("POST", "/staff/campaigns/new"): WRITES,
    ("GET", "/staff/campaigns/<int:campaign_id>/edit"): WRITES,
    ("POST", "/staff/campaigns/<int:campaign_id>/edit"): WRITES,
    ("POST", "/staff/campaigns/<int:campaign_id>/test"): WRITES,
    ("POST", "/staff/campaigns/<int:campaign_id>/preview"): WRITES | SENDS | APPROVES,
    ("GET", "/staff/campaigns/<int:campaign_id>/review"): SENDS,
    ("POST", "/staff/campaigns/<int:campaign_id>/send"): SENDS,
    ("POST", "/staff/campaigns/<int:campaign_id>/undo"): SENDS,
    ("POST", "/staff/campaigns/<int:campaign_id>/pause"): SENDS,
    ("POST", "/staff/campaigns/<int:campaign_id>/resume"): SENDS,
    ("POST", "/staff/campaigns/<int:campaign_id>/cancel"): SENDS,
    ("POST", "/staff/campaigns/<int:campaign_id>/unknown/resend"): SENDS,
    ("POST", "/staff/campaigns/<int:campaign_id>/unknown/accept"): SENDS,
    ("POST", "/staff/campaigns/<int:campaign_id>/approve"): APPROVES,
    ("POST", "/staff/campaigns/<int:campaign_id>/public-page/publish"): WRITES | SENDS,
    ("POST", "/staff/campaigns/<int:campaign_id>/public-page/withdraw"): WRITES | SENDS,
    ("POST", "/staff/sending/start"): SENDS,
    ("GET", "/staff/people"): SEES_PEOPLE,
    ("POST", "/staff/people"): SEES_PEOPLE,
    ("GET", "/staff/people/<int:recipient_id>"): SEES_PEOPLE,
    ("POST", "/staff/people/<int:recipient_id>/unsubscribe"): SEES_PEOPLE,
    ("POST", "/staff/people/<int:recipient_id>/less"): SEES_PEOPLE,
    ("POST", "/staff/people/<int:recipient_id>/lift"): LIFTS,
    ("POST", "/staff/people/<int:recipient_id>/export"): LIFTS,
    ("GET", "/staff/erasures"): LIFTS,
    ("POST", "/staff/erasures/<int:recipient_id>"): LIFTS,
    ("GET", "/staff/legal"): LIFTS,
    ("GET", "/staff/legal/disclosures.csv"): LIFTS,
    ("POST", "/staff/legal/disclosures"): LIFTS,
    ("POST", "/staff/legal/people/<int:recipient_id>/hold"): LIFTS,
    ("POST", "/staff/legal/people/<int:recipient_id>/export"): LIFTS,
    ("POST", "/staff/legal/holds/<int:hold_id>/lift"): LIFTS,
    ("POST", "/staff/legal/holds/<int:hold_id>/copy"): LIFTS,
    ("GET", "/staff/suppressions"): SEES_PEOPLE,
    ("GET", "/staff/inbound"): LIFTS,
    ("POST", "/staff/inbound/<int:number>"): LIFTS,
    ("GET", "/staff/inbound/<int:number>"): LIFTS,
    ("POST", "/staff/inbound/<int:number>/erase"): LIFTS,
    ("POST", "/staff/inbound/<int:number>/handled"): LIFTS,
    ("GET", "/staff/keys"): RUNS_STAFF,
    ("POST", "/staff/keys/<int:key_id>/revoke"): RUNS_STAFF,
    ("GET", "/staff/team"): RUNS_STAFF,
    ("POST", "/staff/team"): RUNS_STAFF,
    ("POST", "/staff/team/<int:staff_id>/link"): RUNS_STAFF,
    ("POST", "/staff/team/<int:staff_id>/roles"): RUNS_STAFF,
    ("POST", "/staff/team/<int:staff_id>/close"): RUNS_STAFF,
    ("POST", "/staff/team/<int:staff_id>/open"): RUNS_STAFF,
    ("GET", "/staff/audit"): READS_AUDIT,
    ("GET", "/staff/policy"): PUBLISHES,
    ("GET", "/staff/policy/new"): PUBLISHES,
    ("POST", "/staff/policy/new"): PUBLISHES,
    ("GET", "/staff/policy/<int:number>"): PUBLISHES,
    ("POST", "/staff/policy/<int:number>/rest"): PUBLISHES,
    ("POST", "/staff/policy/<int:number>/postpone"): PUBLISHES,
    ("POST", "/staff/policy/<int:number>/withdraw"): PUBLISHES,
    ("POST", "/staff/policy/<int:number>/proof.csv"): PUBLISHES,
    ("GET", "/api/campaigns"): READS_NUMBERS,
    ("GET", "/api/campaigns/<int:campaign_id>"): READS_NUMBERS,
    ("GET", "/api/campaigns/<int:campaign_id>/report"): READS_NUMBERS,
    ("GET", "/api/campaigns/<int:campaign_id>/report.csv"): READS_NUMBERS,
    ("GET", "/api/campaigns/<int:campaign_id>/report.parquet"): READS_NUMBERS,
    ("GET", "/api/campaigns/<int:campaign_id>/charts/<name>"): READS_NUMBERS,
    ("GET", "/api/topics/months"): READS_NUMBERS,
    ("GET", "/api/topics/months.csv"): READS_NUMBERS,
    ("GET", "/api/topics/months.parquet"): READS_NUMBERS,
    ("GET", "/api/compare"): READS_NUMBERS,
    ("GET", "/api/compare.svg"): READS_NUMBERS,
    ("GET", "/api/compare-narrow.svg"): READS_NUMBERS,
    ("GET", "/api/openapi.json"): READS_NUMBERS,
    ("GET", "/staff/reports"): READS_NUMBERS,
    ("GET", "/staff/reports/<int:campaign_id>"): READS_NUMBERS,
    ("GET", "/staff/reports/topics"): READS_NUMBERS,
    ("GET", "/staff/reports/compare"): READS_NUMBERS,
    ("GET", "/staff/reports/how"): READS_NUMBERS,
    ("POST", "/staff/reports/<int:campaign_id>/release"): READS_NUMBERS - {Role.ANALYSE},
}


@pytest.fixture
def parts(tmp_path: Path, sqlite_url: str) -> Parts:
    """Give one installation: who may call a route doesn't hang on the kind of database."""
    settings = Settings(
        data_dir=tmp_path / "data",
        database_url=sqlite_url,
        base_url=BASE,
        token_keys=SecretStr(TOKEN_KEY),
        address_key=SecretStr(ADDRESS_KEY),
    )
    return build(settings, vendor=NoVendor())


@pytest.fixture
def app(parts: Parts) -> Flask:
    return create_app(parts)


def routes(app: Flask) -> set[tuple[str, str]]:
    return {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(("/staff", "/api"))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def call(browser: Browser, method: str, rule: str, token: str) -> tuple[int, str]:
    """Call a route with number 9, which nothing has; give its status and where it leads."""
    path = "/".join("9" if part.startswith("<") else part for part in rule.split("/"))
    data = {"csrf_token": token} if method == "POST" else None
    response = browser.client.open(path, method=method, base_url=BASE, data=data)
    return response.status_code, response.headers.get("Location", "")


def test_every_staff_and_api_route_stands_in_the_table_once(app: Flask) -> None:
    assert routes(app) == DOORS | FOR_ALL | KEYED | set(FOR_SOME)
    assert len(routes(app)) == len(DOORS) + len(FOR_ALL) + len(KEYED) + len(FOR_SOME)


def test_whoever_is_not_signed_in_gets_no_further_than_the_doors(
    app: Flask,
    parts: Parts,
) -> None:
    browser = Browser(app, parts)
    token = browser.token()
    for method, rule in sorted(routes(app) - DOORS):
        status, location = call(browser, method, rule, token)
        if rule.startswith("/api"):
            assert status == 401, rule
        else:
            assert status == 303, rule
            assert location.startswith("/staff/sign-in"), rule


@pytest.mark.parametrize("role", [None, *Role])
def test_each_role_opens_its_own_routes_and_no_others(
    app: Flask,
    parts: Parts,
    role: Role | None,
) -> None:
    browser = Browser(app, parts)
    browser.sign_in_as(*([role] if role else []))
    token = browser.token()
    own = FOR_ALL | {route for route, roles in FOR_SOME.items() if role in roles}
    before = snapshot(parts.db)
    for method, rule in sorted(routes(app) - DOORS - KEYED - own):
        assert call(browser, method, rule, token)[0] == 403, rule
    for method, rule in sorted(KEYED):
        assert call(browser, method, rule, token)[0] == 401, rule
    assert snapshot(parts.db) == before
    for method, rule in sorted(own - {("POST", "/staff/sign-out")}):
        status, location = call(browser, method, rule, token)
        assert status not in {401, 403} and status < 500, rule
        assert not location.startswith("/staff/sign-in"), rule


def test_asking_changes_nothing_for_whoever_may_do_everything(
    app: Flask,
    parts: Parts,
) -> None:
    browser = Browser(app, parts)
    browser.sign_in_as(*Role)
    before = snapshot(parts.db)
    for method, rule in sorted(routes(app)):
        if method == "GET":
            call(browser, method, rule, "")
    assert snapshot(parts.db) == before


@pytest.mark.parametrize("form", [{}, {"csrf_token": "x"}])
def test_no_route_takes_a_form_that_is_not_ours(
    app: Flask,
    parts: Parts,
    form: dict[str, str],
) -> None:
    browser = Browser(app, parts)
    browser.sign_in_as(*Role)
    for method, rule in sorted(routes(app)):
        if method == "POST":
            path = "/".join("9" if part.startswith("<") else part for part in rule.split("/"))
            response = browser.client.post(path, base_url=BASE, data=form)
            if (method, rule) in KEYED:
                assert response.status_code == 401, rule
                continue
            assert response.status_code == 403, rule
            assert "out of date" in response.text, rule
