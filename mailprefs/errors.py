"""Every refusal that mailprefs makes, as a sentence for the person who reads it.

A message says what is wrong, where, and what to do. It never holds an address, a token, an IP
address or a user agent: errors end in logs. ``mailprefs.web.errors`` maps each class to a status
once; the command line prints the sentence and exits with ``exit_status``.
"""


class MailprefsError(Exception):
    """Base of every refusal: something asked for can't be done, and the text says why."""

    exit_status = 1


class BadSetting(MailprefsError):
    """A setting or a key is missing, malformed or unsafe; the service doesn't start."""

    exit_status = 2


class BadInput(MailprefsError):
    """A value that a person or a program gave is not acceptable."""

    exit_status = 2


class BadAddress(BadInput):
    """A text is not a deliverable e-mail address; the message gives the reason without the text."""


class BadFile(BadInput):
    """A file can't be read as what it should be; the message names the file and the place."""


class BadTemplate(BadInput):
    """A message's source breaks a rule of its class or of the merge language."""


class BadToken(MailprefsError):
    """A public link is forged, damaged, foreign or made for another purpose."""


class BadSignature(MailprefsError):
    """A request that claims to come from the vendor isn't signed by the vendor's key."""


class NotFound(MailprefsError):
    """The thing asked for doesn't exist (any more)."""


class NotAllowed(MailprefsError):
    """The person acting lacks the role for this, or a rule asks for a second person."""


class Conflict(MailprefsError):
    """The thing is in a state in which this can't be done."""


class CheckFailed(Conflict):
    """A campaign can't be sent as it is; the message lists the checks that stand in the way."""


class Preflight(MailprefsError):
    """A request body breaks a rule of the vendor; nothing was handed over."""


class StoreUnavailable(MailprefsError):
    """The database can't be reached or is locked for too long; nothing was changed."""


class LedgerBroken(MailprefsError):
    """The consent ledger's chain doesn't verify; the message names the first bad entry."""
