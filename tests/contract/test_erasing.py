"""The order to erase against the vendor's own OpenAPI document: what we ask and are answered."""

import json
from collections.abc import Iterator

import pytest
from jsonschema import Draft202012Validator

from mailprefs.sandbox.server import Sandbox
from mailprefs.sandbox.settings import SandboxSettings
from mailprefs.vendor import erasing
from mailprefs.vendor.erasing import NotTaken, VendorErasure
from tests.contract.test_mail_send import DOCUMENT

ERASURE = DOCUMENT.with_name("tsg_recipients_data_erasure_v3.json")
pytestmark = pytest.mark.skipif(
    not ERASURE.exists(), reason=f"the vendor's contract isn't at {ERASURE}"
)
KEY = "SG.may-read"
ADA = "ada@example.org"


def schema(name: str) -> Draft202012Validator:
    document = json.loads(ERASURE.read_text(encoding="utf-8"))
    return Draft202012Validator(document["components"]["schemas"][name])


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(read_key=KEY)) as running:
        yield running


def test_an_order_is_as_documented() -> None:
    wanted = schema("RecipientsDataErasureEraseRecipientsRequest")
    assert list(wanted.iter_errors(json.loads(erasing.body([ADA, "bo@example.org"])))) == []


def test_many_addresses_are_cut_into_orders_that_the_vendor_takes() -> None:
    wanted = schema("RecipientsDataErasureEraseRecipientsRequest")
    everybody = [f"{'p' * 50}{number}@example.org" for number in range(12_000)]
    cut = list(erasing.orders(everybody))
    assert [one for part in cut for one in part] == everybody
    for part in cut:
        assert len(erasing.body(part)) <= 256_000
        assert list(wanted.iter_errors(json.loads(erasing.body(part)))) == []


def test_the_sandbox_erases_what_it_holds_and_answers_as_documented(sandbox: Sandbox) -> None:
    sandbox.webhook.lists.put("bounces", ADA, status="5.1.1")
    vendor = VendorErasure(KEY, sandbox.url)
    vendor.erase([ADA])
    vendor.close()
    assert sandbox.webhook.lists.of("bounces", ADA) == []


def test_a_key_that_may_not_is_said_so_and_no_address_is_repeated(sandbox: Sandbox) -> None:
    vendor = VendorErasure("SG.may-only-send", sandbox.url)
    with pytest.raises(NotTaken, match="MAILPREFS_SENDGRID_READ_KEY") as refused:
        vendor.erase([ADA])
    assert not refused.value.is_refused
    vendor.close()


def test_a_bad_address_is_refused_and_not_repeated(sandbox: Sandbox) -> None:
    vendor = VendorErasure(KEY, sandbox.url)
    with pytest.raises(NotTaken, match="400") as refused:
        vendor.erase(["nobody"])
    assert refused.value.is_refused
    assert "nobody" not in str(refused.value)
    vendor.close()


def test_a_vendor_out_of_reach_is_told_without_an_address() -> None:
    vendor = VendorErasure(KEY, "http://127.0.0.1:9", timeout=1)
    with pytest.raises(NotTaken) as failed:
        vendor.erase([ADA])
    assert "ada" not in str(failed.value)
