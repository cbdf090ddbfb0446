"""Suppressions at the console: show, lift, release, and the comparison with the vendor's lists."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from mailprefs.sandbox.server import Sandbox
from mailprefs.sandbox.settings import SandboxSettings
from mailprefs.schema.staff import AuditEntry
from tests.cli.conftest import Shell

ADA = "ada@example.org"
BECAUSE = "Her provider mended the mailbox."


@pytest.fixture
def sandbox(people: Shell) -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(read_key="SG.may-read")) as running:
        people.set(
            SENDGRID_HOST=running.url,
            SENDGRID_API_KEY="SG.may-send",
            SENDGRID_READ_KEY="SG.may-read",
        )
        yield running


def released(people: Shell) -> list[AuditEntry]:
    with closing(people.db) as db, db.reading() as session:
        return session.query(AuditEntry).filter_by(action="suppression.released").all()


def test_a_bounce_comes_from_the_vendors_list_is_lifted_and_released(
    people: Shell, sandbox: Sandbox
) -> None:
    sandbox.webhook.lists.put("bounces", ADA, status="5.1.1")
    looked = people.ask("reconcile", "--dry-run")
    assert looked["lists"]["bounces"] == {"listed": 1, "new": 1}
    assert people.ask("suppression", "show", ADA) == {"suppressions": [], "lifted": []}
    done = people.ask("reconcile")
    assert (done["lists"]["bounces"], done["failure"]) == ({"listed": 1, "new": 1}, None)
    (one,) = people.ask("suppression", "show", ADA)["suppressions"]
    assert (one["reason"], one["scope"], one["source"]) == ("hard_bounce", "all", "vendor_event")
    told = people.do("suppression", "show", ADA)
    assert "the mailbox refuses mail; holds back all mail" in told

    because = ("--reason", "hard_bounce", "--because", BECAUSE)
    assert people("suppression", "release", ADA, *because).status == 1, "not before it is lifted"
    lifted = people.do("suppression", "lift", ADA, *because)
    assert "mailprefs suppression release" in lifted
    assert BECAUSE in people.do("suppression", "show", ADA)
    still = people.do("reconcile")
    assert "was lifted here, and the vendor still holds them back (bounces)" in still
    assert people.ask("suppression", "show", ADA)["suppressions"] == []
    unsaid = ("--reason", "hard_bounce", "--because", " ")
    assert "in a sentence" in people("suppression", "release", ADA, *unsaid).err
    assert released(people) == [], "nothing was released yet"
    people.do("suppression", "release", "Ada@Example.ORG", *because)
    (one,) = released(people)
    assert one.subject_kind == "recipient"
    assert (one.reason, one.details) == (BECAUSE, {"list": "bounces"})
    assert "still holds them back" not in people.do("reconcile")
    assert people("suppression", "release", ADA, *because).status == 1, "it isn't there any more"
    assert len(released(people)) == 1, "what wasn't there wasn't released"


def test_what_the_vendor_did_not_take_off_is_not_on_record(people: Shell, sandbox: Sandbox) -> None:
    people.set(SENDGRID_READ_KEY="SG.may-not-read")
    because = ("--reason", "hard_bounce", "--because", BECAUSE)
    assert people("suppression", "release", ADA, *because).status == 1
    assert released(people) == []


def test_a_complaint_says_what_it_holds_back_and_a_lift_leaves_the_no(
    people: Shell, sandbox: Sandbox
) -> None:
    sandbox.webhook.lists.put("spam_reports", ADA)
    people.do("reconcile")
    told = people.do("suppression", "show", ADA)
    assert "drops administrative mail to this address, too" in told
    lifted = people.do("suppression", "lift", ADA, "--reason", "complained", "--because", BECAUSE)
    assert "Still in force: unsubscribed" in lifted
    (left,) = people.ask("suppression", "show", ADA)["suppressions"]
    assert left["reason"] == "unsubscribed"
    assert people.ask("recipient", "show", ADA)["topics"]["news"] == "unsubscribed"


def test_lists_are_told_apart_by_reason(people: Shell, sandbox: Sandbox) -> None:
    sandbox.webhook.lists.put("bounces", ADA)
    sandbox.webhook.lists.put("invalid_emails", "nobody@example.org")
    people.do("reconcile")
    assert len(people.ask("suppression", "list")) == 2
    (one,) = people.ask("suppression", "list", "--reason", "invalid")
    assert one["reason"] == "invalid"


def test_a_key_that_may_only_send_is_one_sentence_that_says_what_to_do(
    people: Shell, sandbox: Sandbox
) -> None:
    people.set(SENDGRID_READ_KEY="")
    said = people("reconcile")
    assert said.status == 1
    assert "MAILPREFS_SENDGRID_READ_KEY" in said.err
    assert "403" in said.err
    people.set(SENDGRID_API_KEY="")
    assert "No key for the vendor's suppression lists" in people("reconcile").err
