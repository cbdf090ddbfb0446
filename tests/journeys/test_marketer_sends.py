"""A marketer brings people, writes a newsletter on the pages, tests it, and sends it."""

import re
from datetime import timedelta

import pytest

from tests.journeys.browser import Browser
from tests.journeys.conftest import MARTA, Installation

pytestmark = pytest.mark.faults

PEOPLE = [f"reader{n}@example.org,US" for n in range(24)]
BODY = "Hello {{ email }},\n\nthis week: **frost**. [Read on](https://www.example.com/frost)\n"


def test_a_marketer_sends_a_newsletter(installation: Installation) -> None:
    installation.bring(*PEOPLE, "nobody", PEOPLE[0])
    marta = installation.signed_in(MARTA)
    number = write(marta)
    try_out(installation, marta, number)

    # She sees who would get it, and lets it go.
    page = marta.get(f"/staff/campaigns/{number}/review")
    assert re.search(r'"figure">24<', page.html)
    page = marta.press(page, "send to 24 people", when="now")
    assert page.status == 200
    assert installation.ask("campaign", "show", number)["state"] == "scheduled"
    installation.clock.ahead += timedelta(seconds=61)
    installation.finish(number)

    check_mail(installation, number)
    # The page, the console and the report say the same, and it adds up.
    one = installation.ask("campaign", "show", number)
    assert (one["state"], one["chosen"], one["frozen"], one["sent"]) == ("finished", 24, 24, 24)
    assert one["mailbox"] == {"delivered": 24, "queued": 24}
    assert one["pending"] == one["unknown"] == 0
    assert "finished" in marta.get(f"/staff/campaigns/{number}").html.lower()
    assert installation.ask("report", number)["mailbox"]["delivered"] == 24


def write(marta: Browser) -> int:
    """Write the newsletter on its page, and look at it; give its number."""
    page = marta.get("/staff/campaigns/new")
    assert page.forms[-1].fields["topic"] == "news", "promotional is what is chosen at first"
    page = marta.press(page, "save the draft", subject="The first frost", body=BODY)
    number = int(page.url.rpartition("/")[2])
    assert "The first frost" in page.html
    return number


def try_out(installation: Installation, marta: Browser, number: int) -> None:
    """Send a test, which counts nowhere and leads nowhere."""
    page = marta.press(marta.get(f"/staff/campaigns/{number}"), "test", address=MARTA)
    assert page.status == 200
    (test,) = installation.sandbox.messages
    assert (test.email, test.subject) == (MARTA, "The first frost")
    assert "frost" in test.text and "ada@example.com" in test.text
    assert "/o/" not in test.html
    assert installation.ask("campaign", "show", number)["frozen"] == 0


def check_mail(installation: Installation, number: int) -> None:
    """Everybody got it once, as it was written, by two requests of 20 and 4."""
    mail = installation.mail(number)
    assert sorted(mail) == sorted(row.partition(",")[0] for row in PEOPLE)
    for address, message in mail.items():
        assert f"Hello {address}," in message.text
        assert "https://www.example.com/frost" in message.html
        assert message.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert message.message_class == "promotional"
    sizes = sorted(one.recipients for one in installation.sandbox.requests)
    assert sizes == [1, 4, 20]


def test_a_marketer_takes_a_send_back_and_stops_another(installation: Installation) -> None:
    installation.bring(*PEOPLE)
    marta = installation.signed_in(MARTA)
    source = installation.write("letter.md", "Hello.\n")
    words = ("--topic", "news", "--subject", "Oh", "--source", source)
    number = int(installation.run("campaign", "create", *words))
    page = marta.get(f"/staff/campaigns/{number}/review")
    page = marta.press(page, "send to 24 people", when="now")
    page = marta.press(page, "take it back")
    assert installation.ask("campaign", "show", number)["state"] == "draft"
    page = marta.press(marta.get(f"/staff/campaigns/{number}/review"), "send to 24", when="now")
    page = marta.press(page, "stop")
    one = installation.ask("campaign", "show", number)
    assert (one["state"], one["sent"]) == ("cancelled", 0)
    assert installation.sandbox.messages == []
    installation.run("campaign", "wait", number, "--timeout", 5, status=6)
