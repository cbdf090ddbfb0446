"""Programs that open every link do nothing: scanners, link checkers, previews, a browser.

A crawler asks for every address of 500 messages with GET, HEAD and OPTIONS; then pages are opened
in Chromium with scripts running and nothing pressed: 40, chosen to cover class, kind, language and
mode, or those of all messages with

    MAILPREFS_CRAWL=all ./run test --all tests/journeys/test_crawler.py
"""

import html
import http.client
import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright
from sqlalchemy import func, select, update

from mailprefs import consent, languages
from mailprefs.app import build, create_app
from mailprefs.db.database import Gate
from mailprefs.deliveries import single
from mailprefs.links import REQUEST_PREFIXES
from mailprefs.policy import (
    AddressOrigin,
    Choice,
    DataRequest,
    Purpose,
    Source,
    SuppressionReason,
    TrackingMode,
)
from mailprefs.preferences import signing_up
from mailprefs.preferences.signing_up import Asked, House
from mailprefs.privacy import requests
from mailprefs.sandbox.records import Message
from mailprefs.schema.base import Base
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.choices import Suppression
from mailprefs.schema.people import Recipient, SignUp, Topic
from mailprefs.settings import load
from tests.journeys.conftest import ILSE, LONG, MARTA, Installation
from tests.snapshots import snapshot
from tests.web.test_in_browser import CHROMIUM, SWITCHES

pytestmark = pytest.mark.browser

ALL: Final = 500
SINGLE: Final = 20
"""So many of each kind of single message; the rest are two campaigns to everybody."""
OPENED: Final = 40
METHODS: Final = ("GET", "HEAD", "OPTIONS")
REGIONS: Final = ("US", "DE", "US")
TAGS: Final = [one.tag for one in languages.every()]


class Sent(NamedTuple):
    """A message, and what tells it from others: its kind, its language, how it is measured."""

    message: Message
    kind: str
    language: str
    mode: str

    @property
    def sides(self) -> tuple[str, ...]:
        """Give what a choice of messages has to cover, each with each other."""
        return (self.kind, self.language, self.mode)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Run on one database: a crawler doesn't see which it is."""
    return sqlite_url


@pytest.mark.timeout(900)  # as many requests and pages as it says
def test_whoever_only_asks_changes_nothing_and_every_link_still_works(
    installation: Installation,
) -> None:
    kinds = requests_with_a_page()
    sent = send_everything(installation, kinds)
    assert len(sent) == ALL
    assert {one.language for one in sent} == set(TAGS)
    assert {one.mode for one in sent} == {"individual", "aggregate", "off"}
    addresses = {one.message.id: urls_of(one.message, installation.url) for one in sent}
    every = sorted(set().union(*addresses.values()))
    for prefix in ("/u/", "/p/", "/o/", "/c/", "/d/", "/e/", "/archive/", "/policy"):
        assert any(urlsplit(url).path.startswith(prefix) for url in every), prefix
    before = choices(installation)
    crawl(every)
    assert choices(installation) == before
    chosen = sent if os.environ.get("MAILPREFS_CRAWL") == "all" else covering(sent, OPENED)
    browse(sorted(set().union(*(addresses[one.message.id] for one in chosen))))
    assert choices(installation) == before
    press_everything(installation, every)


def requests_with_a_page() -> list[DataRequest]:
    """List what people may ask by a link of its own."""
    parts = build(load())
    rules = [rule.rule for rule in create_app(parts).url_map.iter_rules()]
    parts.spool.close()
    parts.db.close()
    return [one for one in DataRequest if any(r.startswith(REQUEST_PREFIXES[one]) for r in rules)]


def send_everything(installation: Installation, kinds: list[DataRequest]) -> list[Sent]:
    """Send two campaigns to everybody, and single messages of each kind with a link of its own."""
    people = (ALL - (2 + len(kinds)) * SINGLE) // 2
    rows = [
        f"reader{n}@example.org,{'DE' if n % 3 else 'US'},{TAGS[n % len(TAGS)]}"
        for n in range(people)
    ]
    file = installation.write("people.csv", "email,country,language\n" + "\n".join(rows) + "\n")
    installation.run("import", file, "--topic", "news", "--source", "Box on the order form")
    with installation.db.transaction() as session:
        aggregate = update(Topic).where(Topic.slug == "news")
        session.execute(aggregate.values(unasked_tracking=TrackingMode.AGGREGATE))
        refused = update(Recipient).where(Recipient.id % 5 == 0)
        session.execute(refused.values(open_tracking=Choice.REFUSED))
    source = installation.write("letter.md", "Hello.\n")
    words = ("--subject", "All of it", "--source", source, "--as", MARTA)
    why = ("--purpose", "account", "--reason", "Everybody's account moves to another shop.")
    news = int(installation.run("campaign", "create", "--topic", "news", "--public", *words))
    notice = int(installation.run("campaign", "create", "--topic", "legal", *words, *why))
    installation.run("campaign", "approve", notice, "--as", ILSE)
    for number in (news, notice):
        installation.run("campaign", "send", number, "--now", "--as", MARTA)
        installation.finish(number)
    ask_for_single_messages(installation, kinds)
    installation.until(lambda: len(installation.sandbox.messages) >= ALL)
    assert installation.sandbox.webhook.wait(LONG)
    with installation.db.reading() as session:
        spoken = dict(session.execute(select(Recipient.address, Recipient.language)).all())
        named = dict(session.execute(select(Campaign.id, Campaign.template)).all())
    return [described(one, named, spoken) for one in installation.sandbox.messages]


def ask_for_single_messages(installation: Installation, kinds: list[DataRequest]) -> None:
    """Queue confirmations of sign-ups, fresh links, and links of data requests."""
    parts = build(load())
    house = House(parts.hasher, parts.links, installation.url)
    now = installation.clock()
    with installation.db.transaction(Gate.TAKING) as session:
        news = session.scalars(select(Topic.id).where(Topic.slug == "news")).one()
        some = iter(session.scalars(select(Recipient.id).order_by(Recipient.id)).all())
        for n in range(SINGLE):
            tag = TAGS[n % len(TAGS)]
            wording = consent.wording(session, Purpose.PROMOTIONAL_EMAIL, tag, "Yes.")
            asked = Asked(f"new{n}@example.net", [news], wording, tag, Source.SIGN_UP)
            signing_up.ask(session, house, asked, now=now)
            single.queue(session, "fresh_link", next(some), {}, f"crawler {n}", now=now)
            for kind in kinds:
                requests.ask(session, parts.links, installation.url, next(some), kind, now=now)
    parts.spool.close()
    parts.db.close()


def described(
    message: Message, named: dict[int, str | None], spoken: dict[str, str | None]
) -> Sent:
    """Say what a message is, in which language, and how its opening is measured."""
    number = int(message.custom_args["mp_campaign"])
    pixels = re.findall(r'src="[^"]*/o/([^"]+)"', message.html)
    # A pixel that many share names the campaign and nobody in it.
    mode = "off"
    if pixels:
        mode = "aggregate" if pixels[0][:2] == "Ag" else "individual"
    kind = named[number] or message.message_class
    return Sent(message, kind, spoken[message.email] or "en", mode)


def urls_of(message: Message, host: str) -> set[str]:
    """Give every address of ours that stands in a message: text, HTML, headers."""
    whole = "\n".join([message.text, html.unescape(message.html), *message.headers.values()])
    found = re.findall(rf"{re.escape(host)}/[^\s\"'<>)]*", whole)
    assert found
    return {url.partition("#")[0] for url in found}


def choices(installation: Installation) -> dict[str, list[str]]:
    """Give every row that says what somebody chose, asked for or is."""
    kept = {"mailprefs.schema.people", "mailprefs.schema.choices", "mailprefs.schema.erasures"}
    names = {
        mapper.class_.__tablename__
        for mapper in Base.registry.mappers
        if mapper.class_.__module__ in kept
    } - {"ledger_checks"}
    assert {"recipients", "subscriptions", "consent_entries", "sign_ups"} <= names
    return {name: rows for name, rows in snapshot(installation.db).items() if name in names}


def crawl(urls: Iterable[str]) -> None:
    """Ask for every address with every method that must be safe (RFC 9110, section 9.2.1)."""

    def ask(url: str) -> list[tuple[str, str, int]]:
        parts = urlsplit(url)
        found = []
        for method in METHODS:
            line = http.client.HTTPConnection(parts.netloc, timeout=LONG)
            line.request(method, parts.path)
            answer = line.getresponse()
            answer.read()
            line.close()
            found.append((method, parts.path, answer.status))
        return found

    with ThreadPoolExecutor(4) as pool:
        answers = [one for some in pool.map(ask, urls) for one in some]
    assert [one for one in answers if one[2] != http.client.OK] == []


def covering(sent: list[Sent], most: int) -> list[Sent]:
    """Choose messages so that as many pairs of kind, language and mode as can be are among them."""
    groups = {one.sides: one for one in sent}
    chosen: list[Sent] = []
    seen: set[tuple[str, ...]] = set()
    while groups and len(chosen) < most:
        best = max(groups, key=lambda sides: len(set(pairs(sides)) - seen))
        chosen.append(groups.pop(best))
        seen |= set(pairs(best))
    for n in range(3):
        assert {one.sides[n] for one in chosen} == {one.sides[n] for one in sent}
    return chosen


def pairs(sides: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return combinations(sides, 2)


def browse(urls: Iterable[str]) -> None:
    """Open pages as a browser does, scripts and all, and press nothing."""
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        page = chromium.new_page()
        for url in urls:
            answer = page.goto(url, wait_until="load")
            assert answer is not None, url
            assert answer.ok, url
        chromium.close()


def press_everything(installation: Installation, urls: list[str]) -> None:
    """Do what each link is for, now that everybody has asked for it; it still does it."""
    left = [url for url in urls if urlsplit(url).path.startswith("/u/")]
    post(left)
    with installation.db.reading() as session:
        gone = session.scalar(
            select(func.count()).where(Suppression.reason == SuppressionReason.UNSUBSCRIBED)
        )
    assert gone == len(left)
    confirmed = [url for url in urls if urlsplit(url).path.startswith("/c/")]
    post(confirmed)
    with installation.db.reading() as session:
        assert session.scalar(select(func.count()).select_from(SignUp)) == 0
        said = select(func.count()).where(
            Recipient.address.like("new%@example.net"),
            Recipient.address_origin == AddressOrigin.CONFIRMED,
        )
        assert session.scalar(said) == len(confirmed) == SINGLE
    fetched = [url for url in urls if urlsplit(url).path.startswith("/d/")]
    assert len(fetched) == SINGLE
    post(fetched)
    erased = [url for url in urls if urlsplit(url).path.startswith("/e/")]
    post(erased)
    with installation.db.reading() as session:
        gone = session.scalar(
            select(func.count()).where(Suppression.reason == SuppressionReason.ERASED)
        )
    assert gone == len(erased) == SINGLE


def post(urls: Iterable[str]) -> None:
    """Press the button that a link leads to; a mail program's header POST for those of leaving."""
    for url in urls:
        parts = urlsplit(url)
        line = http.client.HTTPConnection(parts.netloc, timeout=LONG)
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        line.request("POST", parts.path, "List-Unsubscribe=One-Click&topic=news", kind)
        assert line.getresponse().status == http.client.OK, parts.path
        line.close()
