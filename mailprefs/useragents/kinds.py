"""The words of a verdict about a fetch: kind, reason, client family.

Numbers, not names, go into the spool and the ``opens`` table: never reuse one.
"""

from enum import IntEnum, StrEnum
from typing import NamedTuple


class OpenKind(IntEnum):
    """Who fetched a pixel, as far as can be told."""

    UNKNOWN = 0
    DIRECT = 1
    PROXIED = 2
    PREFETCHED = 3
    SCANNER = 4
    BOT = 5

    @property
    def label(self) -> str:
        """Give the word that pages, exports and charts use."""
        return self.name.lower()

    @property
    def is_human_plausible(self) -> bool:
        """Tell whether a person probably looked: they, or a proxy when they looked."""
        return self in {OpenKind.DIRECT, OpenKind.PROXIED}


class Confidence(StrEnum):
    """How sure a verdict is; it follows from the reason and isn't stored beside it."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Reason(IntEnum):
    """Which rule decided; for whoever asks why an open was labelled as it was."""

    NOT_TOLD = 0
    APPLE_PRIVACY = 1
    GMAIL_PREFETCH = 2
    IMAGE_PROXY = 3
    SCANNER_NAMED = 4
    UNFURLER = 5
    HTTP_LIBRARY = 6
    AMBIGUOUS = 7
    MAIL_CLIENT = 8
    CRAWLER = 9
    BROWSER = 10
    # Given later, from times and neighbours, not from the string.
    TOO_FAST = 11
    BURST = 12
    # What APPLE_PRIVACY becomes where a fresh list of Apple's addresses is at hand.
    APPLE_LISTED = 13
    APPLE_UNLISTED = 14
    CRAWLER_LISTED = 15

    @property
    def told(self) -> str:
        """Say in words what decided, as the end of "because"."""
        return _TOLD[self]

    @property
    def confidence(self) -> Confidence:
        """Tell how sure a verdict with this reason is."""
        if self in _SURE:
            return Confidence.HIGH
        return Confidence.LOW if self in _GUESSED else Confidence.MEDIUM

    @property
    def means_apple(self) -> bool:
        """Tell whether Apple's Mail Privacy Protection fetched, so that readings stay unseen."""
        return self in {Reason.APPLE_PRIVACY, Reason.APPLE_LISTED}


class Client(IntEnum):
    """The family of program that displayed a message: all that is kept of the device."""

    UNKNOWN = 0
    APPLE_MAIL = 1
    GMAIL = 2
    OUTLOOK = 3
    YAHOO = 4
    THUNDERBIRD = 5
    BROWSER = 6
    OTHER = 7

    @property
    def label(self) -> str:
        """Give the name as people write it."""
        return _LABELS[self]


_LABELS = {
    Client.UNKNOWN: "unknown",
    Client.APPLE_MAIL: "Apple Mail",
    Client.GMAIL: "Gmail",
    Client.OUTLOOK: "Outlook",
    Client.YAHOO: "Yahoo Mail",
    Client.THUNDERBIRD: "Thunderbird",
    Client.BROWSER: "browser",
    Client.OTHER: "other",
}

_TOLD = {
    Reason.NOT_TOLD: "it named no program at all",
    Reason.APPLE_PRIVACY: "only Apple's Mail Privacy Protection calls itself exactly this",
    Reason.GMAIL_PREFETCH: "Gmail fetches ahead under exactly this name",
    Reason.IMAGE_PROXY: "a mail provider's image proxy fetched it, as it does on display",
    Reason.SCANNER_NAMED: "it names a mail security product",
    Reason.UNFURLER: "it makes previews of links in chats and posts: the message was passed on",
    Reason.HTTP_LIBRARY: "it names a programming library or a browser without a person",
    Reason.AMBIGUOUS: "devices fetch under this name with a person there and without",
    Reason.MAIL_CLIENT: "it names a mail program",
    Reason.CRAWLER: "it is written as names of crawlers are",
    Reason.BROWSER: "nothing speaks against a person",
    Reason.TOO_FAST: "it came before a person could have had the message",
    Reason.BURST: "one place fetched the pictures of five people within ten seconds",
    Reason.APPLE_LISTED: "an address of Apple's calls itself as its privacy proxy does",
    Reason.APPLE_UNLISTED: "it calls itself as Apple's privacy proxy does, from elsewhere",
    Reason.CRAWLER_LISTED: "it is on the public list of crawlers",
}
_SURE = frozenset(
    {
        Reason.GMAIL_PREFETCH,
        Reason.IMAGE_PROXY,
        Reason.SCANNER_NAMED,
        Reason.UNFURLER,
        Reason.HTTP_LIBRARY,
        Reason.APPLE_LISTED,
    }
)
_GUESSED = frozenset({Reason.NOT_TOLD, Reason.AMBIGUOUS, Reason.APPLE_UNLISTED})


class Verdict(NamedTuple):
    """What is kept of a user-agent string."""

    kind: OpenKind
    reason: Reason
    client: Client
