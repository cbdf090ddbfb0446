"""Recipients' pages in Debian's Chromium, without script: what people do works, by any means."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright
from pydantic import SecretStr
from sqlalchemy import select
from werkzeug.serving import BaseWSGIServer, make_server

from mailprefs import recipients
from mailprefs.app import create_app
from mailprefs.db.database import Database
from mailprefs.policy import DataRequest
from mailprefs.schema.deliveries import SingleValues
from mailprefs.settings import Environment, Settings
from mailprefs.web.parts import Parts
from tests.web.conftest import ADDRESS_KEY, TOKEN_KEY, Reader, request_path, subscribed

pytestmark = pytest.mark.browser

CHROMIUM = Path("/usr/bin/chromium")
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
PHONE, WIDE = (390, 844), (1280, 900)
# WCAG 2.2, 2.5.8 asks for 24 px; ours are thumbs' work.
SMALLEST = 44
AXE = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
Open = Callable[..., Page]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Give one database: a browser doesn't see which it is."""
    return sqlite_url


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        database_url=database_url,
        environment=Environment.PRODUCTION,
        token_keys=SecretStr(TOKEN_KEY),
        address_key=SecretStr(ADDRESS_KEY),
        contact="hello@example.com",
    )


@pytest.fixture
def site(parts: Parts) -> Iterator[str]:
    server: BaseWSGIServer = make_server("127.0.0.1", 0, create_app(parts), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def open_page(site: str) -> Iterator[Open]:
    """Give a function that opens a window; without script unless axe needs it."""
    if not CHROMIUM.exists():
        pytest.skip("Chromium isn't installed: apt-get install chromium")
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)

        def opened(
            path: str,
            *,
            size: tuple[int, int] = PHONE,
            is_dark: bool = False,
            has_script: bool = False,
        ) -> Page:
            context = chromium.new_context(
                viewport={"width": size[0], "height": size[1]},
                color_scheme="dark" if is_dark else "light",
                java_script_enabled=has_script,
                base_url=site,
            )
            page = context.new_page()
            page.on("console", lambda message: pytest.fail(f"the console says: {message.text}"))
            page.on("request", lambda request: _must_be_ours(request.url, site))
            page.goto(path)
            return page

        yield opened
        chromium.close()


def _must_be_ours(url: str, site: str) -> None:
    assert url.startswith((site, "data:")), f"a page asked {url}"


def test_every_control_is_large_enough_for_a_thumb(
    open_page: Open, unsubscribe_path: str, preferences_path: str
) -> None:
    for path in (unsubscribe_path, preferences_path, "/u/damaged", "/fresh-link", "/subscribe"):
        page = open_page(path)
        for control in page.locator("button, .choice, input:not([type=hidden]), .footer a").all():
            if control.evaluate("one => one.closest('.choice') !== null && one.matches('input')"):
                continue  # its whole row is the target
            box = control.bounding_box()
            assert box is not None
            assert box["height"] >= SMALLEST, control.inner_text()


def test_after_each_choice_focus_is_on_what_happened_without_script(
    open_page: Open, unsubscribe_path: str, preferences_path: str
) -> None:
    page = open_page(unsubscribe_path)
    for button in ("Unsubscribe", "Undo"):
        page.get_by_role("button", name=button).click()
        assert page.locator("h1:focus").count() == 1, button
    page.goto(preferences_path)
    for button in ("Save topics", "Save this choice", "Turn all of it off"):
        page.get_by_role("button", name=button).click()
        assert page.locator("h1:focus").inner_text() == page.title(), button


def test_the_language_is_switched_by_links(open_page: Open, unsubscribe_path: str) -> None:
    page = open_page(unsubscribe_path)
    page.get_by_role("link", name="العربية").click()
    assert page.locator("html[lang=ar][dir=rtl]").count() == 1
    page.locator("button.main").click()
    assert page.locator("html[lang=ar][dir=rtl]").count() == 1
    page.get_by_role("link", name="Deutsch").click()
    assert page.title() == "Sie sind abgemeldet"


def test_leaving_and_coming_back_works_without_script(
    open_page: Open, db: Database, reader: Reader, unsubscribe_path: str
) -> None:
    page = open_page(unsubscribe_path)
    page.get_by_role("button", name="Unsubscribe").click()
    assert page.title() == "You are unsubscribed"
    assert subscribed(db, reader) == set()
    page.get_by_label("Events").check()
    page.get_by_role("button", name="Keep what I picked").click()
    assert subscribed(db, reader) == {"events"}
    page.goto(unsubscribe_path)
    page.get_by_role("button", name="Unsubscribe").click()
    page.get_by_role("button", name="Undo").click()
    assert subscribed(db, reader) == {"events"}


def test_choices_are_made_by_keyboard_alone(
    open_page: Open, db: Database, reader: Reader, preferences_path: str
) -> None:
    page = open_page(preferences_path)
    page.get_by_label("Newsletter").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Save topics").focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.title() == "Your topics are saved"
    assert subscribed(db, reader) == {"events"}


def test_somebody_signs_up_and_confirms_without_script(
    open_page: Open, parts: Parts, reader: Reader
) -> None:
    page = open_page("/subscribe?lang=ar")
    boxes = page.get_by_role("checkbox")
    assert boxes.count() == 3
    assert not any(box.is_checked() for box in boxes.all())
    boxes.nth(1).check()
    page.locator("#address").fill(reader.address)
    page.locator("main button[type=submit]").click()
    assert page.locator("html").get_attribute("dir") == "rtl"
    page.goto(f"{parts.links.confirm_path(reader.id, 2**31)}?lang=ar")
    page.locator("main button[type=submit]").click()
    assert page.locator("main li").count() == 1


def test_somebody_reports_a_child_and_erases_themselves_without_script(
    open_page: Open, db: Database, parts: Parts, reader: Reader, preferences_path: str
) -> None:
    page = open_page(preferences_path)
    page.get_by_role("link", name="Tell us the address").click()
    page.get_by_label("The child’s e-mail address").fill("kim@example.com")
    page.get_by_role("button", name="Report this address").click()
    assert page.locator("h1:focus").inner_text() == page.title()
    page.goto(preferences_path)
    page.get_by_role("button", name="Mail me the link for erasing").click()
    assert page.title() == "Look into your mailbox"
    with db.reading() as session:
        values = session.scalars(select(SingleValues.values)).all()
    (link,) = (one["request_url"] for one in values if "request_url" in one)
    page.goto(urlsplit(link).path)
    page.get_by_role("button", name="Erase everything about me").click()
    assert page.title() == "Everything about you is erased"
    with db.reading() as session:
        assert recipients.by_id(session, reader.id) is None


@pytest.mark.parametrize(
    ("tag", "size", "is_dark"),
    [("en", PHONE, True), ("ar", PHONE, False), ("ja", WIDE, True), ("de", WIDE, False)],
)
def test_the_download_of_ones_data_and_the_page_in_it_pass_axe(
    open_page: Open, parts: Parts, reader: Reader, tag: str, size: tuple[int, int], *, is_dark: bool
) -> None:
    path = f"{request_path(parts, reader, DataRequest.EXPORT)}?lang={tag}"
    page = open_page(path, size=size, is_dark=is_dark, has_script=True)
    heights = [one.evaluate("one => one.offsetHeight") for one in page.locator("main button").all()]
    assert len(heights) == 2 and min(heights) >= SMALLEST
    with page.expect_download() as download:
        page.locator("main button").first.click()
    # As from a disk: without what our pages' own headers allow.
    file = page.context.new_page()
    file.set_content(download.value.path().read_text(encoding="utf-8"))
    for one in (page, file):
        found = Axe().run(one, options=AXE)
        assert found.violations_count == 0, found.generate_report()
        assert one.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert file.locator("html").get_attribute("lang") == tag
    assert file.locator("section").count() > 3
