"""What was told of campaigns' opens: the only numbers that any report is made of."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Integer, SmallInteger
from sqlalchemy.orm import Mapped

from mailprefs.schema.base import Base, Document, UtcDateTime, column


class Release(Base):
    """The newest released numbers of one campaign; sums that name nobody.

    While the campaign is open they are made anew at most daily; once it has closed, never again.
    """

    __tablename__ = "releases"

    campaign_id: Mapped[int] = column(
        Integer, ForeignKey("campaigns.id"), primary_key=True, autoincrement=False
    )
    # When the numbers were counted; None if too few people may be measured to tell any.
    released_at: Mapped[datetime | None] = column(UtcDateTime)
    # When it was last asked whether they should be made anew: no more than once a day.
    looked_at: Mapped[datetime] = column(UtcDateTime)
    frozen_at: Mapped[datetime | None] = column(UtcDateTime)
    # The number of people that the rule asked for (k).
    people: Mapped[int] = column(SmallInteger)
    # reports.releases.Released
    numbers: Mapped[dict[str, Any] | None] = column(Document)
