"""How one sandbox is set up."""

from dataclasses import dataclass
from pathlib import Path

from mailprefs import errors
from mailprefs.sandbox.moods import Mood
from mailprefs.settings import is_loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """What one sandbox is told at its start.

    *api_key* is the only key that it takes, or "" for any; *read_key* the only one that may read
    the suppression lists, or "" for any; *store* the SQLite file that keeps the
    mail, or None for one that ends with the sandbox; *webhook* the URL that gets the events, and
    *inbound* the one that gets mail to the service, both on this machine, or ""; *key_file* the
    private key that signs both, made when missing. It keeps
    the last *keep* messages. *delivered_after* is how many seconds pass between ``processed`` and
    ``delivered``. *moods* is how it behaves from the start.

    :raises BadSetting: for a webhook that isn't on this machine.
    """

    api_key: str = ""
    read_key: str = ""
    store: Path | None = None
    webhook: str = ""
    inbound: str = ""
    key_file: Path | None = None
    keep: int = 1_000_000
    delivered_after: float = 0.0
    moods: tuple[Mood, ...] = ()

    def __post_init__(self) -> None:
        for url in filter(None, (self.webhook, self.inbound)):
            if not (url.startswith("http://") and is_loopback(url)):
                raise errors.BadSetting(
                    "The sandbox posts events to this machine only. Give it a webhook such as"
                    " http://127.0.0.1:8400/webhooks/sendgrid/events."
                )
