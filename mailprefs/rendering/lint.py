"""findings(): what stands in the way of sending a content, or should be looked at first.

Only what the content itself shows. How many people a finding concerns, and what needs the audience
or the sender, is added by whoever knows them: a ``field_without_fallback`` names its field, so that
the people without it can be counted, and concerns nobody if everybody has it.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from mailprefs.policy import MessageClass
from mailprefs.rendering import markup
from mailprefs.rendering.content import Content
from mailprefs.rendering.letterhead import NEEDED
from mailprefs.rendering.parts import Pieces

LARGEST_HTML: Final = 100_000
"""Bytes; Gmail cuts a message at about 102 kB, the unsubscribe link and the pixel with it."""
LARGE_HTML: Final = 90_000

# Markdown takes the stars of *|FNAME|* for emphasis.
_FOREIGN_TAG = re.compile(
    r"\*?\|[A-Z][A-Z0-9_]+(?::\w+)?\|\*?|%%\w+%%|%recipient[.\w]*%|\$?\{\$?[A-Za-z_]\w*\}|\[\[\s*\w+\s*\]\]"
    r"|<%.*?%>|\{\{|\}\}|\{%|%\}"
)
_CAMPAIGN_TAGS = re.compile(r"[?&](utm_\w+|gclid|fbclid|mc_cid|mc_eid|hsa_\w+|pk_campaign)=")
_PROMOTION = re.compile(
    r"\bsales?\b|\bdiscount|\bcoupon|\bvoucher|\bpromo(tion|tional)?\b|\bspecial offer"
    r"|\b(best|great|hot|special) deals?\b|\blimited[- ]time|\b(buy|shop|order|book|upgrade) now\b"
    r"|\bfree shipping|\bsave (up to )?[\d$€£]|\d+ ?(%|percent) (off|discount|cheaper)"
    r"|\bblack friday|\bcyber monday|\brabatt|\bgutschein|\bsonderangebot|\bausverkauf"
    r"|\bjetzt (kaufen|bestellen)|[$€£] ?\d|\d ?(€|£|\beur\b|\busd\b|\bgbp\b)",
    re.IGNORECASE,
)
_LOCAL_NAMES = (".local", ".localhost", ".internal", ".lan", ".home.arpa")
_NAMES: Final = {
    "unsubscribe_url": "an unsubscribe link",
    "preferences_url": "a link to the preferences",
    "measurement_url": "a link to the choice about measuring",
    "policy_url": "a link to the privacy policy",
    "postal_address": "the sender's postal address",
    "reason": "the reason why it comes",
}


class Severity(StrEnum):
    """Whether a finding must be dealt with (or overridden with a reason), or only looked at."""

    BLOCK = "block"
    WARN = "warn"


class Finding(NamedTuple):
    """One thing found: a stable code, how grave it is, and a sentence that says what to do.

    *field* is the attribute that it is about, or empty.
    """

    code: str
    severity: Severity
    sentence: str
    field: str = ""


Findings = Iterator[Finding]


def findings(content: Content, *, base_url: str, production: bool) -> list[Finding]:
    """List what is to be said against sending *content* from *base_url*, gravest first."""
    survey = markup.survey(_whole(content, content.html))
    found = [
        *_missing(content),
        *_unresolved(content, survey),
        *_fields(content),
        *_addresses(survey, base_url, production=production),
        *_pictures(survey, base_url),
        *_size(content),
    ]
    if content.message_class is MessageClass.ADMINISTRATIVE:
        found += _promotion(content, survey)
    return sorted(found, key=lambda one: one.severity is Severity.WARN)


def _missing(content: Content) -> Findings:
    for name in NEEDED[content.message_class]:
        slot = next((slot for slot in content.slots if slot.name == name), None)
        hidden = slot is not None and not (slot.text_tag and slot.html_tag)
        if name not in content.holds or hidden:
            yield Finding(
                f"missing_{name.removesuffix('_url')}",
                Severity.BLOCK,
                f"The message doesn't show {_NAMES[name]}; "
                + (
                    "write it into the sender's settings."
                    if name == "postal_address"
                    else f"put {{{{ {name} }}}} into the body, for everybody."
                ),
            )
    if not content.text.strip():
        yield Finding("no_text", Severity.BLOCK, "The message has no text part; write some words.")


def _unresolved(content: Content, survey: markup.Survey) -> Findings:
    places = {
        "subject": _whole(content, content.subject),
        "body": "\n".join([*survey.text, *survey.addresses]),
    }
    for place, words in places.items():
        for tag in dict.fromkeys(match[0] for match in _FOREIGN_TAG.finditer(words)):
            yield Finding(
                "unresolved_tag",
                Severity.BLOCK,
                f"The {place} has {tag[:40]} in it, which would arrive as it stands; a field is "
                'written as {{ first_name | "there" }}.',
            )


def _fields(content: Content) -> Findings:
    for name in content.required:
        yield Finding(
            "field_without_fallback",
            Severity.BLOCK,
            f"{{{{ {name} }}}} has no fallback, so people without it would read a gap; write "
            f'{{{{ {name} | "..." }}}}, or {{% if {name} %}} around the sentence.',
            name,
        )


def _addresses(survey: markup.Survey, base_url: str, *, production: bool) -> Findings:
    if not production:
        return
    shown = dict.fromkeys(address for address in survey.addresses if not _is_tag(address))
    for address, what in [(base_url, "The sender's base URL"), *((one, "") for one in shown)]:
        parts = urlsplit(address)
        named = what or f"The link to {parts.hostname}"
        if parts.scheme in {"http", "https"} and _is_local(parts.hostname or ""):
            yield Finding(
                "base_url" if what else "local_address",
                Severity.BLOCK,
                f"{named} leads to this machine or network, where readers can't follow; "
                "write the public address.",
            )
        elif parts.scheme == "http":
            yield Finding(
                "base_url" if what else "insecure_address",
                Severity.BLOCK,
                f"{named} begins with http://, so others can read along; write https://.",
            )


def _pictures(survey: markup.Survey, base_url: str) -> Findings:
    without = sum(picture.alt is None for picture in survey.pictures)
    if without:
        yield Finding(
            "picture_without_alt",
            Severity.BLOCK,
            f"{without} of the pictures say nothing to those who don't see them; write what each "
            'one shows, as in ![What it shows](https://...) or alt="...".',
        )
    home = _site(urlsplit(base_url).hostname or "")
    hosts = {urlsplit(picture.source).hostname or "" for picture in survey.pictures}
    foreign = sorted(host for host in hosts if host and _site(host) != home)
    if foreign:
        yield Finding(
            "foreign_picture",
            Severity.BLOCK,
            f"Pictures are loaded from {', '.join(foreign)}, who then see which people open the "
            "message and when, whatever these people chose; put them on a host of the sender's.",
        )


def _size(content: Content) -> Findings:
    size = content.largest_html()
    if size > LARGEST_HTML:
        yield Finding(
            "too_large",
            Severity.BLOCK,
            f"The HTML comes to {size // 1000} kB, and Gmail cuts a message at 102 kB, with the "
            "footer and the unsubscribe link; shorten it.",
        )
    elif size > LARGE_HTML:
        yield Finding(
            "large",
            Severity.WARN,
            f"The HTML comes to {size // 1000} kB of the 100 kB that are possible; shorten it if "
            "it will grow.",
        )


def _promotion(content: Content, survey: markup.Survey) -> Findings:
    """Find what may turn a notice into advertising, by the primary-purpose rule (16 CFR 316.3)."""
    subject = _PROMOTION.search(_whole(content, content.subject))
    if subject:
        yield Finding(
            "promotion_in_subject",
            Severity.WARN,
            f"The subject reads like advertising ({subject[0]}), which makes the whole message "
            "commercial; say what the notice is about.",
        )
    body = _PROMOTION.search(_whole(content, content.text))
    if body:
        yield Finding(
            "promotion_in_body",
            Severity.WARN,
            f"The body reads like advertising ({body[0]}); an administrative message holds the "
            "notice only, and nothing else may stand ahead of it.",
        )
    if any(_CAMPAIGN_TAGS.search(link) for link in survey.addresses):
        yield Finding(
            "campaign_tagged_link",
            Severity.WARN,
            "A link carries a campaign's tag (utm_ or the like), which a notice has no use for; "
            "write the plain address.",
        )


def _whole(content: Content, body: str) -> str:
    """Give *body* with both branches of every block in it."""
    for one in content.conditionals:
        body = body.replace(one.tag, f"{_words(one.then)} {_words(one.otherwise)}")
    return body


def _words(branch: Pieces) -> str:
    return "".join(piece if isinstance(piece, str) else " " for piece in branch)


def _is_tag(address: str) -> bool:
    """Tell whether an address is one of ours that is filled in for each person."""
    return "_URL_" in address or not address


def _is_local(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(_LOCAL_NAMES)
    return not address.is_global


def _site(host: str) -> str:
    """Give the last two labels of a host: near enough to whose it is."""
    return ".".join(host.lower().rsplit(".", 2)[-2:])
