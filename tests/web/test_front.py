"""The front page: whoever comes without a link of a message finds the way."""

from flask.testing import FlaskClient


def test_the_front_page_says_what_this_is_and_leads_on(client: FlaskClient) -> None:
    response = client.get("/")
    assert response.status_code == 200
    for path in ("/fresh-link", "/policy", "/staff/sign-in"):
        assert f'href="{path}"' in response.text
        assert client.get(path).status_code in {200, 404}


def test_the_front_page_sets_no_cookie(client: FlaskClient) -> None:
    assert "Set-Cookie" not in client.get("/").headers
