"""Staff pages in Debian's Chromium: accessible, calm under their own policy, and alive."""

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright
from pydantic import SecretStr
from sqlalchemy import update
from werkzeug.serving import BaseWSGIServer, make_server

from mailprefs.app import create_app
from mailprefs.policy import Role
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import Batch, BatchState
from mailprefs.settings import Environment, Settings
from mailprefs.vendor.message import Outcome, Verdict
from mailprefs.web.parts import Parts
from tests.sending import answer, freeze_all, take_one
from tests.web.conftest import ADDRESS_KEY, TOKEN_KEY
from tests.web.staff.browsing import Browser
from tests.web.staff.test_alarms import raised
from tests.web.staff.test_campaigns import begun

pytestmark = pytest.mark.browser

CHROMIUM = Path("/usr/bin/chromium")
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Give one database: a browser doesn't see which it is."""
    return sqlite_url


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        database_url=database_url,
        base_url="http://127.0.0.1:8400",
        environment=Environment.SANDBOX,
        sendgrid_host="http://127.0.0.1:1",
        token_keys=SecretStr(TOKEN_KEY),
        address_key=SecretStr(ADDRESS_KEY),
    )


@pytest.fixture
def site(parts: Parts) -> Iterator[str]:
    """Give the address of the pages, served on this machine."""
    server: BaseWSGIServer = make_server("127.0.0.1", 0, create_app(parts), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def open_page(parts: Parts, site: str) -> Iterator[Callable[..., Page]]:
    """Give a function that opens a window, signed in with every role unless told otherwise."""
    if not CHROMIUM.exists():
        pytest.skip("Chromium isn't installed: apt-get install chromium")
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)

        def opened(*, dark: bool = False, size: dict[str, int] = WIDE, is_in: bool = True) -> Page:
            context = chromium.new_context(
                viewport={"width": size["width"], "height": size["height"]},
                color_scheme="dark" if dark else "light",
                base_url=site,
            )
            page = context.new_page()
            page.on("console", lambda message: _complain(message.type, message.text))
            if is_in:
                context.add_cookies([{"name": "mailprefs", "value": cookie(parts), "url": site}])
            return page

        yield opened
        chromium.close()


def _complain(kind: str, text: str) -> None:
    # A page's policy that its own parts break shows up here.
    assert kind != "error", text


def cookie(parts: Parts) -> str:
    """Give the cookie of a new member of staff with every role."""
    browser = Browser(create_app(parts), parts)
    browser.sign_in_as(*Role)
    found = browser.client.get_cookie("mailprefs", domain="mail.example.com")
    assert found
    return found.value


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_pages_can_be_used_by_everybody(
    open_page: Callable[..., Page],
    write: Callable[..., int],
    parts: Parts,
    *,
    dark: bool,
    size: dict[str, int],
) -> None:
    running, draft = write(), write(body="Hello {{ first_name }},\n\nnew tea.\n")
    begun(parts, running)
    raised(parts, parts.clock())
    page = open_page(dark=dark, size=size)
    paths = [
        "/staff/campaigns",
        f"/staff/campaigns/{running}",
        f"/staff/campaigns/{draft}",
        f"/staff/campaigns/{draft}/review",
        "/staff/campaigns/new",
        "/staff/people",
        "/staff/team",
        "/staff/alarms",
        "/staff/audit",
        "/staff/account",
    ]
    for path in paths:
        page.goto(path)
        check(page)
    page.goto("/staff/people")
    page.get_by_label("Exact e-mail address").fill("reader0@example.org")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("heading", name="What they get").wait_for()
    check(page)
    page.get_by_label("Why the law holds it").fill("Order 12 O 34/27 of the court")
    page.get_by_role("button", name="Hold their data").click()
    page.get_by_text("Legal hold 1 is in force since").wait_for()
    check(page)
    page.goto("/staff/legal")
    check(page)
    stranger = open_page(dark=dark, size=size, is_in=False)
    stranger.goto("/staff/sign-in")
    check(stranger)


def check(page: Page) -> None:
    """Fail for what axe finds (WCAG 2.2 A and AA), and for a page wider than its window."""
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
    found = Axe().run(page, options=options)
    assert found.violations_count == 0, f"{page.url}\n{found.generate_report()}"
    wide = page.evaluate(
        "[...document.querySelectorAll('body *')].filter((one) =>"
        " one.getBoundingClientRect().right > innerWidth).map((one) => one.outerHTML.slice(0, 120))"
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (page.url, wide)


def test_what_is_unknown_fits_a_phone(
    open_page: Callable[..., Page], write: Callable[..., int], parts: Parts
) -> None:
    number, now = write(), parts.clock()
    with parts.db.transaction() as session:
        session.execute(update(Campaign).values(state=CampaignState.SCHEDULED, due_at=now))
    freeze_all(parts.db, batch_size=1)
    for reason in ("No answer came within 60 seconds.", f"The vendor said {'long' * 30}."):
        lost = Outcome(verdict=Verdict.UNCLEAR, status=503, reason=reason)
        answer(parts.db, take_one(parts.db), lost)
    page = open_page(size=PHONE)
    for path in ("", "/unknown", "/unknown?decide=resend", "/unknown?decide=accept"):
        page.goto(f"/staff/campaigns/{number}{path}")
        check(page)


def test_numbers_follow_a_running_campaign_without_a_reload(
    open_page: Callable[..., Page], write: Callable[..., int], parts: Parts
) -> None:
    number = write()
    begun(parts, number)
    page = open_page()
    page.goto(f"/staff/campaigns/{number}")
    page.evaluate("window.untouched = true")
    assert page.locator(".sum").nth(1).locator(".figure").nth(1).inner_text() == "6"
    with parts.db.transaction() as session:
        batch = session.query(Batch).filter_by(state=BatchState.PENDING).one()
        batch.state = BatchState.SENT
    page.locator(".sum").nth(1).locator(".figure", has_text=re.compile("^7$")).wait_for()
    assert page.evaluate("window.untouched") is True


def test_when_a_campaign_ends_its_buttons_change_by_themselves(
    open_page: Callable[..., Page], write: Callable[..., int], parts: Parts
) -> None:
    number = write()
    begun(parts, number)
    page = open_page()
    page.goto(f"/staff/campaigns/{number}")
    page.get_by_role("button", name="Pause").wait_for()
    with parts.db.transaction() as session:
        session.get_one(Campaign, number).state = CampaignState.FINISHED
    page.get_by_role("button", name="Pause").wait_for(state="detached")


def test_the_preview_shows_the_message_and_its_links_lead_nowhere(
    open_page: Callable[..., Page], write: Callable[..., int]
) -> None:
    page = open_page()
    page.goto(f"/staff/campaigns/{write()}")
    frame = page.frame_locator("iframe")
    frame.get_by_text("the new tea is here").wait_for()
    link = frame.get_by_role("link").first
    assert link.evaluate("one => getComputedStyle(one).pointerEvents") == "none"
