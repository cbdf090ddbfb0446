"""The notice of a policy version in every language: what changes, from when on, where to read it.

It is a campaign like any other, so that whoever approves it sees it as it will arrive. What changes
is said in the publisher's words, in the language in which they wrote them.
"""

import re
from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import quote
from zoneinfo import ZoneInfo

from mailprefs import languages
from mailprefs.campaigns.drafts import Draft, Words
from mailprefs.languages import ENGLISH, Language
from mailprefs.policy import LegalPurpose, Purpose

_REASON: Final = "The policy promises to tell everybody by e-mail when it changes materially."
_MARKS: Final = re.compile(r"([\\`*_{}\[\]<>~|])")


class Told(NamedTuple):
    """What a notice tells: the names of both versions, the new one's date, and what changes.

    *old* is None where no policy was in force before.
    """

    old: str | None
    new: str
    effective_from: datetime
    summary: str
    asked_anew: Collection[Purpose]


def draft(told: Told, *, topic: str, base_url: str, zone: str) -> Draft:
    """Give the notice as a draft, English first; days are those of *zone*."""
    others = (one for one in languages.every() if one.tag != ENGLISH.tag)
    first = words(told, ENGLISH, base_url=base_url, zone=zone)
    return Draft(
        topic=topic,
        subject=first.subject,
        body=first.body,
        name=f"Notice of policy version {told.new}",
        purpose=LegalPurpose.POLICY_CHANGE,
        reason=_REASON,
        others=tuple(words(told, one, base_url=base_url, zone=zone) for one in others),
    )


def words(told: Told, language: Language, *, base_url: str, zone: str) -> Words:
    """Give subject and Markdown of the notice in one language."""
    date = language.date(told.effective_from.astimezone(ZoneInfo(zone)))
    parts = [
        "# " + language.gettext("Our privacy policy changes"),
        language.gettext("A new version of our privacy policy holds from %(date)s on.", date=date),
        "## " + language.gettext("What changes"),
        told.summary.strip(),
        *_links(told, language, base_url),
        _choices(told, language, date),
    ]
    subject = language.gettext("Our privacy policy: a new version from %(date)s on", date=date)
    return Words(language.tag, subject, "\n\n".join(parts) + "\n")


def _links(told: Told, language: Language, base_url: str) -> list[str]:
    spoken = f"?lang={language.tag}"
    whole = language.gettext("Read the whole new version")
    links = [f"[{whole}]({base_url}{path(told.new)}{spoken}) ({_escaped(told.new)})"]
    if told.old is not None:
        compared = language.gettext("See every change, word by word")
        where = path_of_changes(told.old, told.new)
        links.insert(0, f"**[{compared}]({base_url}{where}{spoken})**")
    return links


def _choices(told: Told, language: Language, date: str) -> str:
    """Say what becomes of the reader's choices; nobody is asked for any."""
    if Purpose.OPEN_TRACKING in told.asked_anew:
        return language.gettext(
            "If you allowed us to measure whether you open our e-mails: that yes ends on %(date)s. "
            "Whoever said no stays at no. You find this choice in your settings, which are linked "
            "below.",
            date=date,
        )
    return language.gettext(
        "You need to do nothing: your choices stay as they are. They are linked below."
    )


def path(version: str) -> str:
    """Give the path of one version's page."""
    return f"/policy/{quote(version, safe='')}"


def path_of_changes(old: str, new: str) -> str:
    """Give the path of the page that shows what is different between two versions."""
    return f"{path(old)}/changes/{quote(new, safe='')}"


def _escaped(name: str) -> str:
    """Give a version's name so that Markdown and the merge language read none of it."""
    return _MARKS.sub(r"\\\1", name)
