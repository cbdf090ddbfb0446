"""Staff pages of the policy: publish after a look at it, follow its notice, take the proof."""

from io import BytesIO

import pytest

from mailprefs import audit, consent
from mailprefs.policy import MessageClass, Role
from mailprefs.web.parts import Parts
from tests.factories import make_recipient, make_topic
from tests.web.staff.browsing import Browser

TEXT = "# Privacy\n\nWe keep orders for two years.\n"
MATERIAL = {
    "version": "2027-01",
    "text": TEXT,
    "material": "yes",
    "summary": "We keep orders for two years instead of one.",
}


@pytest.fixture
def browser(browser: Browser, parts: Parts) -> Browser:
    with parts.db.transaction() as session:
        consent.publish_policy(session, "first", "# Privacy\n\nOne year.", now=parts.clock())
        make_topic(session, "legal", MessageClass.ADMINISTRATIVE)
        make_recipient(session)
    browser.sign_in_as(Role.PRIVACY)
    return browser


def names(parts: Parts) -> list[str]:
    with parts.db.reading() as session:
        return [one.version for one in consent.versions(session)]


def test_nothing_is_published_before_it_was_seen_and_named_again(
    browser: Browser, parts: Parts
) -> None:
    page = browser.post("/staff/policy/new", **MATERIAL)
    assert "As it will be read" in page.text
    assert "<p>We keep orders for two years.</p>" in page.text
    wrong = browser.post("/staff/policy/new", **MATERIAL, typed="2027-02")
    assert wrong.status_code == 400
    assert names(parts) == ["first"]
    done = browser.post("/staff/policy/new", **MATERIAL, typed="2027-01")
    assert done.status_code == 303
    assert names(parts) == ["first", "2027-01"]
    page = browser.get(done.headers["Location"])
    assert "Announced" in page.text
    assert "it has to begin by" in page.text
    assert "Not yet" in page.text


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"\xff\xfe", "UTF-8"), (b"x" * 201_000, "far too large")]
)
def test_a_file_that_is_no_policy_is_refused_with_a_sentence(
    browser: Browser, parts: Parts, content: bytes, sentence: str
) -> None:
    file = (BytesIO(content), "policy.md")
    page = browser.post("/staff/policy/new", **MATERIAL | {"text": ""}, file=file)
    assert page.status_code == 400
    assert sentence in page.text
    assert names(parts) == ["first"]


def test_the_proof_is_exported_by_number_and_noted(browser: Browser, parts: Parts) -> None:
    browser.post("/staff/policy/new", **MATERIAL, typed="2027-01")
    answer = browser.post("/staff/policy/2/proof.csv")
    assert answer.text.splitlines()[0].startswith("recipient,outcome,reason,notice")
    assert answer.text.splitlines()[1].startswith("1,not_yet,")
    assert "@" not in answer.text
    with parts.db.reading() as session:
        done = [one.action for one in audit.of(session, ("policy_version", 2))]
    assert done == ["policy.published", "policy.proof_exported"]


def test_an_announced_version_can_be_given_up(browser: Browser) -> None:
    browser.post("/staff/policy/new", **MATERIAL, typed="2027-01")
    assert browser.post("/staff/policy/2/withdraw", reason="no").status_code == 409
    done = browser.post("/staff/policy/2/withdraw", reason="It promised too much.")
    assert done.status_code == 303
    assert "Withdrawn" in browser.get("/staff/policy").text
    assert browser.post("/staff/policy/2/rest").status_code == 409
