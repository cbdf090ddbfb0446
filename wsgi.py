"""The web application for any WSGI server, such as ``granian --interface wsgi wsgi:app``.

Settings come from the environment. Campaigns are sent by ``mailprefs worker``, not from here.
"""

from mailprefs.app import wsgi

app = wsgi()
