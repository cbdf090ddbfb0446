"""The freeze: an audience becomes deliveries, slice by slice, and these become batches.

Each step is one short transaction that moves ``campaigns.frozen_to`` on with what it wrote, so a
crash at any point costs one slice, which the next step does again. Nothing can be claimed before
the state is ``sending``. Batches are cut when all slices are there, so none of them ends short.
"""

from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Insert,
    Integer,
    Select,
    Subquery,
    and_,
    bindparam,
    case,
    cast,
    func,
    insert,
    literal_column,
    not_,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.orm import Session

from mailprefs import audience, consent
from mailprefs.audience import Audience
from mailprefs.db import dialects
from mailprefs.deliveries.numbers import LARGEST_BLOCK, before_block
from mailprefs.errors import Conflict
from mailprefs.policy import MessageClass
from mailprefs.schema.campaigns import Campaign, CampaignState, Content, KeptOut
from mailprefs.schema.deliveries import Batch, BatchState, Delivery
from mailprefs.schema.people import Recipient, Subscription

_POSTGRESQL_SLICE: Final = 20_000
# Every write on SQLite is the gate, and nobody holds that longer than 50 ms; this takes 15.
_SQLITE_SLICE: Final = 8_000
_BATCHES_A_STEP: Final = 2_000
PRIORITY: Final = {MessageClass.ADMINISTRATIVE: 1, MessageClass.PROMOTIONAL: 2}


class Progress(NamedTuple):
    """What one step did: the campaign, how many deliveries it has, and whether it may be sent."""

    campaign_id: int
    frozen: int
    is_done: bool


class _Block(NamedTuple):
    """A content of the campaign, and the last of its delivery ids that is taken."""

    content_id: int
    language: str
    before: int
    last: int


def begin_due(session: Session, *, now: datetime) -> list[int]:
    """Move every scheduled campaign whose time has come to ``freezing``; give their ids.

    Who is recipient number ``freeze_end`` or lower takes part; whoever comes later does not.
    """
    newest = select(func.coalesce(func.max(Recipient.id), 0)).scalar_subquery()
    moved = session.execute(
        update(Campaign)
        .where(Campaign.state == CampaignState.SCHEDULED, Campaign.due_at <= now)
        .values(
            state=CampaignState.FREEZING,
            started_at=now,
            frozen_to=0,
            freeze_end=newest,
            chosen=0,
            frozen=0,
        )
        .returning(Campaign.id)
    )
    return sorted(moved.scalars())


def any_due(session: Session, *, now: datetime) -> bool:
    """Tell whether ``begin_due`` would move a campaign; for reading, so that looking is cheap."""
    query = select(Campaign.id).where(
        Campaign.state == CampaignState.SCHEDULED, Campaign.due_at <= now
    )
    return session.execute(query.limit(1)).first() is not None


def freezing(session: Session) -> list[int]:
    """List the campaigns whose freeze isn't done, administrative ones first."""
    query = select(Campaign.id).where(Campaign.state == CampaignState.FREEZING)
    return list(session.scalars(query.order_by(Campaign.message_class, Campaign.id)))


def step(
    session: Session,
    campaign_id: int,
    *,
    batch_size: int,
    now: datetime,
    slice_size: int | None = None,
) -> Progress | None:
    """Do one step of a campaign's freeze; None if it isn't freezing or another worker has it.

    :raises Conflict: if no privacy policy is in force, or the campaign has no content.
    """
    campaign = session.execute(
        select(Campaign)
        .where(Campaign.id == campaign_id, Campaign.state == CampaignState.FREEZING)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if campaign is None:
        return None
    is_done = False
    if campaign.frozen_to < (campaign.freeze_end or 0):
        size = slice_size or (_SQLITE_SLICE if dialects.is_sqlite(session) else _POSTGRESQL_SLICE)
        _freeze_slice(session, campaign, size, now)
    elif not _cut(session, campaign, batch_size):
        is_done = True
        campaign.state = CampaignState.SENDING if campaign.frozen else CampaignState.FINISHED
        campaign.finished_at = None if campaign.frozen else now
    session.flush()
    return Progress(campaign.id, campaign.frozen, is_done)


def _freeze_slice(session: Session, campaign: Campaign, size: int, now: datetime) -> None:
    """Look at the next *size* recipients: insert deliveries of some, count the others."""
    end = campaign.freeze_end or 0
    within = (Recipient.id > campaign.frozen_to, Recipient.id <= end)
    last = session.execute(
        select(Recipient.id).where(*within).order_by(Recipient.id).offset(size - 1).limit(1)
    ).scalar_one_or_none()
    upto = end if last is None else last
    counts = _insert(session, campaign, upto, now)
    reached = counts.pop(None, 0)
    campaign.frozen += reached
    campaign.chosen += reached + sum(counts.values())
    campaign.frozen_to = upto
    for word, n in counts.items():
        keep = dialects.insert(session, KeptOut).values(campaign_id=campaign.id, reason=word, n=n)
        session.execute(
            keep.on_conflict_do_update(
                index_elements=[KeptOut.campaign_id, KeptOut.reason],
                set_={"n": KeptOut.n + keep.excluded.n},
            )
        )


def _insert(
    session: Session, campaign: Campaign, upto: int, now: datetime
) -> dict[str | None, int]:
    """Insert the deliveries of one slice; give how many people there are by reason, None: may.

    One view of the people for both: on PostgreSQL one statement, on SQLite the transaction.
    """
    policy_version_id = consent.policy_in_force(session, now)
    blocks = _blocks(session, campaign)
    is_sqlite = dialects.is_sqlite(session)
    inserting, counting, chosen = _statements(
        audience.of(campaign), tuple(block.language for block in blocks), is_sqlite=is_sqlite
    )
    values: dict[str, object] = {
        "after": campaign.frozen_to,
        "upto": upto,
        "campaign": campaign.id,
        "policy_version": policy_version_id,
        **audience.asked(now),
    }
    values |= {f"last_{number}": block.last for number, block in enumerate(blocks)}
    if not is_sqlite:
        return dict(session.connection().execute(counting, values).all())
    reached = dialects.changed(session, inserting, values)
    counted: dict[str | None, int] = {None: reached}
    # Who is kept out is asked only where somebody is: the question reads the slice once more.
    if session.connection().execute(chosen, values).scalar_one() > reached:
        counted |= dict(session.connection().execute(counting, values).all())
    return counted


@lru_cache(maxsize=64)
def _statements(
    whom: Audience, languages: tuple[str, ...], *, is_sqlite: bool
) -> tuple[Insert, Select[str | None, int], Select[int]]:
    """Give the statements that insert one slice, count its people by reason, and all of them.

    On PostgreSQL the second holds the first; on SQLite it counts only those who are kept out.
    Kept, because making them takes longer than running them, and the gate is held meanwhile.
    """
    people = _slice(whom, is_sqlite=is_sqlite).add_columns(_block_of(languages).label("block"))
    why = audience.reason(whom).label("reason")
    if is_sqlite:
        reached = people.where(audience.may_get(whom)).subquery("reached")
        others = _slice(whom, is_sqlite=True).with_only_columns(why, func.count())
        others = others.where(not_(audience.may_get(whom))).group_by(why)
        return _inserting(len(languages), reached, is_sqlite=True), others, _chosen(whom)
    everybody = people.add_columns(why).cte("everybody")
    reached = select(everybody).where(everybody.c.reason.is_(None)).subquery("reached")
    inserting = _inserting(len(languages), reached, is_sqlite=False)
    counting = select(everybody.c.reason, func.count()).group_by(everybody.c.reason)
    counting = counting.add_cte(inserting.returning(Delivery.id).cte("inserted"))
    return inserting, counting, _chosen(whom)


def _chosen(whom: Audience) -> Select[int]:
    """Give the query for how many of the chosen are in the slice, from the one table that tells."""
    after, upto = (bindparam(name, type_=BigInteger) for name in ("after", "upto"))
    if not whom.needs_subscription:
        return select(func.count()).where(Recipient.id > after, Recipient.id <= upto)
    return select(func.count()).where(
        Subscription.recipient_id > after,
        Subscription.recipient_id <= upto,
        Subscription.topic_id + 0 == whom.topic_id,
    )


def _slice(whom: Audience, *, is_sqlite: bool) -> Select[int]:
    """Give the query for those of the chosen who are in the slice.

    The range is said of both tables, because PostgreSQL carries none over from one to the other;
    and SQLite is kept from the index on topics (by a sum, which no index holds), because through
    that one every slice would read all subscriptions of the topic again.
    """
    after, upto = (bindparam(name, type_=BigInteger) for name in ("after", "upto"))
    people = select(Recipient.id.label("recipient_id")).where(
        Recipient.id > after, Recipient.id <= upto
    )
    if not whom.needs_subscription:
        return people
    topic = Subscription.topic_id + 0 if is_sqlite else Subscription.topic_id
    return people.join(
        Subscription,
        and_(Subscription.recipient_id == Recipient.id, topic == whom.topic_id),
    ).where(Subscription.recipient_id > after, Subscription.recipient_id <= upto)


def _inserting(blocks: int, reached: Subquery, *, is_sqlite: bool) -> Insert:
    """Give the statement that makes deliveries of those reached, numbered on in each block."""
    columns = ["id", "campaign_id", "recipient_id", "policy_version_id"]
    if is_sqlite and blocks == 1:
        recipient_id, number, last = _numbered(reached)
    else:
        recipient_id = reached.c.recipient_id
        number = func.row_number().over(
            partition_by=reached.c.block if blocks > 1 else None, order_by=recipient_id
        )
        last = _last_id(reached.c.block, blocks)
    rows = select(
        last + number,
        bindparam("campaign", type_=Integer),
        recipient_id,
        bindparam("policy_version", type_=Integer),
    )
    return insert(Delivery).from_select(columns, rows, include_defaults=False)


def _numbered(reached: Subquery) -> tuple[ColumnElement[int], ...]:
    """Give the ids of those reached, the number of each, and the last id taken, on SQLite.

    A JSON array numbers what it holds; ``row_number`` takes as long as all the rest of the freeze.
    """
    every = select(func.json_group_array(reached.c.recipient_id)).scalar_subquery()
    one = func.json_each(every).table_valued("key", "value")
    last = bindparam("last_0", type_=BigInteger)
    return type_coerce(one.c.value, BigInteger), type_coerce(one.c.key, Integer) + 1, last


def _blocks(session: Session, campaign: Campaign) -> list[_Block]:
    """List the contents of the campaign's current revision, the first made being the default.

    :raises Conflict: if there is none.
    """
    contents = session.execute(
        select(Content.id, Content.language)
        .where(Content.campaign_id == campaign.id, Content.revision == campaign.revision)
        .order_by(Content.id)
    ).all()
    if not contents:
        raise Conflict(f"Campaign {campaign.id} has no content. Write one, then send it again.")
    return [
        _block(session, campaign.id, number, content_id, language)
        for number, (content_id, language) in enumerate(contents)
    ]


def _block(
    session: Session, campaign_id: int, number: int, content_id: int, language: str
) -> _Block:
    before = before_block(campaign_id, number)
    last = session.execute(
        select(Delivery.id)
        .where(Delivery.id.between(before + 1, before + LARGEST_BLOCK))
        .order_by(Delivery.id.desc())
        .limit(1)
    ).scalar_one_or_none()
    return _Block(content_id, language.lower(), before, last or before)


def _block_of(languages: tuple[str, ...]) -> ColumnElement[int]:
    """Give the number of the content for a person's language.

    The same language and region first, then the same language, then the default.
    """
    if len(languages) == 1:
        return literal_column("0", Integer)
    spoken = func.lower(Recipient.language)
    exact = [(spoken == language, number) for number, language in enumerate(languages)]
    alike = []
    for number, language in enumerate(languages):
        short = language.partition("-")[0]
        alike.append((or_(spoken == short, spoken.like(f"{short}-%")), number))
    return case(*exact, *alike, else_=0)


def _last_id(block: ColumnElement[int], blocks: int) -> ColumnElement[int]:
    """Give the last id taken in a block, in SQL."""
    first, *others = (bindparam(f"last_{number}", type_=BigInteger) for number in range(blocks))
    if not others:
        return first
    taken = [(block == number, last) for number, last in enumerate(others, start=1)]
    return cast(case(*taken, else_=first), BigInteger)


def _cut(session: Session, campaign: Campaign, batch_size: int) -> int:
    """Cut deliveries that are in no batch yet into batches; give how many batches were made."""
    rows: list[dict[str, Any]] = []
    for block in _blocks(session, campaign) if campaign.frozen else []:
        first = _cut_to(session, campaign.id, block) + 1
        while first <= block.last and len(rows) < _BATCHES_A_STEP:
            last = min(first + batch_size - 1, block.last)
            rows.append(_batch(campaign, block.content_id, first, last))
            first = last + 1
    if rows:
        session.execute(insert(Batch), rows)
    return len(rows)


def _cut_to(session: Session, campaign_id: int, block: _Block) -> int:
    """Give the last delivery of a block that is in a batch."""
    last = session.execute(
        select(Batch.last_id)
        .where(
            Batch.campaign_id == campaign_id,
            Batch.first_id.between(block.before + 1, block.before + LARGEST_BLOCK),
        )
        .order_by(Batch.first_id.desc())
        .limit(1)
    ).scalar_one_or_none()
    return last or block.before


def _batch(campaign: Campaign, content_id: int, first: int, last: int) -> dict[str, Any]:
    return {
        "campaign_id": campaign.id,
        "content_id": content_id,
        "priority": PRIORITY[campaign.message_class],
        "first_id": first,
        "last_id": last,
        "n": last - first + 1,
        "own": 0,
        "state": BatchState.PENDING,
    }
