"""A spool to write hits into, and its folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailprefs.spool import Spool


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def writer(directory: Path) -> Iterator[Spool]:
    spool = Spool(directory, sync_seconds=None)
    yield spool
    spool.close()
