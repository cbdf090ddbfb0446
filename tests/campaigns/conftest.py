"""A small company: two writers, a newsletter and notices, and what the installation says."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy.orm import Session

from mailprefs.audit import Actor
from mailprefs.campaigns import drafts
from mailprefs.campaigns.drafts import Company, Draft
from mailprefs.db.database import Database
from mailprefs.policy import LegalPurpose, MessageClass, Role
from mailprefs.settings import Environment, Settings
from tests import factories

NOW = datetime.fromisoformat("2026-11-22T09:30:00+00:00")
COMPANY = Company("hello@example.com", "Europe/Berlin")
NEWSLETTER = Draft(
    topic="news",
    subject="The first frost",
    body='Hello {{ first_name | "there" }},\n\nit is cold.\n',
)
NOTICE = Draft(
    topic="legal",
    subject="Our privacy policy changes",
    body="We changed the policy.\n",
    purpose=LegalPurpose.POLICY_CHANGE,
    reason="The policy promises to tell everybody.",
)


@dataclass(frozen=True)
class House:
    """The company in a database; ann and bob hold every role, carl may only write."""

    db: Database
    ann: Actor
    bob: Actor
    carl: Actor
    news_id: int
    legal_id: int

    def draft(self, of: Draft = NEWSLETTER, by: Actor | None = None, **changes: Any) -> int:  # noqa: ANN401 - fields of Draft
        """Store a draft and give its number."""
        with self.db.transaction() as session:
            return self.draft_in(session, of, by, **changes)

    def draft_in(
        self,
        session: Session,
        of: Draft = NEWSLETTER,
        by: Actor | None = None,
        **changes: Any,  # noqa: ANN401 - fields of Draft
    ) -> int:
        """Store a draft in a transaction of the test's own."""
        return drafts.create(
            session, replace(of, **changes), by or self.ann, company=COMPANY, now=NOW
        )


@pytest.fixture
def house(db: Database) -> House:
    with db.transaction() as session:
        factories.make_policy(session)
        news = factories.make_topic(session, "news")
        legal = factories.make_topic(session, "legal", MessageClass.ADMINISTRATIVE)
        ann, bob = (Actor(factories.make_staff(session, *Role).id, "page") for _ in range(2))
        carl = Actor(factories.make_staff(session, Role.DRAFT).id, "page")
        return House(db, ann, bob, carl, news_id=news.id, legal_id=legal.id)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path,
        base_url="https://mail.example.com",
        environment=Environment.PRODUCTION,
        sendgrid_api_key=SecretStr("SG.of-nobody"),
        contact=COMPANY.contact,
    )
