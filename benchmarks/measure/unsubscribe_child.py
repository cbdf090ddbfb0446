"""One service of the unsubscribe benchmark, in one process: its pages and its sending.

unsubscribe_child.py PORT     settings are those of the environment
"""

import logging
import sys

from mailprefs.app.serving import serve

if __name__ == "__main__":
    logging.disable()
    serve(host="127.0.0.1", port=int(sys.argv[1]), worker=True)
