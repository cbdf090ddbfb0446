"""What a mail plainly asks for, by its words in the languages of our pages. Pure.

A guess decides only who is told what: which link of their own is mailed to somebody, if any,
and under which word staff find the mail. It never ends or begins anything.
"""

import re
import unicodedata
from enum import StrEnum
from typing import Final

from mailprefs.vendor.message import InboundMail

_LINES: Final = 40
"""Lines of a mail's own text that are looked at."""
_OWN: Final = 8
"""Lines of it in which a token may stand: further down are signatures and other people's mail."""

# What only somebody writes who wants to know what is held of them, or to have it deleted.
_DATA: Final = (
    # English
    *("my data", "my personal data", "my information", "data you hold", "data you have about me"),
    *("erase me", "delete me", "forget me", "right to be forgotten", "subject access request"),
    *("data request", "delete my account", "erase my", "gdpr", "ccpa", "coppa", "data protection"),
    # German
    *("meine daten", "meiner daten", "personenbezogenen daten", "dsgvo", "auskunft nach art"),
    *("auskunft gemäß", "lösche mich", "löschen sie mich", "recht auf vergessen", "datenauskunft"),
    # French
    *("mes données", "données personnelles", "rgpd", "droit à l'oubli", "droit d'accès"),
    *("supprimez-moi", "effacez-moi", "droit à l'effacement"),
    # Spanish
    *("mis datos", "datos personales", "rgpd", "derecho al olvido", "derecho de acceso"),
    *("derecho de supresión", "borren mi cuenta"),
    # Portuguese
    *("meus dados", "dados pessoais", "lgpd", "direito ao esquecimento", "apaguem minha conta"),
    # Japanese
    *("個人情報", "私のデータ", "データ削除", "データの削除"),
    *("データの開示", "情報の開示", "開示請求"),
    # Arabic
    *("بياناتي", "البيانات الشخصية", "حذف حسابي", "معلوماتي"),
)
_ARTICLES = re.compile(r"\bart(?:icle|ikel|ículo|igo)?\.? ?(?:15|17|20)\b")
# What says that somebody wants no more of our mail, wherever in a subject it stands.
_LEAVE: Final = (
    *("unsubscribe", "opt out", "opt-out", "remove me", "take me off"),
    *("stop sending", "stop email"),
    *("abmelden", "abbestellen", "abmeldung", "abbestellung", "austragen", "newsletter kündigen"),
    *("désabonn", "désinscri", "desabonn", "desinscri", "ne plus recevoir"),
    *("darme de baja", "dar de baja", "cancelar suscripción", "cancelar la suscripción"),
    *("desuscrib", "cancelar inscrição", "cancelar a inscrição", "descadastr", "sair da lista"),
    *("配信停止", "配信解除", "登録解除", "購読解除", "メール停止", "退会"),
    *("إلغاء الاشتراك", "الغاء الاشتراك", "ألغ اشتراكي", "إيقاف الرسائل"),
)
# Short ones, which mean it only where they begin a subject or a line.
_LEAVE_FIRST: Final = (
    *("stop", "remove", "unsub", "cancel", "stopp", "stoppen", "raus", "arrêt", "arrêter", "baja"),
    *("parar", "remover", "sair", "停止", "解除", "إلغاء", "توقف"),
)
_REPLY = re.compile(r"^(?:(?:re|fwd?|aw|wg|tr|rv|res|enc|sv|vs|رد|返信|転送) ?[:：] ?)+")  # noqa: RUF001 - as Japanese programs write the colon
_POLITE = re.compile(r"^(?:please|bitte|svp|por favor|merci de|hello|hi|hallo)[ ,!.:]+")
_QUOTED: Final = (">", "|", "-----", "_____", "From:", "Von:", "De :", "De:", "Begin forwarded")


class Wish(StrEnum):
    """What a mail asks for, as it is kept and shown to staff."""

    LEAVE = "leave"
    LEAVE_UNPROVEN = "leave_without_token"
    DATA = "data_request"
    CHILD = "child_report"
    AUTOMATIC = "automatic"
    OTHER = "other"

    @property
    def is_forwarded(self) -> bool:
        """Tell whether a person has to read it."""
        return self not in {Wish.LEAVE, Wish.AUTOMATIC}


def wish_of(mail: InboundMail, *, has_left: bool) -> Wish:
    """Say what a mail asks for; *has_left*: a token of ours in it has been obeyed already."""
    if is_data_request(mail) and not mail.is_automatic:
        return Wish.DATA
    if has_left:
        return Wish.LEAVE
    if mail.is_automatic:
        return Wish.AUTOMATIC
    return Wish.LEAVE_UNPROVEN if says_leave(mail) else Wish.OTHER


def is_data_request(mail: InboundMail) -> bool:
    """Tell whether it is plainly about what is held of somebody."""
    for line in (mail.subject, *own_lines(mail.text)[:_LINES]):
        folded = _folded(line)
        if any(word in folded for word in _DATA) or _ARTICLES.search(folded):
            return True
    return False


def says_leave(mail: InboundMail) -> bool:
    """Tell whether its subject or its first words say that somebody wants no more mail."""
    subject = _POLITE.sub("", _REPLY.sub("", _folded(mail.subject)))
    if any(word in subject for word in _LEAVE) or _begins(subject, _LEAVE_FIRST):
        return True
    first = next(iter(own_lines(mail.text)), "")
    return _begins(_POLITE.sub("", _folded(first)), (*_LEAVE, *_LEAVE_FIRST))


def places_of_token(mail: InboundMail) -> list[str]:
    """List the texts in which a token of ours may stand: the subject, then the mail's first lines.

    What a program wrote may quote our message, header and all: of that only the subject counts.
    """
    if mail.is_automatic:
        return [mail.subject]
    return [mail.subject, *own_lines(mail.text)[:_OWN]]


def own_lines(text: str) -> list[str]:
    """List the lines that the writer wrote, up to the first that quotes somebody else."""
    said = []
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith(_QUOTED):
            break
        if bare:
            said.append(bare)
    return said


def _folded(text: str) -> str:
    """Give a text in the form in which words are compared."""
    one_line = " ".join(unicodedata.normalize("NFKC", text[:2_000]).split())
    return one_line.casefold().replace("’", "'").strip("\"'*<>[]( ")


def _begins(text: str, words: tuple[str, ...]) -> bool:
    """Tell whether a text begins with one of *words*, whole."""
    for word in words:
        if text.startswith(word):
            after = text[len(word) : len(word) + 1]
            # Languages without spaces between words have no end of a word to look for.
            if not after.isalpha() or ord(word[0]) > ord("\u3000"):
                return True
    return False
