"""A reader leaves by the link in the mail, gets no newsletter any more, and still gets a notice."""

import re
import urllib.request

import pytest

from mailprefs.sandbox.records import Message
from tests.journeys.browser import Browser
from tests.journeys.conftest import ILSE, MARTA, Installation

pytestmark = pytest.mark.faults

ADA, BO, CY = (f"{name}@example.org" for name in ("ada", "bo", "cy"))


def test_a_reader_leaves_and_still_gets_a_notice(installation: Installation) -> None:
    installation.bring(f"{ADA},US", f"{BO},US", f"{CY},US")
    first = installation.mail(installation.newsletter("One"))
    leave_on_the_page(first[ADA])
    leave_in_the_mail_program(first[BO])

    # The next newsletter is for the one who stayed.
    assert set(installation.mail(installation.newsletter("Two"))) == {CY}

    # A notice, written by one person and approved by another, reaches everybody.
    notice = installation.mail(send_notice(installation))
    assert set(notice) == {ADA, BO, CY}
    message = notice[ADA]
    assert "List-Unsubscribe" not in message.headers
    assert "our privacy policy changes, and we promised to tell you" in " ".join(
        message.text.split()
    )
    assert "/u/" not in message.text + message.html

    # Its link shows Ada where she stands, and she comes back of her own will.
    come_back(message)
    assert set(installation.mail(installation.newsletter("Three"))) == {ADA, CY}

    # All of it can be proved, and what was told of the first newsletter is true.
    assert installation.ask("ledger", "verify")["entries"] >= 3
    first_number = int(first[ADA].custom_args["mp_campaign"])
    told = installation.ask("report", first_number)["mailbox"]
    assert (told["delivered"], told["unsubscribed"]) == (3, 2)


def leave_on_the_page(message: Message) -> None:
    """Follow the link in the footer, read the page, and press its button."""
    browser = browser_for(message)
    page = browser.get(path_of(message, "u"))
    assert page.status == 200
    assert message.email not in page.html, "a forwarded mail must not tell whose it was"
    assert "Legal" in page.html, "what still comes is said"
    after = browser.press(page, "unsubscribe")
    assert after.status == 200
    assert any("/undo" in form.action for form in after.forms)
    # Opening the link again changes nothing, and says so.
    again = browser.get(path_of(message, "u"))
    assert any("/undo" in form.action for form in again.forms)


def leave_in_the_mail_program(message: Message) -> None:
    """Do what Gmail does when somebody presses the button beside the subject."""
    found = re.match(r"<(http[^>]+)>", message.headers["List-Unsubscribe"])
    assert found is not None
    request = urllib.request.Request(found[1], data=b"List-Unsubscribe=One-Click", method="POST")
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200


def send_notice(installation: Installation) -> int:
    """Write a notice as Marta, let Ilse approve it, send it to the end; give its number."""
    source = installation.write("notice.md", "We have changed our privacy policy.\n")
    words = ("--topic", "legal", "--subject", "Our privacy policy changes", "--source", source)
    why = ("--purpose", "policy_change", "--reason", "The policy promises to tell everybody.")
    number = int(installation.run("campaign", "create", *words, *why, "--as", MARTA))
    refused = installation.run("campaign", "send", number, "--now", "--as", MARTA, status=1)
    assert "isn't approved" in refused
    assert "a second person" in installation.run(
        "campaign", "approve", number, "--as", MARTA, status=1
    )
    ilse = installation.signed_in(ILSE)
    page = ilse.press(ilse.get(f"/staff/campaigns/{number}"), "approve")
    assert page.status == 200
    installation.run("campaign", "send", number, "--now", "--as", MARTA)
    installation.finish(number)
    return number


def come_back(message: Message) -> None:
    """Tick the newsletter on the preference page, and save."""
    browser = browser_for(message)
    page = browser.get(path_of(message, "p"))
    assert message.email not in page.html
    assert page.form("save topics").fields["topic"] is None, "she gets no newsletter"
    after = browser.press(page, "save topics", topic="news")
    assert after.form("save topics").fields["topic"] == "news"


def browser_for(message: Message) -> Browser:
    """Give a browser at the host that a message's links lead to."""
    found = re.search(r"http://127\.0\.0\.1:\d+", message.text)
    assert found is not None
    return Browser(found[0])


def path_of(message: Message, kind: str) -> str:
    found = re.search(rf"http://127\.0\.0\.1:\d+(/{kind}/[\w.~-]+)", message.text)
    assert found is not None
    return found[1]
