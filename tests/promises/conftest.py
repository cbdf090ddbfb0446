"""Every promise is shown on a whole installation, on both databases."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from mailprefs.vendor.webhooks import SIGNATURE_HEADER, TIMESTAMP_HEADER
from tests.company import Company
from tests.company import company as opened


@pytest.fixture
def company(database_url: str, tmp_path: Path) -> Iterator[Company]:
    """Give an installation with two people on its staff and topics of both classes."""
    with opened(database_url, tmp_path) as one:
        yield one


@pytest.fixture
def postgresql_company(postgresql_url: str, tmp_path: Path) -> Iterator[Company]:
    """Give the same on PostgreSQL only."""
    with opened(postgresql_url, tmp_path) as one:
        yield one


def signed(company: Company, body: bytes, key: ec.EllipticCurvePrivateKey | None) -> dict[str, str]:
    """Give the headers with which the vendor posts *body*; without a key, it isn't signed."""
    timestamp = str(int(company.clock().timestamp()))
    headers = {TIMESTAMP_HEADER: timestamp}
    if key is not None:
        signature = key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        headers[SIGNATURE_HEADER] = base64.b64encode(signature).decode()
    return headers
