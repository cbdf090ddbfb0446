"""From facts to alarms: each condition, where it begins, and what its sentence never holds."""

from datetime import timedelta
from pathlib import Path

import pytest

from mailprefs import machine as look
from mailprefs.alarms import conditions
from mailprefs.alarms.facts import Broken, Facts, Open, Stopped, Uncompared
from mailprefs.alarms.kinds import AlarmKind
from mailprefs.campaigns.progress import Missed, Stalled
from mailprefs.deliveries.unknown import Waiting
from mailprefs.machine import GIGABYTE, Disk, Machine, SpoolLevel
from mailprefs.policy import MessageClass
from tests.sending import NOW

QUIET = Facts(now=NOW)
HOUR = timedelta(hours=1)


def kinds(facts: Facts) -> list[AlarmKind]:
    return [one.kind for one in conditions.of_sending(facts)]


def test_nothing_in_the_way_is_no_alarm() -> None:
    assert conditions.of_sending(QUIET) == []


@pytest.mark.parametrize(
    ("facts", "kind", "subject", "said"),
    [
        (
            QUIET._replace(stopped=Stopped(NOW - HOUR, "The key isn't valid any more.")),
            AlarmKind.SENDING_STOPPED,
            "",
            "All sending is stopped: The key isn't valid any more.",
        ),
        (
            QUIET._replace(breaker=Open(NOW - HOUR, "The vendor has answered nothing clear.")),
            AlarmKind.BREAKER_OPEN,
            "",
            "The vendor has answered nothing clear.",
        ),
        (
            QUIET._replace(stalled=(Stalled(7, NOW - HOUR, "No worker is running."),)),
            AlarmKind.CAMPAIGN_STALLED,
            "campaign 7",
            "Campaign 7 doesn't move. No worker is running.",
        ),
        (
            QUIET._replace(
                unknown=(Waiting(7, "News", None, MessageClass.PROMOTIONAL, 1, 1, NOW - HOUR),)
            ),
            AlarmKind.UNKNOWN_WAITING,
            "campaign 7",
            (
                "Campaign 7: whether 1 person got the message is unknown. Somebody has to decide "
                "whether they get it again."
            ),
        ),
        (
            QUIET._replace(missed=(Missed(7, NOW - HOUR),)),
            AlarmKind.SCHEDULE_MISSED,
            "campaign 7",
            (
                "Campaign 7 was missed: it was to begin at 22 Nov 2026, 08:30 UTC, when nothing "
                "here was running. It waits until somebody lets it go or cancels it."
            ),
        ),
        (
            QUIET._replace(untold_since=NOW - HOUR),
            AlarmKind.WEBHOOK_SILENT,
            "",
            (
                "The vendor has taken mail since 22 Nov 2026, 08:30 UTC, and its webhook has told "
                "nothing of it. Bounces and complaints aren't known here meanwhile."
            ),
        ),
        (
            QUIET._replace(tracking_seen=NOW - HOUR),
            AlarmKind.VENDOR_TRACKING,
            "",
            (
                "The vendor reported opens or clicks, so it measures our readers. Switch its "
                "tracking off."
            ),
        ),
        (
            QUIET._replace(set_aside=12, set_aside_since=NOW - HOUR),
            AlarmKind.EVENTS_SET_ASIDE,
            "",
            (
                "12 events of the vendor's webhook couldn't be read in the last 24 hours and were "
                "set aside."
            ),
        ),
        (
            QUIET._replace(broken=Broken(NOW - HOUR, "Entry 7 is missing.")),
            AlarmKind.LEDGER_BROKEN,
            "",
            "Entry 7 is missing.",
        ),
        (
            QUIET._replace(uncompared=Uncompared(2, NOW - HOUR, "The key may not read them.")),
            AlarmKind.LISTS_NOT_COMPARED,
            "",
            (
                "The vendor's suppression lists couldn't be compared for 2 nights in a row. The "
                "key may not read them."
            ),
        ),
    ],
    ids=lambda value: value.value if isinstance(value, AlarmKind) else "",
)
def test_each_condition_has_its_sentence_and_its_beginning(
    facts: Facts, kind: AlarmKind, subject: str, said: str
) -> None:
    (found,) = conditions.of_sending(facts)
    assert found == (kind, subject, said, NOW - HOUR)


@pytest.mark.parametrize("minutes", [0, 14])
def test_a_webhook_has_a_quarter_of_an_hour_to_tell(minutes: int) -> None:
    assert kinds(QUIET._replace(untold_since=NOW - timedelta(minutes=minutes))) == []
    assert kinds(QUIET._replace(untold_since=NOW - timedelta(minutes=15))) == ["webhook_silent"]


def test_a_few_odd_events_are_no_alarm() -> None:
    assert kinds(QUIET._replace(set_aside=9)) == []


def test_one_night_without_a_comparison_is_no_alarm() -> None:
    assert kinds(QUIET._replace(uncompared=Uncompared(1, NOW - HOUR, "It was cut off."))) == []


def test_what_holds_up_everything_is_not_told_again_for_each_campaign() -> None:
    stalled = (Stalled(7, NOW, "All sending is stopped."), Stalled(8, NOW, "The same."))
    facts = QUIET._replace(stopped=Stopped(NOW, "No credits."), stalled=stalled)
    assert kinds(facts) == ["sending_stopped"]


@pytest.mark.parametrize(
    "theirs",
    ["jane.doe@example.com", "<jane@example.org>", "192.0.2.17", "2001:db8:0:1:2:3:4:5",
     "SG.aBcDeFgHiJkLmNoPqRsT12.xyzABCDEF"],
)  # fmt: skip
def test_a_sentence_of_the_vendors_shows_no_person_and_no_key(theirs: str) -> None:
    facts = QUIET._replace(stopped=Stopped(NOW, f"Access denied for {theirs}, see your account."))
    (found,) = conditions.of_sending(facts)
    assert theirs.strip("<>") not in found.sentence
    assert found.sentence.endswith("see your account.")


def test_a_plain_sentence_stays_as_it_is() -> None:
    said = "The From address does not match a verified Sender Identity (403) at 12:30:45 UTC."
    assert conditions.without_people(said) == said


def machine(**changed: object) -> Machine:
    roomy = Machine(
        "host-1",
        (Disk("the data directory", 50 * GIGABYTE, 100 * GIGABYTE),),
        SpoolLevel(used=0, most=GIGABYTE, waiting_since=None, unreadable=0),
    )
    return roomy._replace(**changed)  # type: ignore[arg-type]  # fields of Machine


def test_a_roomy_machine_is_no_alarm() -> None:
    assert conditions.of_machine(machine(), NOW) == []


@pytest.mark.parametrize(
    ("free", "total", "fills"),
    [
        (900_000_000, 4 * GIGABYTE, True),
        (1_100_000_000, 4 * GIGABYTE, False),
        (4 * GIGABYTE, 100 * GIGABYTE, True),
        (6 * GIGABYTE, 100 * GIGABYTE, False),
        (19 * GIGABYTE, 4_000 * GIGABYTE, True),
        (21 * GIGABYTE, 4_000 * GIGABYTE, False),
    ],
)
def test_a_disk_fills_by_its_share_and_by_its_bytes(free: int, total: int, *, fills: bool) -> None:
    seen = machine(disks=(Disk("the spool", free, total),))
    assert bool(conditions.of_machine(seen, NOW)) is fills


def test_a_filling_disk_says_which_and_how_much_is_left() -> None:
    seen = machine(disks=(Disk("the spool", 820_000_000, 40 * GIGABYTE),))
    (found,) = conditions.of_machine(seen, NOW)
    assert found.subject == "host-1: the spool"
    assert found.sentence == "The disk under the spool on host-1 has 820 MB of 40.0 GB left."


def test_a_spool_fills_by_its_bound_or_because_nobody_counts() -> None:
    half = SpoolLevel(used=GIGABYTE // 2, most=GIGABYTE, waiting_since=None, unreadable=0)
    (found,) = conditions.of_machine(machine(spool=half), NOW)
    assert (found.kind, found.sentence) == (
        AlarmKind.SPOOL_FILLING,
        "The pixel's spool on host-1 is 50% full.",
    )
    behind = SpoolLevel(used=64, most=GIGABYTE, waiting_since=NOW - HOUR, unreadable=0)
    (found,) = conditions.of_machine(machine(spool=behind), NOW)
    assert found.since == NOW - HOUR
    assert "have waited to be counted since 22 Nov 2026, 08:30 UTC" in found.sentence
    fresh = behind._replace(waiting_since=NOW - timedelta(minutes=9))
    assert conditions.of_machine(machine(spool=fresh), NOW) == []


def test_heads_of_the_ledger_that_cannot_be_written_are_an_alarm(tmp_path: Path) -> None:
    kept, file = tmp_path / "heads", tmp_path / "file"
    file.write_text("no folder")
    for good in (None, kept, tmp_path / "folder" / "heads", file):
        assert look.unwritable(good) is None, good
    assert not kept.exists(), "looking makes nothing"
    for bad in (tmp_path, file / "heads"):
        reason = look.unwritable(bad)
        (found,) = conditions.of_machine(machine(heads=reason), NOW)
        assert (found.kind, found.subject) == (AlarmKind.HEADS_NOT_KEPT, "host-1")
        assert found.sentence.startswith("MAILPREFS_LEDGER_HEADS can't be written on host-1: ")
