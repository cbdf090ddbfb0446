"""The words that are stored, as they are said to the person they are about."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mailprefs.languages import gettext_noop

YES_OR_NO: Final = {True: gettext_noop("yes"), False: gettext_noop("no")}

WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # Where somebody stands, and what they said.
        "confirmed": gettext_noop("you confirmed it"),
        "imported": gettext_noop("it was in a list that we took over"),
        "unconfirmed": gettext_noop("somebody entered it, and nobody has confirmed it"),
        "unknown": gettext_noop("not known"),
        "granted": gettext_noop("allowed"),
        "refused": gettext_noop("refused"),
        "withdrawn": gettext_noop("allowed once, taken back"),
        "objected": gettext_noop("objected to"),
        "weekly": gettext_noop("once a week"),
        "any": gettext_noop("as often as it comes"),
        "pending": gettext_noop("waiting"),
        "subscribed": gettext_noop("subscribed"),
        "unsubscribed": gettext_noop("unsubscribed"),
        # By which door a choice came.
        "one_click": gettext_noop("your mail program’s unsubscribe button"),
        "page": gettext_noop("the link in a message"),
        "mailto": gettext_noop("an e-mail to us"),
        "preference_page": gettext_noop("your settings"),
        "sign_up": gettext_noop("a sign-up form"),
        "import": gettext_noop("a list that we took over"),
        "staff": gettext_noop("our staff"),
        "api": gettext_noop("another program of ours"),
        "vendor_event": gettext_noop("the company that delivers our mail"),
        "system": gettext_noop("our system"),
        "self": gettext_noop("you"),
        # What a choice or a request is about.
        "promotional_email": gettext_noop("promotional e-mail"),
        "open_tracking": gettext_noop("measuring whether you open e-mails"),
        "pause": gettext_noop("a pause"),
        "frequency": gettext_noop("how often mail comes"),
        "language": gettext_noop("the language"),
        "export": gettext_noop("to have your data"),
        "erase": gettext_noop("to be erased"),
        # Why mail is held back, and which.
        "complained": gettext_noop("a message was marked as spam"),
        "hard_bounce": gettext_noop("the mailbox refuses mail"),
        "invalid": gettext_noop("the address is not valid"),
        "soft_bounces": gettext_noop("the mailbox refused mail several times in a row"),
        "erased": gettext_noop("the address was erased"),
        "promotional": gettext_noop("promotional"),
        "administrative": gettext_noop("about your account or our terms"),
        "all": gettext_noop("all"),
        # What became of a message.
        "skipped": gettext_noop("left out"),
        "failed": gettext_noop("failed"),
        "sending": gettext_noop("being sent"),
        "sent": gettext_noop("sent"),
        "cancelled": gettext_noop("cancelled"),
        "not_subscribed": gettext_noop("you weren’t subscribed"),
        "suppressed": gettext_noop("mail to you was held back"),
        "empty_field": gettext_noop("a detail of yours was missing that it needed"),
        "not_on_allow_list": gettext_noop("it was a trial"),
        "pausing": gettext_noop("you had paused it"),
        "too_frequent": gettext_noop("you had a message within a week"),
        "told": gettext_noop("you had been told before"),
        "refused_address": gettext_noop("the address was refused"),
        "refused_message": gettext_noop("the message was refused"),
        "too_large": gettext_noop("the message was too large"),
        "not_allowed": gettext_noop("not allowed"),
        "broken_message": gettext_noop("the message was faulty"),
        "accepted": gettext_noop("accepted"),
        "unclear": gettext_noop("not known"),
        "later": gettext_noop("put off"),
        "not_connected": gettext_noop("not reached"),
        "not_begun": gettext_noop("not begun"),
        "given_back": gettext_noop("not begun"),
        "individual": gettext_noop("by person"),
        "aggregate": gettext_noop("as a sum of all readers"),
        "off": gettext_noop("not at all"),
        # On which ground data went to somebody else.
        "vendor": gettext_noop("somebody who works for us"),
        "affiliate": gettext_noop("a company of our group"),
        "law": gettext_noop("the law"),
        "transfer": gettext_noop("our business passes to another company"),
        "consent": gettext_noop("you agreed"),
        # What our staff did.
        "recipient.looked_up": gettext_noop("looked you up"),
        "recipient.exported": gettext_noop("made such a file of your data"),
        "choice.recorded": gettext_noop("recorded a choice for you"),
        "suppression.released": gettext_noop("let mail to you through again"),
        "suppression.lifted_by_owner": gettext_noop("let mail to you through again"),
        "console": gettext_noop("the console"),
        # What was told of a mailbox, or seen of a picture.
        "queued": gettext_noop("queued"),
        "rejected": gettext_noop("rejected"),
        "bounced": gettext_noop("refused by the mailbox"),
        "blocked": gettext_noop("blocked by the mailbox"),
        "dropped": gettext_noop("not tried"),
        "deferred": gettext_noop("put off"),
        "delivered": gettext_noop("delivered"),
        "opened": gettext_noop("opened"),
        "clicked": gettext_noop("clicked"),
        "loaded": gettext_noop("loaded"),
        "apple_proxy": gettext_noop("loaded by Apple’s privacy proxy"),
        "direct": gettext_noop("your mail program"),
        "proxied": gettext_noop("your mail provider, when the message was shown"),
        "prefetched": gettext_noop("your mail provider, ahead of time"),
        "scanner": gettext_noop("a security scanner"),
        "bot": gettext_noop("a program on the web"),
        "browser": gettext_noop("a browser"),
        # What a mail to us was taken as.
        "leave": gettext_noop("a wish to end mail"),
        "leave_without_token": gettext_noop("a wish to end mail, without your link"),
        "data_request": gettext_noop("a question about your data"),
        "child_report": gettext_noop("a report about an address"),
        "automatic": gettext_noop("an automatic answer"),
        "other": gettext_noop("something else"),
    }
)
"""The words of closed lists. Others, such as a mail program's name, are told as they are stored."""
