"""The privacy policy in force, as the company wrote it."""

import mistune
from flask import Blueprint, render_template
from markupsafe import Markup

from mailprefs import consent
from mailprefs.web.current import here

routes = Blueprint("policy", __name__)

# HTML in the text is shown as text: what is published can't put a script or a picture of somebody
# else's on our pages.
_to_html = mistune.create_markdown(escape=True, plugins=["table"])


@routes.get("/policy")
def show() -> tuple[str, int]:
    """Show the policy in force; 404 with a sentence while none has been published."""
    parts = here()
    with parts.db.reading() as session:
        version = consent.current_policy(session, parts.clock())
    if version is None:
        return render_template("public/policy.html", policy=None, text=""), 404
    text = Markup(_to_html(version.text))  # noqa: S704 - the renderer escapes everything
    return render_template("public/policy.html", policy=version, text=text), 200
