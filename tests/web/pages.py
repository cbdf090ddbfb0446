"""Every page that a recipient can see, in one list: whatever walks over pages walks over this.

They are asked for from top to bottom, each in the state that those before it have left. A new page
that isn't here fails ``tests/web/test_pages.py``.
"""

from datetime import datetime
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import urlsplit

from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from mailprefs.audit import CONSOLE
from mailprefs.campaigns import archive, drafts
from mailprefs.campaigns.drafts import Company, Draft
from mailprefs.policy import DataRequest, Role
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.choices import PolicyVersion
from mailprefs.web.parts import Parts
from tests.factories import make_staff, stored
from tests.web.conftest import Reader, request_path

FROST = Draft(topic="newsletter", subject="The first frost", body="It is cold.\n", public=True)


class Visit(NamedTuple):
    """One page: what it is called here, where it is, and the form that leads to it, if one does."""

    name: str
    path: str
    form: dict[str, str] | None = None

    def go(self, client: FlaskClient, tag: str) -> TestResponse:
        """Ask for the page in a language."""
        address = f"{self.path}?lang={tag}"
        return client.get(address) if self.form is None else client.post(address, data=self.form)


def visits(parts: Parts, reader: Reader) -> list[Visit]:
    """Give all pages, with links that are good; the last ones are of somebody who is erased."""
    with parts.db.transaction() as session:
        _policy(session, "first", "We write once a week.\n\nYou can leave.", parts.clock())
        _policy(session, "second", "We write once a month.\n\nYou can leave.", parts.clock())
        message = _published(session, parts)
    leave = parts.links.unsubscribe_path(reader.id, reader.topic_id, reader.delivery_id)
    choices = parts.links.preferences_path(reader.id, reader.delivery_id)
    confirm = parts.links.confirm_path(reader.id, 2**31)
    export = request_path(parts, reader, DataRequest.EXPORT)
    erase = request_path(parts, reader, DataRequest.ERASE)
    return [
        *_of_everybody(reader, message),
        Visit("confirm", confirm),
        Visit("confirmed", confirm, {"topic": "offers"}),
        Visit("nothing to confirm", confirm),
        Visit("damaged", "/u/damaged"),
        *_of_choices(choices),
        *_of_leaving(leave),
        Visit("all off", choices, {"choice": "all_off"}),
        Visit("erasure asked for", choices, {"choice": "erase"}),
        Visit("data asked for", choices, {"choice": "export"}),
        Visit("export", export),
        Visit("erase", erase),
        Visit("erased", erase, {}),
        Visit("erasure over", erase),
    ]


def _of_everybody(reader: Reader, message: str) -> list[Visit]:
    report, sign_up, fresh = "/report-a-child", "/subscribe", "/fresh-link"
    topics = message.rpartition("/")[0]
    return [
        Visit("front", "/"),
        Visit("policy", "/policy"),
        Visit("former policy", "/policy/first"),
        Visit("policy changes", "/policy/first/changes/second"),
        Visit("fresh link", fresh),
        Visit("fresh link wrong", fresh, {"address": "nobody"}),
        Visit("fresh link sent", fresh, {"address": "nobody@example.com"}),
        Visit("sign-up", sign_up),
        Visit("sign-up without a tick", sign_up, {"address": "new@example.com"}),
        Visit("sign-up wrong", sign_up, {"address": "nobody", "topic": "events"}),
        Visit("sign-up of what isn't", sign_up, {"topic": "account"}),
        Visit("signed up", sign_up, {"address": reader.address, "topic": "offers"}),
        Visit("report a child", report),
        Visit("report a child wrong", report, {"address": "nobody"}),
        Visit("reported a child", report, {"address": reader.address}),
        Visit("archive", topics.rpartition("/")[0]),
        Visit("archive of a topic", topics),
        Visit("archived message", message),
        Visit("nothing here", "/no-such-page"),
        Visit("not allowed", "/policy", {}),
    ]


def _of_choices(choices: str) -> list[Visit]:
    def chosen(name: str, choice: str, **form: str) -> Visit:
        return Visit(name, choices, {"choice": choice, **form})

    return [
        Visit("preferences", choices),
        chosen("not our form", "other"),
        chosen("no answer", "measuring"),
        chosen("nothing to change", "topics"),
        chosen("measured", "measuring", measuring="yes"),
        chosen("not measured", "measuring", measuring="no"),
        chosen("paused", "pause", days="30"),
        chosen("saved", "topics", shown="offers"),
    ]


def _of_leaving(leave: str) -> list[Visit]:
    form = {"page": "1"}
    return [
        Visit("unsubscribe", leave),
        Visit("unsubscribed", leave, form),
        Visit("why", f"{leave}/why", {"why": "other"}),
        Visit("kept", f"{leave}/keep", {"topic": "events"}),
        Visit("left again", leave, form),
        Visit("undone", f"{leave}/undo", {}),
        Visit("stopped", f"{leave}/stop-measuring", {}),
    ]


def _policy(session: Session, name: str, text: str, at: datetime) -> None:
    whole = f"# How we keep what you tell us\n\n{text}\n"
    digest = sha256(whole.encode()).digest()
    stored(session, PolicyVersion(version=name, text=whole, sha256=digest, effective_from=at))


def _published(session: Session, parts: Parts) -> str:
    """Store a campaign that everybody may read; give the path of its page."""
    make_staff(session, Role.ADMIN)
    company, now = Company("hello@example.com", "UTC"), parts.clock()
    number = drafts.create(session, FROST, CONSOLE, company=company, now=now)
    begun = {"state": CampaignState.FINISHED, "started_at": now}
    session.execute(update(Campaign).where(Campaign.id == number).values(**begun))
    where = archive.address(session, session.get_one(Campaign, number))
    assert where is not None
    return urlsplit(where).path
