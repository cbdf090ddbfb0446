"""The checks before a send, in one place for page, command line and API.

Each finding says how many people it concerns. A ``block`` stands in the way of sending; some blocks
can be overridden with a reason (audited), but never those that protect people: the unsubscribe
link and where it leads, the class with its From address, and the postal address.

What is looked at is the message as saving it now would make it; if that isn't what is stored, the
sender's details have changed in the meantime, and the draft has to be saved again first.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from mailprefs import audience, audit
from mailprefs.audit import Actor
from mailprefs.campaigns import archive, drafts, states
from mailprefs.db import dialects
from mailprefs.errors import BadInput, BadTemplate, CheckFailed, NotAllowed
from mailprefs.policy import MessageClass, Skip
from mailprefs.rendering import lint
from mailprefs.rendering.content import Content
from mailprefs.rendering.lint import Finding, Severity
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.people import Recipient, Sender, Topic
from mailprefs.settings import Environment, Settings

LARGEST_GROWTH: Final = 3
"""An audience more than this many times the topic's last one is probably a mistake."""
SHORTEST_REASON: Final = 10
"""Characters of the reason for an override."""

NEVER_OVERRIDDEN: Final = frozenset(
    {
        *("missing_unsubscribe", "missing_preferences", "missing_postal_address", "missing_reason"),
        *("no_text", "broken_source", "outdated", "from_address", "base_url"),
        *("audience_empty", "vendor_key", "approval"),
    }
)
_APPROVAL: Final = "approval"
_EMPTY: Final = "field_without_fallback"
_UNREACHABLE: Final = "unreachable_address"
_SPACES: Final = " \t\r\n\u00a0"
_CANT_BE_REACHED: Final = (
    "These addresses have letters before the @-sign that the vendor doesn't carry (it takes plain "
    "ASCII there), so these people will be counted as failed; ask them for another address."
)
_HELD_BACK: Final = "held_back_by_vendor"
_WILL_BE_DROPPED: Final = (
    "These people marked a message as spam, so the vendor drops this one for them; reach them in "
    "another way, or lift the complaint where they ask for it."
)
_OF_SOME: Final = frozenset({_EMPTY, _UNREACHABLE, _HELD_BACK})
"""Findings that are none where they concern nobody."""
_PEOPLE: Final = {
    "email": Recipient.address,
    "first_name": Recipient.first_name,
    "last_name": Recipient.last_name,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding about one campaign: its code, whether it blocks, and whom it concerns."""

    code: str
    blocks: bool
    sentence: str
    people: int
    overridable: bool

    def as_json(self) -> dict[str, Any]:
        """Give the check as JSON."""
        return {
            "code": self.code,
            "blocks": self.blocks,
            "sentence": self.sentence,
            "people": self.people,
            "overridable": self.overridable,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What somebody sees before pressing send: who would get it, who not, and what is wrong.

    *revision* is the one that was looked at, and the only one that may be sent on its strength.
    """

    campaign_id: int
    revision: int
    message_class: MessageClass
    chosen: int
    eligible: int
    kept_out: dict[Skip, int]
    checks: tuple[Check, ...]

    @property
    def blocks(self) -> tuple[Check, ...]:
        """Give the checks that stand in the way of sending."""
        return tuple(check for check in self.checks if check.blocks)

    def as_json(self) -> dict[str, Any]:
        """Give the review as JSON."""
        return {
            "id": self.campaign_id,
            "message_class": self.message_class.value,
            "chosen": self.chosen,
            "eligible": self.eligible,
            "kept_out": {reason.value: n for reason, n in self.kept_out.items()},
            "ready": not self.blocks,
            "checks": [check.as_json() for check in self.checks],
        }


def review(session: Session, campaign_id: int, settings: Settings, *, now: datetime) -> Review:
    """Run every check of one campaign against the people it would reach now.

    It only reads, and a million people take seconds: never inside a writing transaction.

    :raises NotFound: for an unknown campaign.
    """
    campaign = states.find(session, campaign_id)
    topic = session.get_one(Topic, campaign.topic_id)
    sender = session.get_one(Sender, topic.sender_id)
    who = audience.of(campaign)
    reach = audience.forecast(session, who, now)
    found = [
        *_about_sender(sender, settings),
        *_about_content(session, campaign, sender, settings),
        *_about_audience(session, campaign, reach.eligible),
    ]
    if not settings.sendgrid_api_key.get_secret_value():
        found.append(_block("vendor_key", "No vendor key is set (MAILPREFS_SENDGRID_API_KEY)."))
    if waits := states.not_approved(campaign):
        found.append(_block(_APPROVAL, waits))
    found.append(Finding(_UNREACHABLE, Severity.WARN, _CANT_BE_REACHED))
    if not who.needs_subscription:
        found.append(Finding(_HELD_BACK, Severity.WARN, _WILL_BE_DROPPED))
    checks = [_check(session, who, finding, reach.eligible, now) for finding in found]
    # A field without a fallback that everybody has is no fault.
    checks = [check for check in checks if check.people or check.code not in _OF_SOME]
    return Review(
        campaign_id=campaign.id,
        revision=campaign.revision,
        message_class=campaign.message_class,
        chosen=reach.chosen,
        eligible=reach.eligible,
        kept_out=reach.kept_out,
        checks=tuple(sorted(checks, key=lambda check: (not check.blocks, check.code))),
    )


def require(  # noqa: PLR0913 - what an override has to say belongs to one call
    session: Session,
    done: Review,
    actor: Actor,
    *,
    overrides: Collection[str] = (),
    reason: str | None = None,
    now: datetime,
) -> None:
    """Let a review pass, or say what stands in the way; an override is audited with its reason.

    :raises CheckFailed: while a check blocks that isn't overridden, or can't be.
    :raises NotAllowed: while all that is missing is the second person's approval.
    :raises BadInput: for an override without a reason of at least 10 characters.
    """
    left = [check for check in done.blocks if check.code not in overrides or not check.overridable]
    if [check.code for check in left] == [_APPROVAL]:
        raise NotAllowed(left[0].sentence)
    if left:
        lines = "\n".join(f"  {check.code}: {check.sentence}" for check in left)
        msg = f"Campaign {done.campaign_id} can't be sent yet:\n{lines}"
        raise CheckFailed(msg)
    used = sorted({check.code for check in done.blocks} & set(overrides))
    if not used:
        return
    if len((reason or "").strip()) < SHORTEST_REASON:
        msg = "An override needs its reason in a sentence; it is kept in the audit."
        raise BadInput(msg)
    audit.record(
        session,
        actor,
        "campaign.checks_overridden",
        ("campaign", done.campaign_id),
        now=now,
        reason=reason,
        details={"checks": used},
    )


def _about_sender(sender: Sender, settings: Settings) -> list[Finding]:
    """Look at what the sender puts on every message: From and postal address."""
    found = []
    which = sender.message_class.value
    domain = sender.from_address.rpartition("@")[2]
    if _is_strict(settings) and domain.endswith((".example", ".invalid", ".test")):
        found.append(
            _block(
                "from_address",
                f"The {which} sender has no From address of your own; "
                f"set it: mailprefs sender set {which} --from ADDRESS.",
            )
        )
    if not sender.postal_address.strip():
        found.append(
            _block(
                "missing_postal_address",
                f"The {which} sender has no postal address, which every message must show; "
                f"set it: mailprefs sender set {which} --postal-address TEXT.",
            )
        )
    return found


def _about_content(
    session: Session, campaign: Campaign, sender: Sender, settings: Settings
) -> list[Finding]:
    """Look at what the message would be if it were saved now, and whether it was."""
    public_page = archive.address(session, campaign)
    found = dict[Finding, None]()  # in order, and once, in however many languages it is found
    for stored in drafts.contents(session, campaign):
        try:
            content = drafts.composed_anew(session, campaign, stored, contact=settings.contact)
        except BadTemplate as error:
            return [_block("broken_source", str(error))]
        found |= dict.fromkeys(
            finding
            for finding in lint.findings(
                content, base_url=sender.base_url, production=_is_strict(settings)
            )
            # Said above, with the command that mends it.
            if finding.code != "missing_postal_address" or sender.postal_address.strip()
        )
        if public_page:
            found |= dict.fromkeys(_about_public_page(content, public_page))
        if content != drafts.composed(stored):
            found[_outdated(campaign)] = None
    return list(found)


def _about_public_page(content: Content, address: str) -> Iterator[Finding]:
    """Look at what everybody would read: nobody has fields there, so fallbacks must stand in."""
    for name in content.required:
        yield Finding(
            "public_gap",
            Severity.WARN,
            f"{{{{ {name} }}}} has no fallback, so the public page shows a gap there; write "
            f'{{{{ {name} | "..." }}}}, or {{% if {name} %}} around the sentence.',
        )
    if f'href="{address}"' not in content.html:
        yield Finding(
            "no_public_link",
            Severity.WARN,
            "The message doesn't lead to its public page; put a link to {{ archive_url }} into it.",
        )


def _outdated(campaign: Campaign) -> Finding:
    again = f"save the draft again: mailprefs campaign edit {campaign.id}"
    if campaign.policy_version_id is not None:
        again = "let it be made again: mailprefs policy notify VERSION"
    return _block(
        "outdated",
        "The sender's details or the layout have changed since this was written; look at it and "
        f"{again}",
    )


def _about_audience(session: Session, campaign: Campaign, eligible: int) -> list[Finding]:
    """Stop a campaign to nobody, and one to far more people than the topic's last one."""
    if eligible == 0:
        return [_block("audience_empty", "Nobody would get this message.")]
    last = session.execute(
        select(Campaign.frozen)
        .where(
            Campaign.topic_id == campaign.topic_id,
            Campaign.id != campaign.id,
            Campaign.state.in_((CampaignState.FINISHED, CampaignState.SENDING, CampaignState.HELD)),
            Campaign.standing.is_(False),
        )
        .order_by(Campaign.started_at.desc(), Campaign.id.desc())
        .limit(1)
    ).scalar()
    if last and eligible > LARGEST_GROWTH * last:
        return [
            _block(
                "audience_growth",
                f"The audience is {eligible / last:.1f} times the topic's last one "
                f"({eligible:,} people against {last:,}).",
            )
        ]
    return []


def _concerns(session: Session, finding: Finding) -> ColumnElement[bool]:
    """Give whom a finding is about that isn't about everybody."""
    if finding.code == _HELD_BACK:
        return audience.complained()
    return _is_empty(finding.field) if finding.field else _is_unreachable(session)


def _is_empty(field: str) -> ColumnElement[bool]:
    column = _PEOPLE.get(field)
    value = column if column is not None else Recipient.attributes[field].as_string()
    return or_(value.is_(None), func.trim(value, _SPACES) == "")


def _is_unreachable(session: Session) -> ColumnElement[bool]:
    """Tell who has an address that the vendor doesn't carry; domains are stored in ASCII."""
    return dialects.octets(session, Recipient.address) > func.length(Recipient.address)


def _is_strict(settings: Settings) -> bool:
    return settings.environment is Environment.PRODUCTION


def _block(code: str, sentence: str) -> Finding:
    return Finding(code, Severity.BLOCK, sentence)


def _check(
    session: Session, who: audience.Audience, finding: Finding, eligible: int, now: datetime
) -> Check:
    """Say how many people a finding concerns: those whom it is about, else everybody."""
    people = eligible
    if finding.code in _OF_SOME:
        is_one = _concerns(session, finding)
        some = audience.eligible(who, now).where(is_one).subquery()
        people = session.execute(select(func.count()).select_from(some)).scalar_one()
    blocks = finding.severity is Severity.BLOCK
    return Check(
        code=finding.code,
        blocks=blocks,
        sentence=finding.sentence,
        people=people,
        overridable=blocks and finding.code not in NEVER_OVERRIDDEN,
    )
