"""The list of pages is whole, and each page needs nothing but what its HTML says."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask, template_rendered
from flask.testing import FlaskClient
from jinja2 import Template
from werkzeug.exceptions import HTTPException

from mailprefs.settings import templates_dir
from mailprefs.web import access
from mailprefs.web.parts import Parts
from tests.web.conftest import Reader
from tests.web.pages import visits

# What answers without a sign-in and is no page that a recipient sees.
NO_PAGES = {
    "static",
    "archive.content",  # the message itself, as its author wrote it
    "archive.feed",
    "exports.give",  # a file, which tests/web/test_in_browser.py opens; the page is exports.show
    "health.healthz",
    "health.robots",
    "inbound.sendgrid_inbound",
    "pixel.show",
    "webhooks.sendgrid_events",
}
# Parts of pages, what goes into somebody else's page, and what isn't a page.
NO_PAGE = re.compile(r"_.*|base\.html|.*\.xml")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Run on one database: a page looks the same from both."""
    return sqlite_url


def test_every_page_that_a_recipient_can_see_is_on_the_list(
    app: Flask, parts: Parts, reader: Reader
) -> None:
    """By its address and method; a page with a link counts if the link is good."""
    seen = set()
    urls = app.url_map.bind("")
    for visit in visits(parts, reader):
        method = "GET" if visit.form is None else "POST"
        try:
            seen.add((urls.match(visit.path, method=method)[0], method))
        except HTTPException:
            continue  # the pages that say that nothing is there
    there = {
        (rule.endpoint, method)
        for rule in app.url_map.iter_rules()
        if rule.endpoint in access.PUBLIC - NO_PAGES
        for method in (rule.methods or set()) & {"GET", "POST"}
    }
    assert there - seen == set(), "put each into tests/web/pages.py"


def test_every_template_of_a_page_is_on_the_list(
    app: Flask, client: FlaskClient, parts: Parts, reader: Reader
) -> None:
    shown = set()

    def note(_: Flask, template: Template, **__: object) -> None:
        shown.add(Path(str(template.name)).name)

    with template_rendered.connected_to(note, app):
        for visit in visits(parts, reader):
            visit.go(client, "en")
    there = {one.name for one in (templates_dir() / "public").iterdir()}
    assert {one for one in there if not NO_PAGE.fullmatch(one)} - shown == set()


class Controls(HTMLParser):
    """What a page lets somebody do, and what of it needs a script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.form: dict[str, str | None] | None = None
        self.submits = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = dict(attrs)
        self.wrong += [f"{tag} {one}" for one in self._needing_script(tag, has)]
        if tag == "form":
            self.form, self.submits = has, 0
            if has.get("method") != "post" or not has.get("action"):
                self.wrong.append("a form that goes nowhere")
        if tag == "button":
            self.submits += 1
            if self.form is None or has.get("type") != "submit":
                self.wrong.append("a button that sends no form")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            if self.submits == 0:
                self.wrong.append("a form without a button")
            self.form = None

    def _needing_script(self, tag: str, has: dict[str, str | None]) -> Iterator[str]:
        if tag in {"script", "noscript", "template", "dialog"}:
            yield "is for scripts"
        yield from (name for name in has if name.startswith("on"))
        if (has.get("href") or "").startswith(("javascript:", "#")):
            yield "leads nowhere without a script"


def test_no_page_needs_a_script(client: FlaskClient, parts: Parts, reader: Reader) -> None:
    """None has one, none may load one, and whatever can be pressed is a link or sends a form."""
    for visit in visits(parts, reader):
        answer = visit.go(client, "en")
        assert Controls(answer.text).wrong == [], visit.name
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "script-src" not in policy, visit.name


def test_whatever_needs_a_script_is_found() -> None:
    for wrong in (
        "<script></script>",
        '<a href="javascript:x()">x</a>',
        '<p onclick="x()">x</p>',
        '<button type="submit">x</button>',
        '<form method="post" action="/"></form>',
        '<form method="post"><button type="submit">x</button></form>',
    ):
        assert Controls(wrong).wrong != [], wrong
