"""The vendor's account, as the sandbox shows it: right, and wrong in each way."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from mailprefs.doctor import account
from mailprefs.doctor.findings import Finding, Level, is_well
from mailprefs.sandbox.server import Sandbox
from mailprefs.sandbox.settings import SandboxSettings
from mailprefs.sandbox.wrongs import Wrong
from mailprefs.settings import Settings
from mailprefs.vendor.account import Account
from tests.sending import NOW

BASE = "http://127.0.0.1:8400"
KEY = "SG.aKeyThatNobodyMayRead"
SENDERS = ("news@mail.example.com", "notices@example.com")
ADVICE = {
    Wrong.NO_WEBHOOK: "None posts to http://127.0.0.1:8400/webhooks/sendgrid/events.",
    Wrong.WEBHOOK_OFF: "It is switched off.",
    Wrong.WEBHOOK_ELSEWHERE: "The vendor posts to old.example.com instead.",
    Wrong.UNSIGNED: "Its events aren't signed, so they are refused here.",
    Wrong.OTHER_KEY: "It is signed with a key that isn't set here.",
    Wrong.EVENTS_MISSING: (
        "It doesn't tell of delivered, dropped, bounce, spam report and unsubscribe."
    ),
    Wrong.EVENTS_OF_TRACKING: "It tells of click and open, which the policy doesn't allow",
}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(webhook=f"{BASE}/webhooks/sendgrid/events")) as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, sandbox: Sandbox) -> Settings:
    return Settings(
        data_dir=tmp_path,
        base_url=BASE,
        sendgrid_api_key=SecretStr(KEY),
        sendgrid_webhook_key=f"older,{sandbox.webhook.key.public}",
    )


def found(sandbox: Sandbox, settings: Settings, host: str | None = None) -> list[Finding]:
    asked = Account(KEY, host or sandbox.url, timeout=2)
    findings = account.of_account(asked, settings, SENDERS)
    asked.close()
    return findings


def test_an_account_as_it_should_be_is_all_well(sandbox: Sandbox, settings: Settings) -> None:
    findings = found(sandbox, settings)
    assert [one.level for one in findings] == [Level.OK] * 4
    assert [one.area for one in findings] == ["Webhook", "Vendor tracking", "Sender", "Sender"]


@pytest.mark.parametrize(("how", "said"), ADVICE.items(), ids=lambda value: str(value)[:20])
def test_a_webhook_that_does_not_tell_is_wrong(
    sandbox: Sandbox, settings: Settings, how: Wrong, said: str
) -> None:
    sandbox.be_wrong(how)
    webhook, *others = found(sandbox, settings)
    assert webhook.level is Level.WRONG
    assert said in webhook.sentence
    assert webhook.todo
    assert is_well(others)


def test_tracking_in_the_account_is_a_warning(sandbox: Sandbox, settings: Settings) -> None:
    sandbox.be_wrong(Wrong.TRACKING_ON)
    (tracking,) = [one for one in found(sandbox, settings) if one.area == "Vendor tracking"]
    assert tracking.level is Level.WARNING
    assert "open tracking and click tracking" in tracking.sentence


def test_a_sender_that_the_vendor_does_not_know_is_wrong(
    sandbox: Sandbox, settings: Settings
) -> None:
    sandbox.be_wrong(Wrong.SENDER_UNKNOWN)
    senders = [one for one in found(sandbox, settings) if one.area == "Sender"]
    assert [one.level for one in senders] == [Level.WRONG] * 2
    sandbox.be_wrong(Wrong.ONE_SENDER)
    senders = [one for one in found(sandbox, settings) if one.area == "Sender"]
    levels = {one.sentence.split(" is not")[0]: one.level for one in senders}
    assert sorted(levels.values()) == [Level.WARNING, Level.WRONG]
    assert levels["example.com"] is Level.WRONG


def test_a_key_that_only_sends_is_a_warning_in_words(sandbox: Sandbox, settings: Settings) -> None:
    sandbox.be_wrong(Wrong.FORBIDDEN)
    (only,) = found(sandbox, settings)
    assert only.level is Level.WARNING
    assert "The key may not read the account" in only.sentence
    assert "fine for a key that only sends" in only.todo


def test_a_vendor_that_is_not_reached_is_told_once(sandbox: Sandbox, settings: Settings) -> None:
    (only,) = found(sandbox, settings, "http://127.0.0.1:9")
    assert (only.area, only.level) == ("Vendor", Level.WRONG)
    assert KEY not in str(only)


def test_the_clock_is_compared_with_the_vendors(sandbox: Sandbox, settings: Settings) -> None:
    asked = Account(KEY, sandbox.url)
    asked.tracking()
    (here,) = account.of_clocks(asked.date or NOW, [("the vendor", asked.date or NOW)])
    right = asked.date
    sandbox.be_wrong(Wrong.CLOCK)
    asked.tracking()
    asked.close()
    assert here.level is Level.OK
    assert asked.date and right
    assert timedelta(minutes=9) < asked.date - right < timedelta(minutes=11)


@pytest.mark.parametrize(
    ("seconds", "level"),
    [(0, Level.OK), (9, Level.OK), (-30, Level.WARNING), (30, Level.WARNING), (301, Level.WRONG)],
)
def test_a_clock_may_differ_by_seconds(seconds: int, level: Level) -> None:
    there = NOW + timedelta(seconds=seconds)
    (clock,) = account.of_clocks(NOW, [("the database", there)])
    assert clock.level is level
