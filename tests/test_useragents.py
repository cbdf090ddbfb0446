import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailprefs.useragents import (
    RULESET,
    Client,
    Confidence,
    OpenKind,
    Reason,
    classify,
    client_family,
    digest,
    kind,
    reading,
    steps,
)

SEEN_IN_THE_WILD = Path(__file__).parents[2] / "shared" / "data" / "user_agents.csv"

SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/16.0 Safari/605.1.15"
)
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36"
)
GMAIL_PREFETCH = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)
GMAIL_PROXY = (
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
)
YAHOO_PROXY = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"


@pytest.mark.skipif(not SEEN_IN_THE_WILD.exists(), reason=f"needs {SEEN_IN_THE_WILD}")
def test_strings_seen_in_the_wild_get_the_kind_that_their_sources_give() -> None:
    with SEEN_IN_THE_WILD.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 60
    wrong = {
        row["user_agent"]: (row["expected_kind"], kind(row["user_agent"]).label)
        for row in rows
        if kind(row["user_agent"]).label != row["expected_kind"]
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("user_agent", "expected", "reason"),
    [
        ("Mozilla/5.0", OpenKind.PREFETCHED, Reason.APPLE_PRIVACY),
        (GMAIL_PREFETCH, OpenKind.PREFETCHED, Reason.GMAIL_PREFETCH),
        (GMAIL_PROXY, OpenKind.PROXIED, Reason.IMAGE_PROXY),
        (YAHOO_PROXY, OpenKind.PROXIED, Reason.IMAGE_PROXY),
        ("Barracuda Sentinel (EE)", OpenKind.SCANNER, Reason.SCANNER_NAMED),
        (f"{SAFARI} facebookexternalhit/1.1 Facebot Twitterbot/1.0", OpenKind.BOT, Reason.UNFURLER),
        ("python-requests/2.32.3", OpenKind.BOT, Reason.HTTP_LIBRARY),
        ("curl/8.5.0", OpenKind.BOT, Reason.HTTP_LIBRARY),
        ("Googlebot/2.1 (+http://www.google.com/bot.html)", OpenKind.BOT, Reason.CRAWLER),
        ("Microsoft Exchange/16.0", OpenKind.UNKNOWN, Reason.AMBIGUOUS),
        ("Outlook-iOS/711.3061168.prod.iphone", OpenKind.DIRECT, Reason.MAIL_CLIENT),
        (SAFARI, OpenKind.DIRECT, Reason.BROWSER),
        (None, OpenKind.UNKNOWN, Reason.NOT_TOLD),
        ("", OpenKind.UNKNOWN, Reason.NOT_TOLD),
        ("  ", OpenKind.UNKNOWN, Reason.NOT_TOLD),
    ],
    ids=range(15),
)
def test_the_first_rule_that_matches_decides(
    user_agent: str | None, expected: OpenKind, reason: Reason
) -> None:
    assert classify(user_agent)[:2] == (expected, reason)


@pytest.mark.parametrize(
    "user_agent",
    [
        "Mozilla/5.0 (Linux; Android 13; CUBOT KINGKONG 9) AppleWebKit/537.36 Chrome/120 Safari/1",
        "Mozilla/5.0 (Linux; Android 9; CUBOT) AppleWebKit/537.36 Chrome/120 Safari/1",
        "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/120.0 Security-Update",
        "Mozilla/5.0 (Java-Island; rv:1.0) Gecko Firefox/1.0",
        "Mozilla/5.0 (Windows NT 10.0; ATP) Gecko Firefox/120.0",
        "Mozilla/5.0 (X11; Linux x86_64; curl/8.5 python/3.11 okhttp/4) Gecko Firefox/120.0",
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_3 like Mac OS X) AppleWebKit/605.1.15 "
            "(KHTML, like Gecko) Mobile/15E148 WhatsApp-User/1.0"
        ),
    ],
)
def test_words_inside_other_words_make_nobody_a_machine(user_agent: str) -> None:
    assert kind(user_agent) is OpenKind.DIRECT


@pytest.mark.parametrize(
    "changed",
    [f"{GMAIL_PREFETCH} ", GMAIL_PREFETCH.replace("42.0", "43.0"), "Mozilla/5.0 (X11)"],
)
def test_prefetches_are_told_by_their_whole_string(changed: str) -> None:
    assert kind(changed) is OpenKind.DIRECT


@pytest.mark.parametrize(
    ("user_agent", "client", "label"),
    [
        ("Mozilla/5.0", Client.APPLE_MAIL, "Apple Mail"),
        ("Mail/53 CFNetwork/711.2.23 Darwin/14.0.0", Client.APPLE_MAIL, "Apple Mail"),
        (SAFARI.partition(" Version")[0], Client.APPLE_MAIL, "Apple Mail"),
        (
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 "
                "(KHTML, like Gecko) Mobile/15E148"
            ),
            Client.APPLE_MAIL,
            "Apple Mail",
        ),
        (GMAIL_PROXY, Client.GMAIL, "Gmail"),
        (GMAIL_PREFETCH, Client.GMAIL, "Gmail"),
        (YAHOO_PROXY, Client.YAHOO, "Yahoo Mail"),
        ("Outlook-Android/2.0", Client.OUTLOOK, "Outlook"),
        (
            (
                "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 6.1; Trident/6.0; "
                "Microsoft Outlook 15.0.4420)"
            ),
            Client.OUTLOOK,
            "Outlook",
        ),
        ("Mozilla/4.0 (compatible; ms-office; MSOffice 16)", Client.OUTLOOK, "Outlook"),
        (
            "Mozilla/5.0 (X11; Linux i686; rv:128.0) Gecko/20100101 Thunderbird/128.0",
            Client.THUNDERBIRD,
            "Thunderbird",
        ),
        (SAFARI, Client.BROWSER, "browser"),
        (CHROME, Client.BROWSER, "browser"),
        ("The Bat! 4.0.0.22", Client.OTHER, "other"),
        ("Mozilla/5.0 SeznamEmailProxy/2.0.174", Client.OTHER, "other"),
        ("something never seen", Client.OTHER, "other"),
        ("Googlebot/2.1", Client.UNKNOWN, "unknown"),
        (None, Client.UNKNOWN, "unknown"),
    ],
    ids=range(18),
)
def test_the_client_is_told_as_a_family(user_agent: str | None, client: Client, label: str) -> None:
    assert client_family(user_agent) is client
    assert client.label == label


def test_people_and_proxies_are_plausible_readers_and_machines_are_not() -> None:
    plausible = {one for one in OpenKind if one.is_human_plausible}
    assert plausible == {OpenKind.DIRECT, OpenKind.PROXIED}


def test_a_change_of_the_rules_gets_a_new_number() -> None:
    # Fails here? Then a string may be judged otherwise than before: raise RULESET in tables.py, so
    # that reports know which opens were judged by which rules, and put the pair of both here.
    assert (RULESET, digest()) == (2, "1a1174869f6abfd9")


@pytest.mark.parametrize(
    ("user_agent", "part"),
    [
        ("Mozilla/5.0 (Macintosh) Pingdom.com_bot_version_1.4", "Pingdom"),
        ("ltx71 - (http://ltx71.com/)", "ltx71"),
    ],
)
def test_the_public_list_of_crawlers_is_asked_last(user_agent: str, part: str) -> None:
    asked = steps(user_agent)
    assert part in str(asked[-1].found)
    assert [one.found for one in asked[:-1]] == [None] * (len(asked) - 1)
    assert classify(user_agent).kind is OpenKind.BOT


def test_every_reason_says_in_words_what_decided_and_how_sure_that_is() -> None:
    assert len({one.told for one in Reason}) == len(Reason)
    assert Reason.GMAIL_PREFETCH.confidence is Confidence.HIGH
    assert Reason.APPLE_LISTED.confidence is Confidence.HIGH
    assert Reason.APPLE_PRIVACY.confidence is Confidence.MEDIUM
    assert Reason.NOT_TOLD.confidence is Confidence.LOW


def test_stored_numbers_never_change_their_meaning() -> None:
    assert [(one.value, one.label) for one in OpenKind] == [
        (0, "unknown"), (1, "direct"), (2, "proxied"), (3, "prefetched"), (4, "scanner"),
        (5, "bot"),
    ]  # fmt: skip
    assert [(one.value, one.label) for one in Client] == [
        (0, "unknown"), (1, "Apple Mail"), (2, "Gmail"), (3, "Outlook"), (4, "Yahoo Mail"),
        (5, "Thunderbird"), (6, "browser"), (7, "other"),
    ]  # fmt: skip
    assert [(one.value, one.name) for one in Reason] == [
        (0, "NOT_TOLD"), (1, "APPLE_PRIVACY"), (2, "GMAIL_PREFETCH"), (3, "IMAGE_PROXY"),
        (4, "SCANNER_NAMED"), (5, "UNFURLER"), (6, "HTTP_LIBRARY"), (7, "AMBIGUOUS"),
        (8, "MAIL_CLIENT"), (9, "CRAWLER"), (10, "BROWSER"), (11, "TOO_FAST"), (12, "BURST"),
        (13, "APPLE_LISTED"), (14, "APPLE_UNLISTED"), (15, "CRAWLER_LISTED"),
    ]  # fmt: skip


@given(st.one_of(st.none(), st.text(), st.text(alphabet="Mozila/5.0 ()bot+http:\x00\ud800é")))
def test_any_text_gets_a_verdict(user_agent: str | None) -> None:
    verdict = classify(user_agent)
    assert verdict.kind in OpenKind and verdict.reason in Reason and verdict.client in Client


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    "piece", ["\x00", "\ud800", "a", "Mozilla/", "(", "Mozilla/5.0 (Macintosh", "+http", " "]
)
def test_a_huge_string_is_judged_quickly_and_not_kept(piece: str) -> None:
    memory = reading._classified  # noqa: SLF001 - what is remembered is the point
    memory.cache_clear()
    for number in range(50):
        classify(piece * (1_000_000 // len(piece)) + str(number))
    assert memory.cache_info().currsize == 1
