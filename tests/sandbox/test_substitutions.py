import pytest

from mailprefs.sandbox.substitutions import fill


@pytest.mark.parametrize(
    ("text", "pairs", "filled"),
    [
        ("Hello -name-!", {"-name-": "Zoë"}, "Hello Zoë!"),
        ("-a--b-", {"-a-": "1", "-b-": "2"}, "12"),
        ("-name-html-", {"-name-": "short", "-name-html-": "long"}, "long"),
        ("%a% (b)", {"%a%": r"\1", "(b)": "x"}, r"\1 x"),
        ("-unknown-", {"-name-": "x"}, "-unknown-"),
        ("-a-", {}, "-a-"),
        ("-a-", {"-a-": "<&>"}, "<&>"),
        ("-1-", {"-1-": "(-2-)", "-2-": "[-3-]", "-3-": "{-4-}", "-4-": "end"}, "([{end}])"),
        ("-0-", {f"-{n}-": f"-{n + 1}-" for n in range(9)}, "-4-"),
        ("-a-", {"-a-": "-a-"}, "-a-"),
    ],
    ids=["one", "two", "longest", "literal", "unknown", "none", "raw", "nested", "deep", "self"],
)
def test_tags_are_filled_as_the_vendor_does(text: str, pairs: dict[str, str], filled: str) -> None:
    assert fill(text, pairs) == filled
