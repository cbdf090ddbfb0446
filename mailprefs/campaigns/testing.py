"""Previews and test sends: the render path of the send, with links for nobody and no pixel.

A test goes straight to the vendor, not through the ledger: it belongs to no campaign's numbers.
"""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from mailprefs import audit, recipients, staff
from mailprefs.addresses import AddressHasher, normalise
from mailprefs.audit import Actor
from mailprefs.campaigns import drafts, states
from mailprefs.deliveries.origin import of_campaign
from mailprefs.errors import BadInput, Conflict, NotFound
from mailprefs.links import Links
from mailprefs.policy import Role, TrackingMode
from mailprefs.rendering.person import (
    Person,
    Rendered,
    inert,
    mailing,
    personalise,
    preview,
)
from mailprefs.schema.people import Recipient
from mailprefs.vendor.message import Mailing, People, Vendor, Verdict

EXAMPLE = Person(0, "ada@example.com", "Ada", "Example", {}, "en", 0, TrackingMode.OFF)
NAMELESS = Person(0, "reader@example.com", "", "", {}, "en", 0, TrackingMode.OFF)


def shown_to(session: Session, links: Links, campaign_id: int, person: Person) -> Rendered:
    """Give the message that *person* would get, byte for byte but for the links.

    :raises NotFound: for an unknown campaign.
    """
    campaign = states.find(session, campaign_id)
    content = drafts.composed(drafts.content(session, campaign))
    return preview(content, of_campaign(session, links, campaign.id), person)


def prepare(  # noqa: PLR0913 - what a test needs to look like the real message
    session: Session,
    links: Links,
    campaign_id: int,
    address: str,
    *,
    person: Person,
    actor: Actor,
    now: datetime,
    may_mail: Callable[[str], bool] | None = None,
) -> Mailing:
    """Give the request that sends one test copy to *address*, with *person*'s words.

    *may_mail* is the installation's (``Settings.may_mail``): tests obey staging's allow-list too.

    :raises BadAddress: for a text that is no address.
    :raises BadInput: for an address that this installation may not mail.
    """
    staff.require(session, actor, Role.DRAFT)
    campaign = states.find(session, campaign_id)
    content = drafts.composed(drafts.content(session, campaign))
    origin = of_campaign(session, links, campaign.id)
    to = normalise(address).address
    if may_mail is not None and not may_mail(to):
        msg = "This is staging, and that address isn't in MAILPREFS_ALLOW_LIST; nothing was sent."
        raise BadInput(msg)
    personal = personalise(content, origin)(inert(person))._replace(address=to, name=None)
    audit.record(
        session,
        actor,
        "campaign.tested",
        ("campaign", campaign_id),
        now=now,
        details={"revision": campaign.revision},
    )
    return mailing(content, origin, People.of([personal]), attempt="0")


def hand_over(vendor: Vendor, request: Mailing) -> None:
    """Hand a test over, outside any transaction.

    :raises Conflict: with the vendor's reason, if it wasn't accepted.
    """
    outcome = vendor.hand_over(request)
    if outcome.verdict is not Verdict.ACCEPTED:
        msg = f"The test wasn't accepted: {outcome.reason}"
        raise Conflict(msg)


def person_of(session: Session, hasher: AddressHasher, address: str | None) -> Person:
    """Give the words of a known person for a preview, or of an example if no address is given.

    :raises NotFound: if nobody has that address.
    """
    if address is None:
        return EXAMPLE
    found = recipients.find(session, hasher, address)
    if found is None:
        msg = "Nobody has that address; leave it out to use an example's words."
        raise NotFound(msg)
    return _as_person(found)


def person_by_id(session: Session, recipient_id: int) -> Person:
    """Give the words of one person for a preview.

    :raises NotFound: for somebody who is unknown or erased.
    """
    found = recipients.by_id(session, recipient_id)
    if found is None:
        msg = f"There is no recipient {recipient_id}; use an example's words."
        raise NotFound(msg)
    return _as_person(found)


def _as_person(row: Recipient) -> Person:
    attributes = {name: str(value) for name, value in row.attributes.items() if value is not None}
    return Person(
        row.id,
        row.address,
        row.first_name or "",
        row.last_name or "",
        attributes,
        row.language or "",
        0,
        TrackingMode.OFF,
    )
