"""What one installation is made of."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mailprefs.addresses import AddressHasher
from mailprefs.db.database import Database
from mailprefs.links import Links
from mailprefs.settings import Settings
from mailprefs.spool import Spool
from mailprefs.vendor.message import Vendor


def utc_now() -> datetime:
    """Give the present instant, aware and in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The joined installation: made once by ``app.build``, passed to everything at the edge.

    ``clock`` is the edge's only clock; a test passes one that stands still. No key is shown when
    this is printed.
    """

    settings: Settings
    db: Database
    links: Links
    hasher: AddressHasher
    vendor: Vendor
    spool: Spool
    token_keys: tuple[bytes, ...] = field(repr=False)
    clock: Callable[[], datetime] = utc_now
