"""Where everything is joined: settings to parts, parts to a web application, both to a service.

``joining``     what one installation is made of, and the web application on top
``background``  the threads beside the web: sending, counting opens, tidying the database
``serving``     both together, for ``mailprefs run``, ``mailprefs worker`` and any WSGI server
"""

from mailprefs.app.joining import build, create_app, session_key
from mailprefs.app.serving import serve, work, wsgi
from mailprefs.web.parts import Parts

__all__ = ["Parts", "build", "create_app", "serve", "session_key", "work", "wsgi"]
