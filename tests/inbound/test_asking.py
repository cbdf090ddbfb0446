"""What a mail asks for, in each language, and what only looks like it."""

import pytest

from mailprefs.inbound import Wish, wish_of
from mailprefs.vendor.message import InboundMail


def mail(subject: str, text: str = "", *, is_automatic: bool = False) -> InboundMail:
    return InboundMail(
        sender="", address="", subject=subject, text=text, identity="", is_automatic=is_automatic
    )


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Subject access request", ""),
        ("Hello", "Please erase me from your lists."),
        ("Art. 15 DSGVO", "Bitte um Auskunft"),
        ("Auskunft", "Welche personenbezogenen Daten haben Sie?"),
        ("Demande", "Je veux exercer mon droit à l’effacement"),
        ("Solicitud", "Quiero saber mis datos personales"),
        ("LGPD", "Quero meus dados"),
        ("お問い合わせ", "個人情報の開示をお願いします"),
        ("طلب", "أريد حذف حسابي"),
        ("Re: News", "Under article 17 I ask you to act."),
    ],
)
def test_a_request_about_data_is_known_in_every_language(subject: str, text: str) -> None:
    assert wish_of(mail(subject, text), has_left=False) is Wish.DATA
    assert wish_of(mail(subject, text), has_left=True) is Wish.DATA


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("unsubscribe", ""),
        ("Re: RE: Please unsubscribe me", ""),
        ("STOP", ""),
        ("News", "stop!"),
        ("AW: Newsletter abbestellen", ""),
        ("", "Bitte abmelden."),
        ("Désinscription", ""),
        ("me désabonner", ""),
        ("Darme de baja", ""),
        ("BAJA", ""),
        ("Descadastrar", ""),
        ("配信停止してください", ""),
        ("", "解除お願いします"),
        ("إلغاء الاشتراك", ""),
    ],
)
def test_a_wish_to_leave_is_known_in_every_language(subject: str, text: str) -> None:
    assert wish_of(mail(subject, text), has_left=False) is Wish.LEAVE_UNPROVEN


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("A question", "How do I open the shop?"),
        ("Stopover in Lisbon", "nice article"),
        ("Thank you", "I would never stop reading.\n> unsubscribe\n> my data"),
        ("", ""),
    ],
)
def test_what_only_looks_like_it_is_something_else(subject: str, text: str) -> None:
    assert wish_of(mail(subject, text), has_left=False) is Wish.OTHER


def test_what_a_program_wrote_asks_for_nothing() -> None:
    written = mail("unsubscribe", "my data", is_automatic=True)
    assert wish_of(written, has_left=False) is Wish.AUTOMATIC
    assert wish_of(written, has_left=True) is Wish.LEAVE
