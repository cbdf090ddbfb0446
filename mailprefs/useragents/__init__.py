"""What a user-agent string says about the fetch of a pixel; the string itself is never kept.

An ordered table: the first rule that matches decides. It labels and never drops, because none of
this is certain, and it never decides about an unsubscribe. Packaged lists of crawlers would call
Gmail's and Yahoo's image proxies bots and so lose every open there; our own rules come first, were
written against strings seen in the wild, with their sources, and the public list comes last.

``kinds``    the words of a verdict
``tables``   the rules, and the number of their version
``reading``  which rule is the first that matches
"""

from mailprefs.useragents.kinds import Client, Confidence, OpenKind, Reason, Verdict
from mailprefs.useragents.reading import Step, classify, client_family, kind, steps
from mailprefs.useragents.tables import RULESET, digest

__all__ = [
    "RULESET",
    "Client",
    "Confidence",
    "OpenKind",
    "Reason",
    "Step",
    "Verdict",
    "classify",
    "client_family",
    "digest",
    "kind",
    "steps",
]
