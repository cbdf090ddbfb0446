"""A fetch that Apple's list proves to be Apple's says the same of a person as without a list."""

from pathlib import Path

import pytest
from sqlalchemy import select

from mailprefs import relays
from mailprefs.jobs.ingest import Ingest
from mailprefs.opens.bits import APPLE
from mailprefs.schema.opens import Measured
from mailprefs.schema.people import Recipient
from tests.company import company


@pytest.mark.parametrize(("address", "is_apple"), [("172.224.226.5", True), ("203.0.113.7", False)])
def test_with_a_list_apples_readers_are_known_and_others_are_not(
    sqlite_url: str,
    tmp_path: Path,
    address: str,
    is_apple: bool,  # noqa: FBT001 - a table
) -> None:
    with company(sqlite_url, tmp_path, trusted_proxies="127.0.0.1") as one:
        (tmp_path / "list.csv").write_text("172.224.226.0/27,GB\n")
        one.parts.settings.data_dir.mkdir(exist_ok=True)
        relays.load(tmp_path / "list.csv", one.parts.settings.data_dir, now=one.clock())
        one.bring("ada@example.org")
        (message,) = one.arrived(one.send())
        one.clock.pass_by(minutes=1)
        headers = {"User-Agent": "Mozilla/5.0", "X-Forwarded-For": address}
        one.client.get(str(message.pixel), headers=headers)
        Ingest(one.db, one.parts.settings.spool_dir, one.clock).drain()
        with one.db.reading() as session:
            (bits,) = session.scalars(select(Measured.bits))
            (seen,) = session.scalars(select(Recipient.apple_seen_on))
    assert (bool(bits & APPLE), seen is not None) == (is_apple, is_apple)
