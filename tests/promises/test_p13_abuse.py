"""P13: whoever forges, scans or signs others up gets nowhere; whoever complains is left alone."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.company import ONE_CLICK, Arrived, Company
from tests.promises.conftest import signed
from tests.snapshots import snapshot
from tests.web.test_webhooks import KEY, OTHER_KEY, public

ADA, BO = "ada@example.org", "bo@example.org"
EVENTS = "/webhooks/sendgrid/events"


@pytest.fixture
def message(company: Company) -> Arrived:
    company.change(sendgrid_webhook_key=public(KEY))
    company.bring(ADA, BO)
    return company.message(company.send(), ADA)


def complaint(company: Company, message: Arrived) -> bytes:
    told = {
        "event": "spamreport",
        "email": ADA,
        "timestamp": int(company.clock().timestamp()),
        "sg_event_id": "event-1",
        "mp_delivery": str(message.delivery_id),
    }
    return json.dumps([told]).encode()


def post(company: Company, body: bytes, key: ec.EllipticCurvePrivateKey | None) -> int:
    headers = signed(company, body, key)
    answer = company.client.post(
        EVENTS, data=body, headers=headers, content_type="application/json"
    )
    return answer.status_code


def test_a_forged_link_changes_nothing(company: Company, message: Arrived) -> None:
    before = snapshot(company.db)
    for forged in (f"{message.one_click[:-6]}AAAAAA", "/u/AAAA", "/p/AAAA", "/c/AAAA"):
        assert company.client.post(forged, data=ONE_CLICK).status_code == 200
    assert snapshot(company.db) == before
    assert company.readers(company.send()) == [ADA, BO]


def test_a_scanner_that_opens_every_link_makes_no_choice(
    company: Company, message: Arrived
) -> None:
    before = snapshot(company.db)
    paths = {part.partition(")")[0] for part in message.text.split("https://mail.example.com")[1:]}
    for path in {one.split()[0] for one in paths if one.startswith("/")} | {message.one_click}:
        for method in ("GET", "HEAD", "OPTIONS"):
            company.client.open(path, method=method)
    assert snapshot(company.db) == before


def test_a_webhook_that_the_vendor_did_not_sign_is_refused(
    company: Company, message: Arrived
) -> None:
    before = snapshot(company.db)
    body = complaint(company, message)
    assert {post(company, body, OTHER_KEY), post(company, body, None)} <= {400, 401, 403}
    assert snapshot(company.db) == before


def test_whoever_complains_gets_no_promotional_mail_any_more(
    company: Company, message: Arrived
) -> None:
    assert post(company, complaint(company, message), KEY) == 200
    assert company.readers(company.send()) == [BO]


def test_nobody_floods_a_mailbox_by_signing_it_up(company: Company) -> None:
    for _ in range(5):
        form = {"address": "cy@example.org", "topic": ["newsletter"]}
        assert company.client.post("/subscribe", data=form).status_code == 200
    company.work()
    assert len(company.arrived()) == 1
