"""Reports at the console: tables, sparklines and the same numbers as everywhere."""

from datetime import UTC, datetime, timedelta

from mailprefs import audit, staff
from mailprefs.cli.reports import sparkline
from mailprefs.reports.campaigns import find
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.reports import Release
from tests.cli.conftest import Shell
from tests.reports.house import furnish


def furnished(shell: Shell) -> list[int]:
    db = shell.db
    try:
        return furnish(db, datetime.now(UTC))
    finally:
        db.close()


def unreleased(shell: Shell) -> int:
    """Store a campaign of 91 days ago whose numbers nobody has seen yet; give its id."""
    number = furnished(shell)[0]
    db = shell.db
    with db.transaction() as session:
        session.query(Release).delete()
        session.query(Campaign).filter(Campaign.id != number).update({"first_hand_over_at": None})
        find(session, number).first_hand_over_at = datetime.now(UTC) - timedelta(days=91)
    db.close()
    return number


def test_a_report_prints_rates_tables_and_a_line_of_bars(shell: Shell) -> None:
    number = furnished(shell)[0]
    said = shell.do("report", number)
    assert "Opens, of 12,400 measured messages" in said
    assert "31.0%" in said
    assert "30.3% to 31.7%" in said
    assert "Made of: D 12,400, M 4,960, N 7,440, H 2,306, C 154" in said
    assert "█▄" in said
    assert "Elsewhere, or unknown" in said
    assert "Iceland" not in said and "IS " not in said


def test_json_is_what_the_api_answers(shell: Shell) -> None:
    number = furnished(shell)[0]
    told = shell.ask("report", number)
    assert told["opens"]["inputs"] == {"D": 12_400, "M": 4_960, "N": 7_440, "H": 2_306, "C": 154}
    assert told["opens"]["tables"]["country"]["cells"][0]["value"] == "DE"
    assert told["rounded_to"] == 1


def test_asking_releases_the_first_numbers_and_release_the_others(shell: Shell) -> None:
    number = furnished(shell)[0]
    db = shell.db
    with db.transaction() as session:
        campaign = find(session, number)
        campaign.first_hand_over_at = datetime.now(UTC) - timedelta(days=91)
    db.close()
    assert shell.ask("release") == {"released": 0, "closed": 1, "final": 1, "failed": 0}
    assert "Final numbers as of" in shell.do("report", number)
    assert "0 campaigns have new numbers" in shell.do("release")


def test_who_asks_for_numbers_before_their_day_stands_in_the_audit(shell: Shell) -> None:
    number = unreleased(shell)
    shell.do("staff", "add", "anna@example.com", "--role", "analyse")
    for _ in range(2):
        shell.do("report", number, "--as", "anna@example.com")
    with shell.db.reading() as session:
        (entry,) = audit.of(session, ("campaign", number))
        assert (entry.action, entry.door) == ("report.released", "console")
        assert entry.staff_id == staff.by_email(session, "anna@example.com").id
    shell.db.close()


def test_a_campaign_that_fails_ends_the_release_with_a_sentence(shell: Shell) -> None:
    number = unreleased(shell)
    db = shell.db
    with db.transaction() as session:
        find(session, number).report_zone = "Nowhere/At_All"
    db.close()
    answer = shell("release")
    assert answer.status == 1
    assert "Numbers are left for later, of 1 campaigns" in answer.err
    assert "1 were closed, and 0 have their final numbers" in answer.out


def test_an_unknown_campaign_is_one_sentence(shell: Shell) -> None:
    answer = shell("report", 404)
    assert answer.status == 1
    assert "There is no campaign 404" in answer.err


def test_the_highest_bar_is_full_and_none_is_empty_that_has_something() -> None:
    assert sparkline([8, 4, 1, 0]) == "█▄▁ "
    assert sparkline([]) == ""
    assert sparkline([0, 0]) == "  "
