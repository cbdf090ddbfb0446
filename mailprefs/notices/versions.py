"""What is known of versions and their notices."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs.policy import Purpose
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.choices import PolicyLapse, PolicyState, PolicyVersion


def notices(session: Session, policy_version_id: int) -> Sequence[Campaign]:
    """List the notices of a version, the first one first."""
    return session.scalars(
        select(Campaign)
        .where(Campaign.policy_version_id == policy_version_id)
        .order_by(Campaign.id)
    ).all()


def newest(session: Session, policy_version_id: int) -> Campaign | None:
    """Give the last notice of a version; None where there is none."""
    found = notices(session, policy_version_id)
    return found[-1] if found else None


def before(session: Session, version: PolicyVersion) -> PolicyVersion | None:
    """Give the version that is in force until *version* is; None for the first."""
    return session.scalars(
        select(PolicyVersion)
        .where(PolicyVersion.state == PolicyState.SETTLED, PolicyVersion.id != version.id)
        .where(PolicyVersion.effective_from <= version.effective_from)
        .where(PolicyVersion.id < version.id)
        .order_by(PolicyVersion.effective_from.desc(), PolicyVersion.id.desc())
        .limit(1)
    ).first()


def asked_anew(session: Session, policy_version_id: int) -> list[Purpose]:
    """List the purposes for which a version asks consent anew."""
    return list(
        session.scalars(
            select(PolicyLapse.purpose).where(PolicyLapse.policy_version_id == policy_version_id)
        )
    )


def standing(row: PolicyVersion, current: PolicyVersion | None, now: datetime) -> str:
    """Say in a word or two where a version stands."""
    if row.state is not PolicyState.SETTLED:
        return row.state.value
    if row.effective_from > now:
        return "coming"
    return "in force" if current is not None and row.id == current.id else "former"
