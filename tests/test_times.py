"""Times as people read them: nobody has to guess whose clock it is."""

from datetime import datetime

import pytest

from mailprefs import times

INSTANT = datetime.fromisoformat("2026-11-22T14:05:09+00:00")


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("UTC", "22 Nov 2026, 14:05 UTC"),
        ("Europe/Berlin", "22 Nov 2026, 15:05 CET"),
        ("America/Sao_Paulo", "22 Nov 2026, 11:05 UTC-03"),
        ("Asia/Kathmandu", "22 Nov 2026, 19:50 UTC+0545"),
        ("Pacific/Kiritimati", "23 Nov 2026, 04:05 UTC+14"),
    ],
)
def test_a_time_names_its_zone(zone: str, text: str) -> None:
    assert times.written(INSTANT, zone) == text


def test_seconds_stand_there_where_they_matter() -> None:
    assert times.written(INSTANT, seconds=True) == "22 Nov 2026, 14:05:09 UTC"
