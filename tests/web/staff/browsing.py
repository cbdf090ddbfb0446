"""A browser for staff pages: keeps its cookies, and takes each form's token from the page."""

import re

from flask import Flask
from werkzeug.test import TestResponse

from mailprefs.policy import Role
from mailprefs.web.parts import Parts
from tests.factories import make_staff

BASE = "https://mail.example.com"
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


class Browser:
    """Somebody's browser, signed in once ``sign_in_as`` was called."""

    def __init__(self, app: Flask, parts: Parts) -> None:
        self.client = app.test_client()
        self.parts = parts
        self.staff_id = 0

    def sign_in_as(self, *roles: Role) -> int:
        """Begin a session of a new member of staff with *roles*; give their id."""
        with self.parts.db.transaction() as session:
            person = make_staff(session, *roles)
        self.hold_session(person.session_key)
        self.staff_id = person.id
        return person.id

    def hold_session(self, session_key: str) -> None:
        """Hold the cookie that a sign-in of the owner of *session_key* would have set."""
        with self.client.session_transaction(base_url=BASE) as session:
            session["_user_id"] = session_key
            session["_fresh"] = True
            session.permanent = True

    def get(self, path: str) -> TestResponse:
        return self.client.get(path, base_url=BASE)

    def token(self) -> str:
        """Give a form's token, from a page that everybody may see."""
        for path in ("/staff/account", "/staff/sign-in"):
            found = _TOKEN.search(self.get(path).text)
            if found:
                return found[1]
        raise AssertionError("no page shows a form")

    def post(self, path: str, **form: object) -> TestResponse:
        """Send a form as our own pages do."""
        return self.client.post(path, base_url=BASE, data={"csrf_token": self.token(), **form})

    def follow(self, response: TestResponse) -> str:
        """Give the page that a change leads to, as text."""
        assert response.status_code == 303, response.text
        return self.get(response.headers["Location"]).text
