"""gunicorn's settings: ``gunicorn -c deploy/gunicorn.conf.py``, in the directory of ``manage.py``.

Options on the command line, and those in the variable ``GUNICORN_CMD_ARGS``, override these settings.
"""

# When a worker starts, this hook warns of settings that leave WebSockets or plain requests waiting.
from django_websocket.gunicorn import post_worker_init

wsgi_app = "example_project.wsgi"
bind = "127.0.0.1:8000"

# What one worker sends to a group reaches the WebSockets of the other by Redis: settings.py takes REDIS_URL.
#
# Each open WebSocket occupies a thread, so that 2 * 64 can be open at a time. Connections beyond the number of threads
# wait. WEBSOCKET_MAX_CONNECTIONS is a limit for one worker; below the number of threads, it leaves some of them to
# plain requests.
workers = 2
worker_class = "gthread"
threads = 64

# To use a greenlet of eventlet for each WebSocket, set worker_class = "django_websocket.gunicorn.EventletWorker", and
# worker_connections in place of threads.

# This does not limit WebSockets: with these worker classes, a worker has to show within this time that it is alive.
timeout = 30

# On SIGTERM and for a reload, a worker closes its WebSockets with 1012, and waits this many seconds for them and for
# plain requests. That has to be more than WEBSOCKET_CLOSE_TIMEOUT, which is 5.
graceful_timeout = 30

# The number of requests after which a worker is restarted, which closes its WebSockets too. 0: never.
max_requests = 0

# gunicorn would create its control socket in the home directory of its user. The user of a service may have none.
control_socket_disable = True

accesslog = "-"
