"""How programs ask the sandbox: what is read of a request, and how a wrong one is answered."""

from typing import Any

from flask import Response, abort, jsonify, request

from mailprefs import errors

_MOST_FIGURES = 15


def json_body() -> Any:  # noqa: ANN401 - whatever a program sent
    """Give the request's JSON, or None for what is none.

    A form is answered with 415: any page in a browser can post one to this machine, and only a
    program sends JSON.
    """
    if request.mimetype != "application/json":
        abort(415)
    return request.get_json(silent=True)


def json_object() -> dict[str, Any]:
    """Give the request's JSON object.

    :raises BadInput: for anything else.
    """
    wish = json_body()
    if not isinstance(wish, dict):
        raise errors.BadInput("The request's body isn't a JSON object.")
    return wish


def number(name: str, default: int) -> int:
    """Give a whole number of the query, or *default* where there is none."""
    text = request.args.get(name, "")
    is_number = text.isascii() and text.isdigit() and len(text) <= _MOST_FIGURES
    return int(text) if is_number else default


def say_what_is_wrong(error: errors.BadInput) -> tuple[Response, int]:
    """Answer a program that asked wrongly."""
    return jsonify(error=str(error)), 400
