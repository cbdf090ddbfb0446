"""Suppressions at the console: list, look one up, lift one, and compare with the vendor's lists."""

from datetime import datetime
from typing import Any, Final, NamedTuple

import click
from sqlalchemy.orm import Session

from mailprefs import audit, recipients, suppressions, times
from mailprefs.addresses import normalise
from mailprefs.app import Parts
from mailprefs.app.joining import comparison, suppression_lists
from mailprefs.cli import console
from mailprefs.errors import BadSetting, Conflict, NotFound
from mailprefs.jobs.reconciliation import BEGINNING, LIST_OF, Found
from mailprefs.policy import Role, Source, SuppressionReason
from mailprefs.schema.people import Recipient
from mailprefs.vendor.suppression_lists import (
    ListName,
    ListsForbidden,
    ListsUnavailable,
    SuppressionLists,
)

_TOLD_BY: Final = {
    Source.ONE_CLICK: "by one click",
    Source.PAGE: "on the page behind a message's link",
    Source.MAILTO: "by a mail to the address in a message's header",
    Source.PREFERENCES: "on the preference page",
    Source.SIGN_UP: "by signing up",
    Source.IMPORT: "told by an import",
    Source.STAFF: "entered by staff",
    Source.API: "told by a program, through the API",
    Source.VENDOR: "told by the vendor",
    Source.SYSTEM: "by mailprefs itself",
}
_LIFTABLE: Final = [one.value for one in SuppressionReason if one.can_be_lifted]
_REASON_OF: Final = {name.value: reason.value for reason, name in LIST_OF.items()}
_NO_KEY: Final = (
    "No key for the vendor's suppression lists is set: MAILPREFS_SENDGRID_READ_KEY, or "
    "MAILPREFS_SENDGRID_API_KEY."
)
_whom = click.argument("whom", metavar="ADDRESS|NUMBER")
_reason_of_lift = click.option(
    "--reason",
    "word",
    required=True,
    type=click.Choice(_LIFTABLE),
    help="Which suppression; what a person chose is theirs to take back.",
)
_because = click.option("--because", required=True, help="Why, in a sentence; it is audited.")


@click.group("suppression")
def suppression_group() -> None:
    """Addresses that are not to be mailed."""


@suppression_group.command("list")
@click.option(
    "--reason",
    "word",
    type=click.Choice([one.value for one in SuppressionReason]),
    help="Only those for one reason.",
)
@click.option("--limit", type=console.LINES, default=100, show_default=True)
@console.type_json
def list_suppressions(word: str | None, limit: int, *, as_json: bool) -> None:
    """List suppressions, newest first.

    Addresses are known by their keyed hash only.
    """
    parts = console.opened()
    reasons = [SuppressionReason(word)] if word else []
    with parts.db.reading() as session:
        found = [
            {
                "id": one.id,
                "reason": one.reason.value,
                "scope": one.scope.value,
                "source": one.source.value,
                "since": one.created_at.isoformat(timespec="seconds"),
            }
            for one in suppressions.listed(session, reasons=reasons, limit=limit)
        ]
    rows = [(*list(one.values())[:-1], _at(one["since"])) for one in found]
    console.answer(
        found,
        as_json=as_json,
        show=lambda: console.table(
            "Suppressions", ["#id", "reason", "scope", "source", "since"], rows
        ),
    )


@suppression_group.command("show")
@_whom
@console.acting
@console.type_json
def show(whom: str, acting_as: str | None, *, as_json: bool) -> None:
    """Show what stands against one address, or against a recipient's.

    What was lifted is shown, too.
    Whoever looks an address up leaves a note in the audit.
    """
    parts = console.opened()
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as, Role.PRIVACY)
        found = _find(session, parts, whom)
        if found.person is not None:
            subject = ("recipient", found.person.id)
            audit.record(session, who, "recipient.looked_up", subject, now=console.now())
        document = _document(session, found.address_hash)
    console.answer(document, as_json=as_json, show=lambda: _show(document))


@suppression_group.command("lift")
@_whom
@_reason_of_lift
@_because
@console.acting
def lift(whom: str, word: str, because: str, acting_as: str | None) -> None:
    """Mail an address again that was refused.

    A mailbox refused it, or the vendor held it back.
    It makes no yes of a no: whoever complained has left promotional mail, and stays out of it.
    """
    parts = console.opened()
    reason = SuppressionReason(word)
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as, Role.PRIVACY)
        hashed = _find(session, parts, whom).address_hash
        suppressions.lift_by_staff(session, hashed, reason, who, because=because, now=console.now())
        left = [one.reason for one in suppressions.of(session, hashed)]
    click.echo("Lifted.")
    for one in left:
        click.echo(f"Still in force: {one.value} ({suppressions.WORDS[one]}).")
    if reason in LIST_OF:
        click.echo(
            "The vendor keeps lists of its own. If mail is still dropped: mailprefs suppression "
            f"release {whom} --reason {word} --because TEXT"
        )


@suppression_group.command("release")
@_whom
@_reason_of_lift
@_because
@console.acting
def release(whom: str, word: str, because: str, acting_as: str | None) -> None:
    """Take an address off the vendor's own list.

    It has to be lifted here first. `mailprefs reconcile` tells whom this is needed for, by number.
    """
    parts = console.opened()
    reason = SuppressionReason(word)
    lists = suppression_lists(parts.settings)
    if lists is None:
        raise BadSetting(_NO_KEY)
    if reason not in LIST_OF:
        msg = "The vendor keeps no list of this kind; there is nothing to release."
        raise Conflict(msg)
    because = suppressions.written_reason(because)
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as, Role.PRIVACY)
        found = _find(session, parts, whom)
        if any(one.reason is reason for one in suppressions.of(session, found.address_hash)):
            msg = "The address is still suppressed here; lift it first: mailprefs suppression lift"
            raise Conflict(msg)
    _take_off(lists, LIST_OF[reason], found.address)
    name = LIST_OF[reason].value
    with parts.db.transaction() as session:
        audit.record(
            session,
            who,
            "suppression.released",
            # Nobody here has the address: it stands on the list of the account all the same.
            ("recipient", found.person.id) if found.person else ("vendor_list", name),
            now=console.now(),
            reason=because,
            details={"list": name},
        )
    click.echo("The vendor has taken it off its list.")


class _Whom(NamedTuple):
    """Whose address it is about: the recipient who has it, if somebody here does."""

    person: Recipient | None
    address: str
    address_hash: bytes


def _find(session: Session, parts: Parts, whom: str) -> _Whom:
    """Give whose address is meant: an address, or the number of a recipient.

    :raises BadAddress: for a text that is neither.
    :raises NotFound: for the number of nobody.
    """
    if not whom.isdecimal():
        typed = normalise(whom)
        person = recipients.find(session, parts.hasher, whom)
        address = typed.address if person is None else person.address
        return _Whom(person, address, parts.hasher.hash(typed.key))
    number = int(whom[:20])
    person = recipients.by_id(session, number) if number < 1 << 63 else None
    if person is None:
        msg = f"There is no recipient {whom} (any more)."
        raise NotFound(msg)
    return _Whom(person, person.address, person.address_hash)


def _take_off(lists: SuppressionLists, name: ListName, address: str) -> None:
    try:
        was_there = lists.take_off(name, address)
    except (ListsForbidden, ListsUnavailable) as failure:
        raise Conflict(str(failure)) from None
    finally:
        lists.close()
    if not was_there:
        msg = "The vendor's list doesn't hold that address (any more)."
        raise NotFound(msg)


@click.command()
@click.option("--dry-run", is_flag=True, help="Tell what would be done; write nothing.")
@console.type_json
def reconcile(*, dry_run: bool, as_json: bool) -> None:
    """Compare with the vendor's suppression lists now; it also runs by itself each night.

    Exits 1 if the lists couldn't be read.
    """
    compare = comparison(console.opened())
    if compare is None:
        raise BadSetting(_NO_KEY)
    found = compare.now(dry_run=dry_run)
    console.answer(found.document(), as_json=as_json, show=lambda: _show_found(found))
    if found.failure:
        raise Conflict(found.failure)


def _document(session: Session, address_hash: bytes) -> dict[str, Any]:
    return {
        "suppressions": [
            {
                "id": one.id,
                "reason": one.reason.value,
                "scope": one.scope.value,
                "source": one.source.value,
                "since": one.created_at.isoformat(timespec="seconds"),
                "campaign": one.delivery_id >> 32 if one.delivery_id else None,
            }
            for one in suppressions.of(session, address_hash)
        ],
        "lifted": [
            {
                "reason": one.reason.value,
                "since": one.since.isoformat(timespec="seconds"),
                "lifted_at": one.lifted_at.isoformat(timespec="seconds"),
                "because": one.because,
            }
            for one in suppressions.lifts(session, address_hash=address_hash)
        ],
    }


def _show(document: dict[str, Any]) -> None:
    if not document["suppressions"]:
        click.echo("Nothing stands against mail to this address.")
    for one in document["suppressions"]:
        words = suppressions.WORDS[SuppressionReason(one["reason"])]
        by = f", by campaign {one['campaign']}" if one["campaign"] else ""
        click.echo(
            f"{one['reason']}: {words}; holds back {_held_back(one['scope'])}; "
            f"since {_at(one['since'])}, {_TOLD_BY[Source(one['source'])]}{by}."
        )
        if one["reason"] == SuppressionReason.COMPLAINED:
            click.echo("  The vendor drops administrative mail to this address, too.")
    for one in document["lifted"]:
        click.echo(
            f"lifted {_at(one['lifted_at'])}: {one['reason']} (since {_at(one['since'])}), "
            f"because: {one['because']}"
        )


def _held_back(scope: str) -> str:
    return "all mail" if scope == "all" else "promotional mail"


def _show_found(found: Found) -> None:
    done = "Nothing was written (dry run)" if found.dry_run else "Compared"
    since = f" since {times.written(found.since)}" if found.since > BEGINNING else ", all of them"
    click.echo(f"{done}: the vendor's lists{since}.")
    rows = [
        (name, *(counted.get(word, 0) for word in ("listed", "new", "known", "lifted", "for_now")))
        for name, counted in found.lists.items()
    ]
    console.table("", ["list", "#there", "#new here", "#known", "#lifted here", "#for now"], rows)
    if found.reset:
        click.echo(f"{found.reset:,} mailboxes take mail again.")
    for number, name in found.still_listed:
        click.echo(
            f"Recipient {number} was lifted here, and the vendor still holds them back ({name}): "
            f"mailprefs suppression release {number} --reason {_REASON_OF[name]} --because TEXT"
        )
    for word, n in found.missing_there.items():
        click.echo(f"Held back here by the vendor's word, and not on its list: {n:,} ({word}).")


def _at(instant: object) -> str:
    """Write an instant of a JSON answer for people."""
    return times.written(datetime.fromisoformat(str(instant)))
