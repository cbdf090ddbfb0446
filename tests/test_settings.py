"""Settings that can't work are refused at start, in a sentence that names them."""

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
