"""What the vendor told of deliveries, and what that says of opens that were counted before.

A message's delivery is told seconds or hours after the fact. What had opened it by then was counted
for what it looked like; whatever was there before the message arrived is a machine's after all.
Then rows, sums and bits move together, while the row exists. That goes one way only: what was once
found to be a machine's stays so, though a second event may tell of an earlier delivery.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from mailprefs.db.dialects import among
from mailprefs.opens import turn
from mailprefs.opens.bits import DELIVERED, FETCHED, HUMAN, of_kinds
from mailprefs.opens.fetches import Hit, Said
from mailprefs.opens.judging import Row, cells, decide, moved
from mailprefs.opens.knowing import Calls, read
from mailprefs.opens.periods import micros
from mailprefs.opens.writing import Writes, delete_opens
from mailprefs.schema.opens import Measured, Open, UndecidedOpen


def delivered(session: Session, ids: Collection[int]) -> int:
    """Note that messages were delivered, as ``mailbox_facts`` has it by now.

    Deliveries that aren't measured (any more) are left out. Gives how many weren't known to be
    delivered.
    """
    if not ids:
        return 0
    turn.take(session)
    before = _bits(session, ids)
    after = {one: bits | DELIVERED for one, bits in before.items()}
    kept = _undecided(session, before.keys())
    writes = Writes()
    if kept:
        for one, kinds in _judge_again(session, kept, writes).items():
            after[one] = after[one] & ~(HUMAN | FETCHED) | of_kinds(kinds)
        done = delete(UndecidedOpen).where(among(session, UndecidedOpen.delivery_id, kept))
        session.connection().execute(done)
    changed = {one: bits for one, bits in after.items() if bits != before[one]}
    writes.set_bits(changed)
    writes.add_to_totals(moved(before, changed))
    writes.run(session)
    return sum(not bits & DELIVERED for bits in before.values())


def _bits(session: Session, ids: Collection[int]) -> dict[int, int]:
    """Give the bits of the measured ones among deliveries."""
    rows = session.connection().execute(
        select(Measured.delivery_id, Measured.bits)
        .where(among(session, Measured.delivery_id, ids))
        .order_by(Measured.delivery_id)
    )
    return {row.delivery_id: row.bits for row in rows}


def _undecided(session: Session, ids: Collection[int]) -> dict[int, list[Hit]]:
    """Give the fetches that were kept until it is known when these messages were delivered."""
    found: defaultdict[int, list[Hit]] = defaultdict(list)
    rows = session.connection().execute(
        select(UndecidedOpen.__table__).where(among(session, UndecidedOpen.delivery_id, ids))
    )
    for row in rows:
        said = Said(row.kind, row.reason, row.ruleset, row.client, row.country)
        found[row.delivery_id].append((micros(row.at), said))
    return dict(found)


def _judge_again(
    session: Session, kept: Mapping[int, list[Hit]], writes: Writes
) -> dict[int, frozenset[int]]:
    """Take back the rows that weren't a person's, with what was added up of them.

    Gives the kinds of opens that the deliveries concerned have now. Those of a closed campaign stay
    as they are: its numbers are out.
    """
    ids = sorted(kept)
    told = read(session, {one >> 32 for one in ids}, ids, Calls())
    rows: defaultdict[int, dict[int, Row]] = defaultdict(dict)
    for row in session.connection().execute(
        select(Open.__table__).where(among(session, Open.delivery_id, ids))
    ):
        rows[row.delivery_id][row.kind] = Row(*row)
    decisions = {
        one: decision
        for one, what in sorted(told.deliveries.items())
        if (decision := decide(one, rows[one], kept[one], what, told.policies)) is not None
    }
    gone = [row for decision in decisions.values() for row in decision.gone]
    new = [row for decision in decisions.values() for row in decision.new]
    sums = cells(new, told.periods)
    sums.subtract(cells(gone, told.periods))
    delete_opens(session, gone)
    writes.insert_opens(new)
    writes.add_to_rollup(sums)
    return {one: decision.kinds for one, decision in decisions.items()}
