"""A browser over real HTTP that keeps cookies and fills forms in, and runs no script."""

import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import CookieJar


@dataclass
class Form:
    """One form of a page, with what stands in its fields; None for what isn't ticked."""

    action: str
    method: str
    fields: dict[str, str | None] = field(default_factory=dict)
    text: str = ""


@dataclass
class Page:
    """What came back: where from, with which status, what it says, and its forms."""

    url: str
    status: int
    html: str
    forms: list[Form]
    links: list[str]

    def form(self, words: str) -> Form:
        """Give the form whose button or text says *words*."""
        found = [one for one in self.forms if words.lower() in one.text.lower()]
        assert found, f"{self.url} has no form that says {words!r}: {self.html}"
        return found[0]


class Browser:
    """One person's browser at one host."""

    def __init__(self, base: str) -> None:
        self._base = base
        jar = urllib.request.HTTPCookieProcessor(CookieJar())
        self._opener = urllib.request.build_opener(jar)

    def get(self, path: str) -> Page:
        """Open a page; redirects are followed."""
        return self._open(urllib.request.Request(urllib.parse.urljoin(self._base, path)))

    def press(self, page: Page, words: str, **values: str) -> Page:
        """Send the form that says *words*, with *values* typed into its fields."""
        form = page.form(words)
        assert form.method == "post"
        unknown = set(values) - set(form.fields)
        assert not unknown, f"{page.url} has no fields {unknown}"
        filled = {
            name: value for name, value in (form.fields | values).items() if value is not None
        }
        body = urllib.parse.urlencode(filled).encode()
        where = urllib.parse.urljoin(page.url, form.action)
        return self._open(urllib.request.Request(where, data=body, method="POST"))

    def _open(self, request: urllib.request.Request) -> Page:
        request.add_header("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0")
        try:
            answer = self._opener.open(request, timeout=20)
        except urllib.error.HTTPError as refused:
            answer = refused
        with answer:
            html = answer.read().decode("utf-8")
            reader = _Reader()
            reader.feed(html)
            return Page(answer.geturl(), answer.status or 0, html, reader.forms, reader.links)


class _Reader(HTMLParser):
    """Finds forms with the values of their fields, as a browser without script would send them."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self._inside = False
        self._writing: str | None = None
        self._choosing: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "form":
            self._inside = True
            method = given.get("method", "get").lower()
            self.forms.append(Form(given.get("action", ""), method))
        elif self._inside:
            self._field(tag, given)

    def _field(self, tag: str, given: dict[str, str]) -> None:
        fields, name = self.forms[-1].fields, given.get("name", "")
        if tag == "input" and name:
            if given.get("type") in {"radio", "checkbox"}:
                fields.setdefault(name, None)
                if "checked" in given:
                    fields[name] = given.get("value", "on")
            else:
                fields[name] = given.get("value", "")
        elif tag == "textarea":
            self._writing, fields[name] = name, ""
        elif tag == "select":
            self._choosing = name
            fields.setdefault(name, "")
        elif tag == "option" and self._choosing and "selected" in given:
            fields[self._choosing] = given.get("value", "")

    def handle_data(self, data: str) -> None:
        if self._inside:
            form = self.forms[-1]
            if self._writing is not None:
                form.fields[self._writing] = (form.fields[self._writing] or "") + data
            else:
                form.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "textarea":
            self._writing = None
        elif tag == "select":
            self._choosing = None
