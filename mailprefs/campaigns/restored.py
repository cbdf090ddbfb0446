"""Campaigns of a restored backup that had no deliveries yet: afterwards they may have been sent.

Their numbers stand in the links of whatever was sent. So each is cancelled, and goes on as a draft
with a new number: a person looks before it goes. Single messages go on in standing campaigns that
are made anew.
"""

from typing import Any, Final

from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.orm import Session

from mailprefs.schema.campaigns import Campaign, CampaignState, Content
from mailprefs.schema.tables import metadata

_CAMPAIGNS: Final[Table] = Campaign.metadata.tables[Campaign.__tablename__]
_CONTENTS: Final[Table] = Content.metadata.tables[Content.__tablename__]
_UNSENT: Final = (CampaignState.DRAFT, CampaignState.SCHEDULED, CampaignState.FREEZING)
_NOBODY: Final[dict[str, Any]] = dict.fromkeys(("chosen", "frozen", "frozen_to"), 0)
_AS_A_DRAFT: Final[dict[str, Any]] = {
    "state": CampaignState.DRAFT,
    **dict.fromkeys(("approver_id", "approved_at", "due_at", "due_wall", "due_fold", "zone")),
    **dict.fromkeys(("started_at", "freeze_end", "paused_from", "paused_reason")),
    **_NOBODY,
}


def number_anew(session: Session) -> dict[int, int]:
    """Make drafts with new numbers of all that wasn't sent; give the new number of each.

    The counters were moved ahead before (``db.counters``).
    """
    unsent = session.execute(
        select(_CAMPAIGNS).where(_CAMPAIGNS.c.state.in_(_UNSENT)).order_by(_CAMPAIGNS.c.id)
    ).mappings()
    return {row["id"]: _again(session, dict(row)) for row in unsent.all()}


def end_standing(session: Session) -> None:
    """Let single messages from now on be of new standing campaigns, whose numbers are new."""
    session.execute(
        update(_CAMPAIGNS).where(_CAMPAIGNS.c.template.is_not(None)).values(template=None)
    )


def _again(session: Session, row: dict[str, Any]) -> int:
    """Copy one campaign with its contents under a new number, and cancel the old one."""
    old = row.pop("id")
    made = insert(_CAMPAIGNS).values(row | _AS_A_DRAFT).returning(_CAMPAIGNS.c.id)
    new = int(session.execute(made).scalar_one())
    contents = select(_CONTENTS).where(_CONTENTS.c.campaign_id == old).order_by(_CONTENTS.c.id)
    for content in session.execute(contents).mappings().all():
        copied = {name: value for name, value in content.items() if name != "id"}
        session.execute(insert(_CONTENTS).values(copied | {"campaign_id": new}))
    # Of a freeze that was under way: nothing of it was claimed here.
    for table in reversed(metadata.sorted_tables):
        if "campaign_id" in table.c and table is not _CONTENTS:
            session.execute(delete(table).where(table.c.campaign_id == old))
    cancelled = update(_CAMPAIGNS).where(_CAMPAIGNS.c.id == old)
    session.execute(cancelled.values(state=CampaignState.CANCELLED, **_NOBODY))
    return new
