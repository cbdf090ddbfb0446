"""Staff find the page of each topic, and a form to copy that our own page takes."""

import html
import re

from flask import Flask

from mailprefs.policy import Role
from mailprefs.web.parts import Parts
from tests.web.conftest import Reader
from tests.web.staff.browsing import Browser


def test_each_promotional_topic_has_a_page_and_a_form_that_works(
    app: Flask, parts: Parts, reader: Reader
) -> None:
    browser = Browser(app, parts)
    browser.sign_in_as(Role.DRAFT)
    page = browser.get("/staff/topics/sign-up?lang=de").text
    forms = [
        html.unescape(one)
        for one in re.findall(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)
    ]
    assert len(forms) == 3
    assert "https://mail.example.com/subscribe?topic=events" in page
    for form in forms:
        assert " checked" not in form
        assert "E-Mail" in form
        assert 'action="https://mail.example.com/subscribe?lang=de"' in form
        fields = dict(re.findall(r'name="(\w+)"(?: value="([^"]*)"|)', form))
        sent = {**fields, "address": "new@example.com"}
        assert app.test_client().post("/subscribe?lang=de", data=sent).status_code == 200
    assert "/staff/topics/sign-up" in browser.get("/staff/topics").text
