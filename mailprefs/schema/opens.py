"""Opens: evidence by delivery, and the sums that outlive it."""

from datetime import date, datetime

from sqlalchemy import Date, Integer, LargeBinary, SmallInteger, String
from sqlalchemy.orm import Mapped

from mailprefs.schema.base import EVIDENCE, SILENCED, Base, BigId, UtcDateTime, column


class Open(Base):
    """The first fetch of one kind for one delivery; no IP address, no user agent.

    After 30 days only delivery, kind and local day are left: ``ruleset`` is 0 then, the other
    columns say nothing, and ``first_seen_at`` is when that day began.
    """

    __tablename__ = "opens"
    __table_args__ = ({"sqlite_with_rowid": False},)

    delivery_id: Mapped[int] = column(BigId, primary_key=True, autoincrement=False, mark=EVIDENCE)
    # The numbers of useragents.OpenKind and of its reasons.
    kind: Mapped[int] = column(SmallInteger, primary_key=True, autoincrement=False, mark=EVIDENCE)
    reason: Mapped[int] = column(SmallInteger, mark=EVIDENCE)
    ruleset: Mapped[int] = column(SmallInteger, mark=EVIDENCE)
    policy_version_id: Mapped[int] = column(Integer, mark=EVIDENCE)
    first_seen_at: Mapped[datetime] = column(UtcDateTime, mark=EVIDENCE)
    country: Mapped[str | None] = column(String(2), mark=EVIDENCE)
    client: Mapped[int] = column(SmallInteger, mark=EVIDENCE)


class UndecidedOpen(Base):
    """A fetch that looks like a person's, until it is known when its message was delivered.

    It is counted in ``opens`` already, to the minute; if it was before the delivery, it was a
    machine's after all. A row goes with that answer, or after three days.
    """

    __tablename__ = "undecided_opens"
    __table_args__ = ({"sqlite_with_rowid": False},)

    delivery_id: Mapped[int] = column(BigId, primary_key=True, autoincrement=False, mark=EVIDENCE)
    kind: Mapped[int] = column(SmallInteger, primary_key=True, autoincrement=False, mark=EVIDENCE)
    at: Mapped[datetime] = column(UtcDateTime, primary_key=True, mark=EVIDENCE)
    reason: Mapped[int] = column(SmallInteger, mark=EVIDENCE)
    ruleset: Mapped[int] = column(SmallInteger, mark=EVIDENCE)
    country: Mapped[str | None] = column(String(2), mark=EVIDENCE)
    client: Mapped[int] = column(SmallInteger, mark=EVIDENCE)


class OpenRollup(Base):
    """How many rows of ``opens`` a campaign has had, along one dimension."""

    __tablename__ = "open_rollup"

    campaign_id: Mapped[int] = column(Integer, primary_key=True, autoincrement=False)
    # "hour" (local, YYYY-MM-DDTHH), "country" or "client"; dimensions are never crossed.
    dimension: Mapped[str] = column(String(8), primary_key=True)
    value: Mapped[str] = column(String(16), primary_key=True)
    kind: Mapped[int] = column(SmallInteger, primary_key=True, autoincrement=False)
    n: Mapped[int] = column(Integer)


class Loads(Base):
    """Pixel loads of a campaign by people who are counted without being told apart."""

    __tablename__ = "loads"

    campaign_id: Mapped[int] = column(Integer, primary_key=True, autoincrement=False)
    day: Mapped[date] = column(Date, primary_key=True)
    kind: Mapped[int] = column(SmallInteger, primary_key=True, autoincrement=False)
    n: Mapped[int] = column(Integer)


class Measured(Base):
    """A delivery whose opens may be measured by person; a row exists for no other delivery.

    ``bits``: 1 delivered, 2 apple, 4 human (a direct or proxied open), 8 fetched (by anybody but a
    scanner or bot).
    """

    __tablename__ = "measured"

    delivery_id: Mapped[int] = column(BigId, primary_key=True, autoincrement=False, mark=EVIDENCE)
    bits: Mapped[int] = column(SmallInteger, mark=EVIDENCE)


class MeasuredTotal(Base):
    """How many measured deliveries of a campaign have exactly these bits; at most 16 rows."""

    __tablename__ = "measured_totals"

    campaign_id: Mapped[int] = column(Integer, primary_key=True, autoincrement=False)
    bits: Mapped[int] = column(SmallInteger, primary_key=True, autoincrement=False)
    n: Mapped[int] = column(Integer)


class SilencedDelivery(Base):
    """A delivery whose pixel counts nothing, for ever: its person refused or was erased."""

    __tablename__ = "silenced_deliveries"

    delivery_id: Mapped[int] = column(BigId, primary_key=True, autoincrement=False, mark=SILENCED)


class SpoolPosition(Base):
    """Up to where one segment of the pixel's spool has been counted.

    All before ``position``. While a window is counted, which ends at ``window_end``, also its hits
    up to the key ``through`` (delivery and time, 16 bytes); both are empty otherwise.
    """

    __tablename__ = "spool_positions"

    segment: Mapped[bytes] = column(LargeBinary(16), primary_key=True)
    position: Mapped[int] = column(BigId)
    updated_at: Mapped[datetime] = column(UtcDateTime)
    window_end: Mapped[int | None] = column(BigId)
    through: Mapped[bytes | None] = column(LargeBinary(16))


class OpenRetention(Base):
    """How far the evidence of a closed campaign's opens is reduced: what needn't be read again."""

    __tablename__ = "open_retention"

    campaign_id: Mapped[int] = column(Integer, primary_key=True, autoincrement=False)
    # When nothing but delivery, kind and day was left, and when nothing at all.
    reduced_at: Mapped[datetime | None] = column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = column(UtcDateTime)
