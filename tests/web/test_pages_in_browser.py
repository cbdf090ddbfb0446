"""Every recipient page in Debian's Chromium, in every language: what axe finds, and its tree.

The pages come from the application in this process, so nothing is loaded twice: a page is opened
once in a language, and looked at by phone and by desktop, light and dark.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from flask.testing import FlaskClient
from playwright.sync_api import Browser, BrowserContext, Route, sync_playwright
from werkzeug.test import TestResponse

from mailprefs import languages
from mailprefs.languages import Language
from mailprefs.web.parts import Parts
from mailprefs.web.speaking import SAID
from tests.web.conftest import Reader
from tests.web.pages import visits
from tests.web.test_in_browser import AXE, CHROMIUM, PHONE, SWITCHES, WIDE

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SITE: Final = "https://mail.example.com"
EXPECTED: Final = Path(__file__).parent / "expected"
Look = tuple[tuple[int, int], Literal["light", "dark"]]
LOOKS: Final[list[Look]] = [
    (PHONE, "light"),
    (WIDE, "dark"),
    (PHONE, "dark"),
    (WIDE, "light"),
]
BY_LOOK: Final = {
    "resultTypes": ["violations"],
    "runOnly": {
        "type": "rule",
        "values": [
            "avoid-inline-spacing",
            "color-contrast",
            "css-orientation-lock",
            "link-in-text-block",
            "meta-viewport",
            "scrollable-region-focusable",
            "target-size",
        ],
    },
}
"""The rules whose answer depends on how wide the window is, or how dark."""
WORDS: Final = re.compile(r"(?<=>)[^<]+")
READ: Final = ["en", "ar"]
"""The languages whose trees are compared with what is written down."""
VARIED: Final = {
    *("sign-up without a tick", "sign-up of what isn't", "report a child wrong", "not allowed"),
    *("no answer", "nothing to change", "measured", "not measured", "paused", "all off"),
    *("erasure asked for", "data asked for", "left again", "stopped", "why"),
}
"""Pages that are another one of those written down, with another sentence at the top."""


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Give one database: a browser doesn't see which it is."""
    return sqlite_url


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("Chromium isn't installed: apt-get install chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


class File(NamedTuple):
    """What the application answered."""

    headers: dict[str, str]
    content: bytes


class Stage:
    """A browser's window into which the answers of the application are put, one after another."""

    def __init__(self, browser: Browser, client: FlaskClient, *, has_script: bool) -> None:
        # Without motion, so that a colour is there as soon as it is asked for.
        self.context: BrowserContext = browser.new_context(
            java_script_enabled=has_script, reduced_motion="reduce"
        )
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.said: list[str] = []
        self.client = client
        self.files: dict[str, File] = {}
        self.context.route("**/*", self._answer)

    def show(self, answer: TestResponse) -> None:
        """Show a page, whatever led to it."""
        self.files["/shown"] = File(dict(answer.headers), answer.get_data())
        self.said = []
        self.page.goto("about:blank")
        self.page.goto(f"{SITE}/shown#{SAID}")
        assert self.said == []

    def _answer(self, route: Route) -> None:
        path = route.request.url.removeprefix(SITE).partition("#")[0]
        assert path.startswith("/"), f"a page asked {route.request.url}"
        if path not in self.files:
            with self.client.get(path) as answer:
                self.files[path] = File(dict(answer.headers), answer.get_data())
        route.fulfill(headers=self.files[path].headers, body=self.files[path].content)


def violations(found: dict[str, Any]) -> list[str]:
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


def looks(language: Language) -> Iterator[tuple[dict[str, Any], Look]]:
    """Give how a page is looked at, and by which rules.

    What depends on neither width nor colours is the same at every look. In CI the languages whose
    words are neither the source's nor run from the right are looked at by phone only, by all rules;
    with MAILPREFS_LOOKS=all every language has every look.
    """
    yield AXE, LOOKS[0]
    if language.tag in READ or os.environ.get("MAILPREFS_LOOKS") == "all":
        yield from ((BY_LOOK, look) for look in LOOKS[1:])


@pytest.mark.parametrize("language", languages.every(), ids=lambda one: one.tag)
def test_axe_finds_nothing_on_any_page_however_it_is_looked_at(
    chromium: Browser, client: FlaskClient, parts: Parts, reader: Reader, language: Language
) -> None:
    """All rules of WCAG 2.2 A and AA, by phone and desktop, light and dark; nothing overflows."""
    stage = Stage(chromium, client, has_script=True)
    stage.context.add_init_script(AXE_SCRIPT)
    page, seen = stage.page, set()
    for visit in visits(parts, reader):
        answer = visit.go(client, language.tag)
        markup = WORDS.sub("", answer.text)
        if markup in seen:
            continue  # the same page with other words, as two refusals are
        seen.add(markup)
        stage.show(answer)
        assert page.evaluate("getComputedStyle(document.body).direction") == language.direction
        if visit.form is not None:
            assert page.locator("h1:focus").count() == 1, f"{visit.name}: focus is elsewhere"
        for rules, (size, scheme) in looks(language):
            page.set_viewport_size({"width": size[0], "height": size[1]})
            page.emulate_media(color_scheme=scheme)
            found = page.evaluate("options => axe.run(document, options)", rules)
            assert violations(found) == [], (visit.name, size, scheme)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= size[0], f"{visit.name} is wider than the window"
    stage.context.close()


@pytest.mark.parametrize("tag", READ)
def test_each_page_reads_as_it_is_written_down(
    chromium: Browser, client: FlaskClient, parts: Parts, reader: Reader, tag: str
) -> None:
    """Roles, names and their order, as somebody hears them who doesn't see the page."""
    stage = Stage(chromium, client, has_script=False)
    read = {}
    for visit in visits(parts, reader):
        stage.show(visit.go(client, tag))
        read[visit.name] = tree(stage, "main")
    read["around every page"] = tree(stage, "header") + tree(stage, "footer")
    stage.context.close()
    written = {one.stem: one.read_text(encoding="utf-8") for one in (EXPECTED / tag).iterdir()}
    assert set(read) - VARIED == set(written), "read it, mend it, and write it down"
    for name, expected in written.items():
        assert read[name] == expected, name


def tree(stage: Stage, part: str) -> str:
    """Give a part of the page as it is read: roles and names, without where links lead."""
    return re.sub(r":\n *- /url: .*", "", stage.page.locator(part).aria_snapshot()) + "\n"
