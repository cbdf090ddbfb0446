"""A real event, signed by the vendor, at our webhook: taken with its key, and with no other.

It belongs to the vendor and lies beside the project, never in it.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from mailprefs.app import create_app
from mailprefs.db.database import Database
from mailprefs.schema.events import VendorEventRow
from mailprefs.vendor.webhooks import FRESHNESS, SIGNATURE_HEADER, TIMESTAMP_HEADER
from mailprefs.web.parts import Parts
from tests.snapshots import snapshot
from tests.web.conftest import clock, db, parts, settings

__all__ = ["clock", "db", "parts", "settings"]

SIGNED = Path(__file__).parents[3] / "shared" / "contract" / "signed_event.json"

pytestmark = pytest.mark.skipif(
    not SIGNED.exists(), reason=f"the vendor's signed event isn't at {SIGNED}"
)


@cache
def signed() -> dict[str, str]:
    loaded: dict[str, str] = json.loads(SIGNED.read_text())
    return loaded


def signed_at() -> datetime:
    return datetime.fromtimestamp(int(signed()["timestamp"]), UTC)


def post(
    parts: Parts, *, key: str = "public_key", signature: str = "signature", age: timedelta
) -> TestResponse:
    """Post the event as it was, *age* after it was signed, where *key* is set."""
    changed = parts.settings.model_copy(update={"sendgrid_webhook_key": signed()[key]})
    later = signed_at() + age
    app = create_app(replace(parts, settings=changed, clock=lambda: later))
    return app.test_client().post(
        "/webhooks/sendgrid/events",
        data=signed()["payload"].encode(),
        headers={
            SIGNATURE_HEADER: signed()[signature],
            TIMESTAMP_HEADER: signed()["timestamp"],
        },
        content_type="application/json",
    )


@pytest.mark.parametrize("age", [timedelta(0), FRESHNESS], ids=["at once", "at the last moment"])
def test_the_real_event_verifies_and_is_stored(parts: Parts, db: Database, age: timedelta) -> None:
    assert post(parts, age=age).status_code == 200
    with db.reading() as session:
        (stored,) = session.query(VendorEventRow)
    assert (stored.kind, stored.delivery_id, stored.classification) == ("rejected", None, "bounced")
    assert stored.occurred_at == datetime.fromtimestamp(1600112492, UTC)
    assert "hello@world.com" not in repr(snapshot(db))


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "wrong_key", "age": timedelta(0)},
        {"signature": "wrong_signature", "age": timedelta(0)},
        {"age": FRESHNESS + timedelta(seconds=1)},
        {"age": -FRESHNESS - timedelta(seconds=1)},
    ],
    ids=["key", "signature", "too old", "of a time to come"],
)
def test_a_wrong_key_a_wrong_signature_and_an_old_one_store_nothing(
    parts: Parts, db: Database, wrong: dict[str, object]
) -> None:
    before = snapshot(db)
    response = post(parts, **wrong)  # type: ignore[arg-type]  # keywords of post
    assert response.status_code == 403
    assert snapshot(db) == before
