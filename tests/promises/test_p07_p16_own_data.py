"""P7, P10, P16: everybody gets all that is kept of them, with whom it was handed to and when."""

import json
import re
from datetime import UTC, datetime
from typing import Any

from mailprefs.links import REQUEST_PREFIXES
from mailprefs.policy import DataRequest
from mailprefs.privacy import requests
from tests.company import BASE, ONE_CLICK, Company

ADA, BO = (f"{name}@example.org" for name in ("ada", "bo"))


def mailed_link(company: Company, address: str) -> str:
    """Ask for somebody's data; give the path of the link that arrives in their own mailbox."""
    number, now = company.person(address).id, company.clock()
    kind = DataRequest.EXPORT
    with company.db.transaction() as session:
        requests.ask(session, company.parts.links, BASE, number, kind, now=now)
    company.work()
    message = company.arrived()[-1]
    assert message.address == address
    found = re.search(rf"{BASE}({REQUEST_PREFIXES[kind]}\S+)", message.text)
    assert found is not None
    return found[1]


def test_ones_own_data_comes_by_the_mailbox_once_with_each_hand_over_and_choice(
    company: Company,
) -> None:
    company.bring(ADA, BO, source="Box on the order form")
    began = datetime.now(UTC)
    sent = company.send(subject="The first frost")
    message = company.message(sent, ADA)
    company.load(message)
    company.client.post(message.one_click, data=ONE_CLICK)
    link = mailed_link(company, ADA)
    assert company.client.get(link).text.count("<button") == 2
    given = company.client.post(link, data={"form": "json"})
    data: dict[str, list[dict[str, Any]]] = json.loads(given.text)["data"]

    # P7: which vendor, when, which fields, of every message.
    number = f"{sent}-{message.delivery_id & 0xFFFFFFFF}"
    first, mail = data["hand_overs"]
    assert (first["message"], first["vendor"], first["outcome"]) == (number, "sendgrid", "accepted")
    assert set(first["fields"]) >= {"address", "first_name", "last_name"}
    assert began <= datetime.fromisoformat(first["at"]) <= datetime.now(UTC)
    assert "request_url" in mail["fields"]
    # P10: what was chosen, under which words and which policy.
    agreed, *_, left = (one for one in data["choices"] if one["purpose"] == "promotional_email")
    assert (agreed["after"], agreed["wording"]) == ("subscribed", "Box on the order form")
    assert (left["source"], left["message"], left["policy_version"]) == (
        *("one_click", number, "first"),
    )
    # What was sent, what was measured, and what holds mail back.
    assert data["messages"][0]["subject"] == "The first frost"
    assert [(one["message"], one["policy_version"]) for one in data["opens"]] == [(number, "first")]
    assert [one["reason"] for one in data["held_back"]] == ["unsubscribed"]
    assert [one["kind"] for one in data["requests"]] == ["export"]
    assert BO not in given.text and link not in given.text
    assert "Content-Disposition" not in company.client.post(link).headers
