"""One server of the pixel benchmark, under granian as ``mailprefs run`` starts it.

pixel_child.py PORT ours|flask_spool|flask_insert [URL of a PostgreSQL]

``ours``: the whole web application, the pixel in front of it. The others: a plain Flask application
whose one view does the same with the link and the user agent, and records by the same spool, or by
one INSERT, committed before it answers.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable
from functools import partial

import psycopg
from flask import Flask, Response, request

from mailprefs.app import build, create_app
from mailprefs.app.serving import server, settle
from mailprefs.errors import BadToken
from mailprefs.links import OPEN_PREFIX
from mailprefs.settings import load
from mailprefs.useragents import classify
from mailprefs.web.parts import Parts
from mailprefs.web.pixel import IMAGE, Recorder, answer_headers

INSERT = "INSERT INTO hits (delivery, at, kind, reason, client) VALUES (%s, now(), %s, %s, %s)"


def plain(parts: Parts, record: Callable[[str], None]) -> Flask:
    """Give a Flask application with one view, which records and answers."""
    app = Flask("plain")
    headers = answer_headers(parts.settings)

    @app.get(f"{OPEN_PREFIX}<token>")
    def show(token: str) -> Response:
        record(token)
        return Response(IMAGE, headers=headers)

    return app


def by_spool(parts: Parts) -> Callable[[str], None]:
    """Record as ours does."""
    recorder = Recorder(parts)
    return lambda _: recorder.record(request.environ)


def by_insert(parts: Parts, url: str) -> Callable[[str], None]:
    """Record by one INSERT, each thread over a connection of its own."""
    own = threading.local()

    def record(token: str) -> None:
        try:
            _, delivery_id = parts.links.read_open(token)
        except BadToken:
            return
        verdict = classify(request.headers.get("User-Agent"))
        if not hasattr(own, "connection"):
            own.connection = psycopg.connect(url, autocommit=True)
        own.connection.execute(INSERT, (delivery_id, *map(int, verdict)))

    return record


def _application(role: str, url: str) -> Flask:
    parts = build(load())
    if role == "ours":
        app = create_app(parts)
    else:
        app = plain(parts, by_spool(parts) if role == "flask_spool" else by_insert(parts, url))
    settle()
    return app


def main(port: int, role: str, url: str = "") -> None:
    """Serve until told to stop."""
    logging.disable()
    threads = int(os.environ.get("PIXEL_THREADS", "0"))
    one = server("127.0.0.1", port, **({"threads": threads} if threads else {}))
    one.serve(target_loader=partial(_application, role, url), wrap_loader=False)


if __name__ == "__main__":
    port, role, *url = sys.argv[1:]
    main(int(port), role, *url)
