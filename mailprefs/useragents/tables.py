"""The tables of rules: which strings are which kind and which client.

A change that moves a string from one kind to another gets a new ``RULESET``; a test holds the
digest of everything here, so that nobody forgets.
"""

import re
from hashlib import sha256
from importlib import metadata
from typing import Final

from mailprefs.useragents.kinds import Client, OpenKind, Reason

RULESET: Final = 2
"""Which table of rules gave a verdict; stored beside each open."""

LONGEST: Final = 512
"""Characters of a string that count."""

# Apple's Mail Privacy Protection shows exactly this and nothing else; Gmail fetches ahead with this
# string while somebody has Gmail open (sparkpost.com/blog/gmail-prefetching-images).
_APPLE_PRIVACY = "Mozilla/5.0"
_GMAIL_PREFETCH = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)


def _any(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.IGNORECASE | re.ASCII)


RULES: tuple[tuple[re.Pattern[str], OpenKind, Reason], ...] = (
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

CLIENTS: tuple[tuple[re.Pattern[str], Client], ...] = (
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

BROWSER = _any(r"\A(?:Mozilla|Opera)/.*\b(?:Firefox|Chrome|CriOS|FxiOS|Safari|Trident|MSIE)\b")

# Patterns of the public list that hit people, too: a browser inside WhatsApp is somebody who reads,
# and apps name the library that they are built on; alone, our own rules know both.
PEOPLE_ALL_THE_SAME: Final = frozenset({"WhatsApp", "okhttp"})


def digest() -> str:
    """Give what changes when a rule does, the version of the list of crawlers included."""
    rules = [(pattern.pattern, int(kind), int(reason)) for pattern, kind, reason in RULES]
    clients = [(pattern.pattern, int(client)) for pattern, client in CLIENTS]
    crawlers = (metadata.version("crawler-user-agents"), sorted(PEOPLE_ALL_THE_SAME))
    everything = (LONGEST, rules, clients, BROWSER.pattern, crawlers)
    return sha256(repr(everything).encode()).hexdigest()[:16]
