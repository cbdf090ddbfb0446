"""The headers that protect every answer: what it may load, who may frame, keep or index it."""

from flask import Flask, Response, request

from mailprefs.settings import Settings

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
"""No script and nothing from elsewhere; a page that needs more sets the header itself."""

_ALWAYS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # The address of a page may hold a person's token.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Slurp once read phpList's links and unsubscribed people; nothing of ours belongs in an index
    # but the messages that were published to be found.
    "X-Robots-Tag": "noindex, nofollow",
}
# A page about one person stays on no disk and in no proxy; stylesheets say themselves how long.
_NOT_KEPT = "no-store"
_YEAR = 31_536_000


def transport_security(settings: Settings) -> dict[str, str]:
    """Give the header that keeps browsers on https, where the installation is reached by it."""
    if settings.base_url.startswith("https://"):
        return {"Strict-Transport-Security": f"max-age={_YEAR}"}
    return {}


def install(app: Flask, settings: Settings, *, untouched: frozenset[str]) -> None:
    """Add the headers to every answer of *app* but those of the endpoints *untouched*.

    A header that a view has set stays as the view has set it.
    """
    wanted = {**_ALWAYS, **transport_security(settings)}

    @app.after_request
    def protect(response: Response) -> Response:
        if request.endpoint in untouched:
            return response
        for name, value in wanted.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", _NOT_KEPT)
        return response
