"""Every promise is shown on a whole installation, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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
