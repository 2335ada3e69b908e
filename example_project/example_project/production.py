"""Settings for production, behind a proxy that ends TLS. The environment has to set ``SECRET_KEY``.

``deploy/`` has the rest: nginx, gunicorn, eventlet, systemd.
"""

import os

os.environ.setdefault("DEBUG", "0")

from example_project.settings import *

# The proxy says how the browser came, and lets nobody else say it. Without this, the Origin of a page that came
# by https would be another one than ours.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

# For "manage.py collectstatic"; the proxy serves it.
STATIC_ROOT = os.environ.get("STATIC_ROOT", "/srv/example/static")

# Of one worker, which has 64 threads (deploy/gunicorn.conf.py): the rest is for plain requests. More get a 503.
WEBSOCKET_MAX_CONNECTIONS = 56
