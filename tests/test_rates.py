"""Limits as an operator writes them: every usual spelling is read, and nothing else is."""

from pathlib import Path

import pytest

from mailprefs.errors import BadSetting
from mailprefs.policy import MessageClass
from mailprefs.rates import Rate, read, read_ramp
from mailprefs.settings import load


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("", Rate()),
        ("1000/hour, 20000/day", Rate(0, 1_000, 20_000)),
        ("20000/day,1000/hour", Rate(0, 1_000, 20_000)),
        (" 0.5/second ", Rate(0.5, 0, 0)),
        ("20 / s, 5 per h, 7 a day", Rate(20, 5, 7)),
        ("1_000 an Hour", Rate(0, 1_000, 0)),
    ],
)
def test_limits_are_read_as_they_are_usually_written(text: str, rate: Rate) -> None:
    assert read(text) == rate


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("send_limits", "1000", "must be recipients in a second, an hour or a day, such as"),
        ("send_limits", "1000/week", "must be recipients in a second, an hour or a day, such as"),
        ("send_limits", "-5/hour", "must be recipients in a second, an hour or a day, such as"),
        ("send_limits", "5/h, 6/hour", "must name each of second, hour and day once at most"),
        ("promotional_limits", "0/day", "must be more than 0 recipients, in whole numbers"),
        ("promotional_limits", "2.5/day", "must be more than 0 recipients, in whole numbers"),
        ("administrative_limits", "99999999999/day", "must be more than 0 recipients"),
        ("ramp", "500; 1000", "must be the most recipients of day 1, day 2 and so on, such as"),
        ("ramp", "500, 0", "must be the most recipients of day 1, day 2 and so on, such as"),
        ("ramp", "500,,1000", "must be the most recipients of day 1, day 2 and so on, such as"),
        ("ramp", ",".join(["1"] * 366), "must end after 365 days at most"),
    ],
)
def test_what_limits_nothing_countable_is_told_with_an_example(
    tmp_path: Path, name: str, value: str, told: str
) -> None:
    with pytest.raises(BadSetting) as refused:
        load(data_dir=tmp_path, **{name: value})
    assert str(refused.value).startswith(f"MAILPREFS_{name.upper()}: {told}")


def test_a_plan_for_new_domains_is_read_day_by_day() -> None:
    assert read_ramp("500, 1_000,5000") == (500, 1_000, 5_000)
    assert read_ramp(" ") == ()


def test_of_two_limits_a_second_the_narrower_holds(tmp_path: Path) -> None:
    limits = load(data_dir=tmp_path, send_rate=20, send_limits="5/second, 100/hour").limits
    assert limits.everything == Rate(5, 100, 0)
    assert load(data_dir=tmp_path, send_rate=2, send_limits="5/s").limits.everything.second == 2


def test_nothing_is_limited_unless_a_setting_says_so(tmp_path: Path) -> None:
    assert not load(data_dir=tmp_path).limits.is_set
    for name, value in {"send_rate": 1, "promotional_limits": "5/day", "ramp": "5"}.items():
        assert load(data_dir=tmp_path, **{name: value}).limits.is_set, name
    limits = load(data_dir=tmp_path, administrative_limits="9/h", time_zone="Asia/Tokyo").limits
    assert limits.classes[MessageClass.ADMINISTRATIVE] == Rate(0, 9, 0)
    assert limits.zone == "Asia/Tokyo"
