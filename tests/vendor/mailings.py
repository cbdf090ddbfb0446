"""Mailings to hand over, as the rendering makes them."""

from dataclasses import fields, replace
from typing import Any

from mailprefs.policy import MessageClass
from mailprefs.vendor.message import Mailing, People, Personal

CAMPAIGN = 42


def changed(mailing: Mailing, changes: dict[str, object]) -> Mailing:
    parts: dict[str, Any] = {part.name: getattr(mailing, part.name) for part in fields(mailing)}
    parts |= changes
    return Mailing(**(parts | {"people": People.of(parts["people"])}))


def person(number: int, **changes: object) -> Personal:
    link = f"https://mail.example.com/u/token{number}"
    some = Personal(
        address=f"person{number}@example.net",
        name=f"Person {number}",
        substitutions={
            "-k7-name_text-": f"Zoë & {number}",
            "-k7-name_html-": f"Zoë &amp; {number}",
            "-k7-leave-": link,
            "-k7-pixel_html-": f'<img src="https://mail.example.com/o/t{number}.gif" alt="">',
        },
        headers={
            "List-Unsubscribe": f"<{link}>, <mailto:leave@in.example.com?subject=u-{number}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "List-Id": "Example News <news.example.com>",
        },
        delivery_id=CAMPAIGN << 32 | number,
    )
    return Personal(**(some._asdict() | changes))


def promotional(count: int = 3, **changes: object) -> Mailing:
    mailing = Mailing(
        message_class=MessageClass.PROMOTIONAL,
        from_address="news@mail.example.com",
        from_name="Example News",
        reply_to="help@example.com",
        subject="New in March, -k7-name_text-",
        text="Hello -k7-name_text-\n\nLeave: -k7-leave-\n",
        html='<p>Hello -k7-name_html-</p><a href="-k7-leave-">Leave</a>-k7-pixel_html-',
        campaign_id=CAMPAIGN,
        attempt="ab12",
        people=People.of([person(number) for number in range(1, count + 1)]),
    )
    return changed(mailing, changes)


def administrative(count: int = 3, **changes: object) -> Mailing:
    people = [
        person(
            number, headers={}, substitutions={"-k7-prefs-": f"https://mail.example.com/p/{number}"}
        )
        for number in range(1, count + 1)
    ]
    mailing = replace(
        promotional(),
        message_class=MessageClass.ADMINISTRATIVE,
        from_address="account@notices.example.com",
        subject="Our privacy policy changes",
        text="Settings: -k7-prefs-",
        html='<a href="-k7-prefs-">Settings</a>',
        people=People.of(people),
    )
    return changed(mailing, changes)
