import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from flask.testing import FlaskClient

from mailprefs.sandbox import parts
from mailprefs.sandbox.app import create_sandbox
from mailprefs.sandbox.settings import SandboxSettings
from mailprefs.vendor.message import Mailing
from mailprefs.vendor.sendgrid import body
from tests.vendor.mailings import administrative, person, promotional

HOSTILE = '"><script>alert(1)</script><b onclick=x>'


@pytest.fixture
def client() -> Iterator[FlaskClient]:
    app = create_sandbox(SandboxSettings())
    yield app.test_client()
    parts.of(app).close()


def put(client: FlaskClient, mailing: Mailing) -> None:
    answer = client.post(
        "/v3/mail/send",
        data=body(mailing),
        headers={"Authorization": "Bearer k", "Content-Type": "application/json"},
    )
    assert answer.status_code == 202
    assert answer.data == b""
    assert answer.headers["X-Message-Id"]


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for seen, attributes in self.seen if seen == tag]


def get(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.text


def test_an_empty_mailbox_says_so(client: FlaskClient) -> None:
    assert client.get("/").location == "/mailbox"
    assert "No mail yet" in get(client, "/mailbox")


def test_the_list_shows_the_newest_first_in_pages(client: FlaskClient) -> None:
    put(client, promotional(70))
    first = get(client, "/mailbox")
    assert "70 messages" in first
    assert first.index("person70@") < first.index("person41@")
    assert "person40@" not in first
    assert "Page 1 of 3" in first
    assert "person10@" in get(client, "/mailbox?page=3")
    for odd in ("999", "0", "-1", "x", "٣"):
        assert "person" in get(client, f"/mailbox?page={odd}")


def test_the_list_is_searched_by_recipient_subject_and_class(client: FlaskClient) -> None:
    put(client, promotional(70))
    put(client, administrative(3))
    found = get(client, "/mailbox?words=person70")
    assert "1 message<" in found and "person70@" in found
    assert "3 messages" in get(client, "/mailbox?words=privacy+policy")
    assert "3 messages" in get(client, "/mailbox?class=administrative")
    assert "Nothing matches" in get(client, "/mailbox?words=nobody")
    # The search goes on from page to page.
    listed = get(client, "/mailbox?words=march&class=promotional")
    links = [link["href"] or "" for link in Tags(listed).all("a") if link.get("rel") == "next"]
    assert links == ["/mailbox?words=march&class=promotional&page=2"]
    assert "Page 2 of 3" in get(client, links[0])


def test_a_mail_is_shown_in_a_frame_that_runs_nothing(client: FlaskClient) -> None:
    put(client, promotional(1, html="<p onclick='x()'>Hi</p><script>alert(1)</script>-k7-leave-"))
    page = Tags(get(client, "/mailbox/1"))
    (frame,) = page.all("iframe")
    assert "allow-scripts" not in str(frame["sandbox"])
    assert "allow-same-origin" not in str(frame["sandbox"])
    answer = client.get(str(frame["src"]))
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-popups allow-popups-to-escape-sandbox;")
    assert "default-src 'none'" in policy and "script" not in policy
    assert "https:" not in policy, "nothing is loaded from beyond this machine"


def test_links_of_a_mail_open_beside_it(client: FlaskClient) -> None:
    put(client, promotional(1, html='<html><head lang="en"><title>x</title></head>-k7-leave-'))
    put(client, promotional(1, html='<a href="-k7-leave-">Leave</a>'))
    whole, bare = get(client, "/mailbox/1/html"), get(client, "/mailbox/2/html")
    assert whole.startswith('<html><head lang="en"><base target="_blank"><title>')
    assert bare == '<base target="_blank"><a href="https://mail.example.com/u/token1">Leave</a>'


def test_links_of_the_text_and_the_headers_work(client: FlaskClient) -> None:
    put(client, promotional(1))
    for tab in ("text", "headers"):
        links = [link["href"] for link in Tags(get(client, f"/mailbox/1?tab={tab}")).all("a")]
        assert "https://mail.example.com/u/token1" in links


def test_no_page_has_a_script_or_an_inline_style_whatever_the_mail_holds(
    client: FlaskClient,
) -> None:
    odd = person(
        1,
        name=f"Eve {HOSTILE}",
        substitutions={"-k7-name_text-": HOSTILE, "-k7-leave-": f"https://x.example/{HOSTILE}"},
        headers={**person(1).headers, "X-Odd": HOSTILE},
    )
    put(client, promotional(people=[odd], from_name=f"News {HOSTILE}"))
    for path in (
        "/mailbox",
        *(f"/mailbox/1?tab={tab}" for tab in ("html", "text", "headers", "request", "odd")),
    ):
        answer = client.get(path)
        tags = Tags(answer.text)
        assert not tags.all("script") and not tags.all("style"), path
        assert not [a for _, a in tags.seen if any(n.startswith("on") or n == "style" for n in a)]
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy


def test_a_page_loads_nothing_from_elsewhere(client: FlaskClient) -> None:
    put(client, promotional(1))
    for path in ("/mailbox", "/mailbox/1", "/mailbox/1?tab=request"):
        tags = Tags(get(client, path))
        loaded = [a["src"] for _, a in tags.seen if "src" in a]
        loaded += [a["href"] for a in tags.all("link")]
        assert loaded and all(str(url).startswith("/mailbox") for url in loaded), path
    assert not re.search(r"url\(|@import", get(client, "/mailbox.css"))
    assert client.get("/mailbox.svg").mimetype == "image/svg+xml"


def test_promotional_mail_offers_one_click_where_it_can_work(client: FlaskClient) -> None:
    here = {
        **person(1).headers,
        "List-Unsubscribe": "<mailto:x@in.example.com>, <http://127.0.0.1:8400/u/token>",
    }
    put(client, promotional(people=[person(1, headers=here)]))
    put(client, promotional(1))
    put(client, administrative(1))
    (form,) = [f for f in Tags(get(client, "/mailbox/1")).all("form") if f.get("method") == "post"]
    assert form["action"] == "http://127.0.0.1:8400/u/token"
    fields = Tags(get(client, "/mailbox/1")).all("input")
    assert {"type": "hidden", "name": "List-Unsubscribe", "value": "One-Click"} in fields
    for other in (2, 3):
        assert 'method="post"' not in get(client, f"/mailbox/{other}")


def test_the_reader_goes_from_mail_to_mail(client: FlaskClient) -> None:
    put(client, promotional(3))
    links = {link.get("rel"): link["href"] for link in Tags(get(client, "/mailbox/2")).all("a")}
    assert (links["prev"], links["next"]) == ("/mailbox/3?tab=html", "/mailbox/1?tab=html")
    assert "no such message" in client.get("/mailbox/99").text
