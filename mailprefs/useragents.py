"""What a user-agent string says about the fetch of a pixel; the string itself is never kept.

An ordered table: the first rule that matches decides. It labels and never drops, because none of
this is certain, and it never decides about an unsubscribe. Packaged lists of crawlers would call
Gmail's and Yahoo's image proxies bots and so lose every open there; these rules were written
against strings seen in the wild, with their sources.

Numbers, not names, go into the spool and the ``opens`` table: never reuse one. A change to the
rules that moves a string from one kind to another gets a new ``RULESET``.
"""

import re
from enum import IntEnum
from functools import lru_cache
from typing import Final, NamedTuple

RULESET: Final = 1
"""Which table of rules gave a verdict; stored beside each open."""

_LONGEST = 512
_REMEMBERED = 4096


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


class Verdict(NamedTuple):
    """What is kept of a user-agent string."""

    kind: OpenKind
    reason: Reason
    client: Client


def classify(user_agent: str | None) -> Verdict:
    """Give kind, reason and client family of a ``User-Agent`` header; None if there was none.

    Any text is safe; only its first 512 characters count.
    """
    if not user_agent:
        return _NO_STRING
    return _classified(user_agent[:_LONGEST])


def kind(user_agent: str | None) -> OpenKind:
    """Give only the kind of a fetch, by its ``User-Agent`` header."""
    return classify(user_agent).kind


def client_family(user_agent: str | None) -> Client:
    """Give only the client family, by its ``User-Agent`` header."""
    return classify(user_agent).client


# Apple's Mail Privacy Protection shows exactly this and nothing else; Gmail fetches ahead with this
# string while somebody has Gmail open (sparkpost.com/blog/gmail-prefetching-images).
_APPLE_PRIVACY = "Mozilla/5.0"
_GMAIL_PREFETCH = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)
_NO_STRING = Verdict(OpenKind.UNKNOWN, Reason.NOT_TOLD, Client.UNKNOWN)


def _any(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.IGNORECASE | re.ASCII)


_RULES: tuple[tuple[re.Pattern[str], OpenKind, Reason], ...] = (
    (_any(rf"\A{re.escape(_APPLE_PRIVACY)}\Z"), OpenKind.PREFETCHED, Reason.APPLE_PRIVACY),
    (_any(rf"\A{re.escape(_GMAIL_PREFETCH)}\Z"), OpenKind.PREFETCHED, Reason.GMAIL_PREFETCH),
    # They fetch when the message is displayed; later displays come from their cache.
    (
        _any(r"(?:Image|Mail|Email)Proxy\b", r"\bggpht\.com\b", r"\bmail\.ukr\.net proxy\b"),
        OpenKind.PROXIED,
        Reason.IMAGE_PROXY,
    ),
    # Whole names only: "security" or "atp" anywhere would hit people.
    (
        _any(
            r"\b(?:barracuda|mimecast|proofpoint|safelinks|messagelabs|forcepoint|ironport)\b",
            r"\b(?:virustotal|virustotalcloud|google-safety|scmguard|yandexantivirus)\b",
            r"\b(?:cloudmark|trendmicro|fireeye|zscaler|bitdefender|avanan|urldefense)\b",
        ),
        OpenKind.SCANNER,
        Reason.SCANNER_NAMED,
    ),
    # A link was pasted into a chat: a forwarded message, not the recipient. iMessage claims to be
    # facebookexternalhit and Twitterbot, from the sender's own address.
    (
        _any(
            r"\bslack(?:bot|-imgproxy)\b",
            r"\b(?:skypeuripreview|bingpreview|microsoftpreview|linkpreview|snap url preview)\b",
            r"\b(?:telegrambot|discordbot|twitterbot|facebot|linkedinbot|pinterestbot|redditbot)\b",
            r"\b(?:facebookexternalhit|facebookexternalua|viberurldownloader|vkshare|iframely)\b",
            r"\b(?:embedly|mattermost-bot|mastodon)\b|\AWhatsApp\b",
        ),
        OpenKind.BOT,
        Reason.UNFURLER,
    ),
    (
        _any(
            r"\A(?:python|python-requests|python-urllib|python-httpx|aiohttp|curl|wget)(?:[/ ]|\Z)",
            r"\A(?:okhttp|go-http-client|java|apache-httpclient|ahc|libwww-perl|lua-resty-http)/",
            r"\A(?:node-fetch|axios|got|undici|ruby|faraday|guzzlehttp|postmanruntime|pycurl)\b",
            r"\A(?:scrapy|dart|mechanize|httpie|insomnia|php|perl|http_request2?)\b",
            r"\b(?:headlesschrome|phantomjs|puppeteer|playwright|selenium|chrome-lighthouse)\b",
        ),
        OpenKind.BOT,
        Reason.HTTP_LIBRARY,
    ),
    # Devices fetch mail and pictures under these names, with a person there or without.
    (
        _any(r"\bMicrosoft Exchange/", r"\bdataaccessd/", r"\ADalvik/"),
        OpenKind.UNKNOWN,
        Reason.AMBIGUOUS,
    ),
    (
        _any(
            r"\bMicrosoft Outlook\b|\bOutlook(?:-iOS|-Android)?/|\b(?:ms-office|MSOffice)\b",
            r"\bThunderbird/|\bAndroid-Gmail\b|\bYahooMobileMail/|\bWindowsMail/|\AMail/",
            r"\b(?:Airmail|BlueMail|Mailspring|mailapp|eM Client|NaverMailApp|Lotus-Notes)/",
            r"\b(?:Postbox|SeaMonkey|Spark|Canary|Betterbird|Evolution|KMail|Kontact)/|\AThe Bat!",
        ),
        OpenKind.DIRECT,
        Reason.MAIL_CLIENT,
    ),
    # CUBOT makes telephones. A "+" before an address is how crawlers say where to complain.
    (
        _any(
            r"(?<!cu)bot\b|\bbot/|crawler\b|spider\b|\bslurp\b|\+https?://",
            r"\b(?:FeedBurner|EmailWolf|FontRadar|Exchange check|Prefetch Proxy)\b",
        ),
        OpenKind.BOT,
        Reason.CRAWLER,
    ),
)

_CLIENTS: tuple[tuple[re.Pattern[str], Client], ...] = (
    (_any(r"GoogleImageProxy\b", r"\bggpht\.com\b", r"\bAndroid-Gmail\b"), Client.GMAIL),
    (_any(rf"\A{re.escape(_GMAIL_PREFETCH)}\Z"), Client.GMAIL),
    (_any(r"\bYahooMailProxy\b", r"\bYahooMobileMail/"), Client.YAHOO),
    (
        _any(r"\bOutlook(?:ImageProxy\b|(?:-iOS|-Android)?/)", r"\bMicrosoft Outlook\b"),
        Client.OUTLOOK,
    ),
    (_any(r"\b(?:ms-office|MSOffice)\b"), Client.OUTLOOK),
    (_any(r"\bThunderbird/", r"\bBetterbird/"), Client.THUNDERBIRD),
    # Apple's Mail is its web view, which ends before the "Version/... Safari/..." of its browser.
    (
        _any(
            rf"\A{re.escape(_APPLE_PRIVACY)}\Z",
            r"\AMail/",
            r"\AMozilla/5\.0 \((?:Macintosh|iPhone|iPad|iPod)[^)]*\) AppleWebKit/[\d.]+"
            r" \(KHTML, like Gecko\)(?: Mobile/\w+)?\Z",
        ),
        Client.APPLE_MAIL,
    ),
)
_BROWSER = _any(r"\A(?:Mozilla|Opera)/.*\b(?:Firefox|Chrome|CriOS|FxiOS|Safari|Trident|MSIE)\b")
_MACHINES = frozenset({OpenKind.BOT, OpenKind.SCANNER, OpenKind.UNKNOWN})


@lru_cache(maxsize=_REMEMBERED)
def _classified(user_agent: str) -> Verdict:
    for pattern, found, reason in _RULES:
        if pattern.search(user_agent):
            return Verdict(found, reason, _client(user_agent, found, reason))
    if not user_agent.strip():
        return _NO_STRING
    return Verdict(
        OpenKind.DIRECT,
        Reason.BROWSER,
        _client(user_agent, OpenKind.DIRECT, Reason.BROWSER),
    )


def _client(user_agent: str, found: OpenKind, reason: Reason) -> Client:
    if found in _MACHINES:
        return Client.UNKNOWN
    for pattern, client in _CLIENTS:
        if pattern.search(user_agent):
            return client
    if reason is Reason.BROWSER and _BROWSER.search(user_agent):
        return Client.BROWSER
    return Client.OTHER
