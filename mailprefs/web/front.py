"""The front page: what this place is, for whoever comes without a link of a message."""

from flask import Blueprint, render_template

routes = Blueprint("front", __name__)


@routes.get("/")
def show() -> str:
    """Say what is here, and lead to a link of one's own, to the policy and to the staff's door."""
    return render_template("public/front.html")
