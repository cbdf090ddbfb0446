"""An installation made up for measuring: migrated, with a policy, a sender and one topic."""

from datetime import UTC, datetime
from hashlib import sha256

from mailprefs.addresses import AddressHasher
from mailprefs.audit import CONSOLE
from mailprefs.consent.policies import publish_policy
from mailprefs.db.database import Database
from mailprefs.db.migrate import upgrade
from mailprefs.subscriptions import NewSender, NewTopic, add_sender, add_topic

TOPIC = "newsletter"
HASHER = AddressHasher(sha256(b"the address key of an installation that mails nobody").digest(), 1)


def prepare(url: str) -> None:
    """Migrate the empty database at *url*, and store what everything else refers to."""
    now = datetime.now(UTC)
    db = Database(url)
    try:
        upgrade(db)
        with db.transaction() as session:
            publish_policy(session, "2027-01", "One click ends promotional mail.", now=now)
            sender = NewSender(
                "Example",
                "news@mail.example.com",
                "hello@example.com",
                "Example GmbH, Musterweg 1, 10115 Berlin, Germany",
                "https://mail.example.com",
            )
            add_sender(session, sender, CONSOLE, now=now)
            add_topic(session, NewTopic(TOPIC, "Newsletter"), CONSOLE, now=now)
    finally:
        db.close()
