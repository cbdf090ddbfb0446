"""Our requests against the vendor's own OpenAPI document, and every example body with its verdict.

The document belongs to the vendor and lies beside the project, never in it.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

from mailprefs.errors import Preflight
from mailprefs.vendor import preflight
from mailprefs.vendor.message import Mailing
from mailprefs.vendor.sendgrid import body
from tests.vendor.mailings import administrative, person, promotional

CONTRACT = Path(__file__).parents[3] / "shared" / "contract"
DOCUMENT = CONTRACT / "openapi" / "tsg_mail_v3.json"
BODIES = sorted((CONTRACT / "bodies").glob("*.json"))

pytestmark = pytest.mark.skipif(
    not DOCUMENT.exists(), reason=f"the vendor's contract isn't at {CONTRACT}"
)


@cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DOCUMENT.read_text())
    return loaded


def validator(pointer: str) -> Validator:
    """Give a check of one part of the document, formats included."""
    schema = {"$ref": f"#{pointer}", "components": document()["components"]}
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


REQUEST = "/components/requestBodies/PostMailSend/content/application~1json/schema"


def fits(request: dict[str, Any]) -> bool:
    return validator(REQUEST).is_valid(request)


def passes(request: object) -> bool:
    try:
        preflight.check(request)
    except Preflight:
        return False
    return True


def example(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


# Our own requests

UNUSUAL = promotional(
    people=[
        person(1, name=None),
        person(2, name="Doe, Jane"),
        person(3, address="o'neil+news@sub.example.test"),
        person(5, substitutions={**person(5).substitutions, "-k7-leave-": '字\n"\\ \u2028'}),
    ]
)


@pytest.mark.parametrize(
    "mailing",
    [
        promotional(),
        administrative(),
        promotional(1),
        promotional(1_000),
        administrative(1, ip_pool="transactional"),
        promotional(from_name=""),
        UNUSUAL,
    ],
    ids=["promo", "admin", "one", "most", "pool", "nameless", "unusual"],
)
def test_whatever_we_hand_over_fits_the_vendors_document(mailing: Mailing) -> None:
    request = json.loads(body(mailing))
    errors = [error.message for error in validator(REQUEST).iter_errors(request)]
    assert errors == []
    assert passes(request)


# The example bodies


def test_no_example_body_is_missing() -> None:
    families = [path.name[0] for path in BODIES]
    assert [families.count(family) for family in "bgvx"] == [22, 19, 2, 1]


@pytest.mark.parametrize("path", BODIES, ids=[path.stem for path in BODIES])
def test_each_example_body_has_the_verdict_that_its_name_says(path: Path) -> None:
    request = example(path)
    if path.name.startswith("valid_"):
        assert fits(request) and passes(request)
    elif path.name.startswith("b"):
        assert not fits(request)
        assert not passes(request), "what the document refuses, our preflight refuses too"
    elif path.name.startswith("g"):
        assert fits(request), "a gap of the document"
        assert not passes(request)
    else:
        # The vendor takes an object here; the document says text, which is an error in it.
        assert path.name == "x01_root_custom_args_object.json"
        assert not fits(request)
        assert passes(request)
        assert "custom_args" not in json.loads(body(promotional())), "we never depend on it"
