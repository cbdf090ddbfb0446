"""Settings that can't work are refused at start, in a sentence that names them."""

import logging
from pathlib import Path

import pytest

from mailprefs.errors import BadSetting
from mailprefs.settings import load


@pytest.mark.parametrize("name", ["base_url", "sendgrid_host"])
@pytest.mark.parametrize(
    "value",
    [
        "https://mail.example.com/prefs",
        "https://mail.example.com?a=b",
        "https://who@mail.example.com",
        "mail.example.org",
    ],
)
def test_an_address_that_is_more_or_less_than_a_host_is_refused(
    tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(BadSetting, match=f"MAILPREFS_{name.upper()}: must be") as refused:
        load(data_dir=tmp_path, **{name: value})
    assert value not in str(refused.value)


@pytest.mark.parametrize("value", ["https://mail.example.com", "https://mail.example.com/"])
def test_a_last_slash_is_taken_off(tmp_path: Path, value: str) -> None:
    assert load(data_dir=tmp_path, base_url=value).base_url == "https://mail.example.com"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("batch_size", "many", "must be a whole number from 1 to 1,000, such as 500."),
        ("batch_size", "5000", "must be a whole number from 1 to 1,000, such as 500."),
        ("batch_size", "2.5", "must be a whole number from 1 to 1,000, such as 500."),
        ("send_rate", "-1", "must be a number of at least 0, such as 100."),
        ("undo_delay", "1 min", "must be a number from 0 to 86,400, such as 60."),
        ("lease", "0", "must be a number more than 0, at most 86,400, such as 180."),
        ("environment", "prod", "must be production, staging or sandbox."),
        ("inbound_mailbox", "a@b", "must be plain, such as unsubscribe@in.example.com."),
        (
            "inbound_mailbox",
            "U <u@b.example>",
            "must be plain, such as unsubscribe@in.example.com.",
        ),
        ("inbound_mailbox", "u@b.example\n", "must be plain, such as unsubscribe@in.example.com."),
    ],
)
def test_a_value_that_is_none_is_told_with_what_is_expected_and_an_example(
    tmp_path: Path, name: str, value: str, told: str
) -> None:
    with pytest.raises(BadSetting) as refused:
        load(data_dir=tmp_path, **{name: value})
    assert str(refused.value) == f"MAILPREFS_{name.upper()}: {told}"


def test_a_name_in_the_settings_file_that_is_no_setting_is_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.env").write_text("MAILPREFS_SENDRATE=50\nLANG=C\n", encoding="utf-8")
    with pytest.raises(BadSetting, match=r"did you mean MAILPREFS_SEND_RATE\?") as refused:
        load(data_dir=tmp_path)
    assert "settings.env" in str(refused.value)
    assert "LANG" not in str(refused.value)


def test_a_name_in_the_environment_that_is_no_setting_is_told_once_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MAILPREFS_BATCHSIZE", "7")
    with caplog.at_level(logging.WARNING):
        assert [load(data_dir=tmp_path).batch_size for _ in range(2)] == [500, 500]
    (told,) = [one.getMessage() for one in caplog.records]
    assert "MAILPREFS_BATCHSIZE (did you mean MAILPREFS_BATCH_SIZE?)" in told
