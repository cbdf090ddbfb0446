"""What the workers of one process share."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from mailprefs.db.database import Database
from mailprefs.deliveries.claim import Terms
from mailprefs.deliveries.contents import Contents
from mailprefs.links import Links
from mailprefs.settings import Settings
from mailprefs.vendor.message import Vendor


def utc_now() -> datetime:
    """Give the present instant, aware and in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What all workers of a process share: the store, the vendor, the keys, and the settings.

    *guard* says in a sentence why nothing may be sent from here (``instance.Guard``), None: it may.
    """

    db: Database
    vendor: Vendor
    links: Links
    settings: Settings
    vendor_name: str = "sendgrid"
    clock: Callable[[], datetime] = utc_now
    contents: Contents = field(default_factory=Contents)
    guard: Callable[[Session | None], str | None] = lambda _: None
    stopping: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)

    def terms(self, owner: str) -> Terms:
        """Give what a worker named *owner* claims by."""
        settings = self.settings
        return Terms(
            owner=owner[-64:],
            vendor=self.vendor_name,
            batch_size=settings.batch_size,
            lease=settings.lease,
            probe_after=settings.probe_after,
            limits=settings.limits,
            unknown_region_basis=settings.unknown_region_basis,
            may_mail=settings.may_mail,
            guard=self.guard,
        )
