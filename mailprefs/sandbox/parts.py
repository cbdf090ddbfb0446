"""What one sandbox is made of, and how a view gets at it."""

from dataclasses import dataclass

from flask import Flask, current_app

from mailprefs.sandbox.events import SigningKey
from mailprefs.sandbox.mailbox import Mailbox
from mailprefs.sandbox.moods import Moods
from mailprefs.sandbox.settings import SandboxSettings
from mailprefs.sandbox.webhook import Webhook
from mailprefs.sandbox.wrongs import Account

_EXTENSION = "mailprefs-sandbox"


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one sandbox; ``close`` stops its thread and leaves a store of its own."""

    settings: SandboxSettings
    mailbox: Mailbox
    moods: Moods
    webhook: Webhook
    account: Account

    def close(self) -> None:
        """Stop posting events, and close the store."""
        self.webhook.close()
        self.mailbox.close()


def install(app: Flask, settings: SandboxSettings) -> Parts:
    """Make the parts that *settings* describe, for the views of *app*."""
    key = SigningKey(settings.key_file)
    mailbox = Mailbox(settings.store, settings.keep)
    webhook = Webhook(settings.webhook, key, mailbox, delivered_after=settings.delivered_after)
    parts = Parts(settings, mailbox, Moods(settings.moods), webhook, Account())
    app.extensions[_EXTENSION] = parts
    return parts


def of(app: Flask) -> Parts:
    """Give the parts of *app*."""
    parts: Parts = app.extensions[_EXTENSION]
    return parts


def here() -> Parts:
    """Give the parts of the sandbox that answers this request."""
    return of(current_app)
