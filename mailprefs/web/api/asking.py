"""What a program may ask for: no parameter but those that a route names, and nothing else.

There are no filters: whoever could choose the people of a number freely could ask for all of them
and for all but one, and subtract.
"""

from collections.abc import Callable
from typing import Final

from flask import current_app, request

from mailprefs.errors import BadInput
from mailprefs.web.access import View

_NAMES: Final = "mailprefs_parameters"


def takes(*names: str) -> Callable[[View], View]:
    """Give a decorator that names the query parameters which a view reads."""

    def decorate(view: View) -> View:
        setattr(view, _NAMES, frozenset(names))
        return view

    return decorate


def refuse_unknown() -> None:
    """Refuse a request with a parameter that its route doesn't name.

    :raises BadInput: naming those that there are.
    """
    view = current_app.view_functions.get(request.endpoint or "")
    known: frozenset[str] = getattr(view, _NAMES, frozenset())
    if set(request.args) <= known:
        return
    told = f"only {' and '.join(sorted(known))}" if known else "none"
    raise BadInput(
        "There are no free filters, so that nobody can ask for everybody and then for all but one. "
        f"Of query parameters this address takes {told}; /api/openapi.json lists what there is."
    )


def campaigns() -> list[int]:
    """Give the campaigns that the parameters ``campaign`` name.

    :raises BadInput: for one that is no number.
    """
    asked = request.args.getlist("campaign")
    if not all(one.isdecimal() and len(one) < 12 for one in asked):
        raise BadInput("Name campaigns by their numbers, such as ?campaign=3&campaign=4.")
    return [int(one) for one in asked]
