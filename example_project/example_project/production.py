"""Settings for production, behind a proxy that terminates TLS. The environment has to set ``SECRET_KEY``.

It also has to set ``REDIS_URL`` if there is more than one worker, for the chat. ``deploy/`` has the configuration of
nginx, gunicorn, eventlet and systemd.
"""

import os

os.environ.setdefault("DEBUG", "0")
os.environ.setdefault("DATABASE", "/var/lib/example/db.sqlite3")

from example_project.settings import *

# The proxy always overwrites this header, so that clients cannot forge it. gunicorn takes the scheme from it by itself,
# but only from a proxy on its own machine (forwarded_allow_ips). With a proxy elsewhere, as in a container, or another
# server, the site would without this setting take its scheme for http, and refuse the https origin of its own pages.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

# For "manage.py collectstatic"; the proxy serves it.
STATIC_ROOT = os.environ.get("STATIC_ROOT", "/srv/example/static")

# The limit of one worker, which has 64 threads (deploy/gunicorn.conf.py); the other threads serve plain requests.
# Further WebSockets get a 503.
WEBSOCKET_MAX_CONNECTIONS = 56
