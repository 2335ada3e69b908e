"""gunicorn's settings: ``gunicorn -c deploy/gunicorn.conf.py``, where ``manage.py`` is.

Options on the command line, and those in the variable ``GUNICORN_CMD_ARGS``, go before what stands here.
"""

# Warns, when a worker starts, of settings that leave WebSockets or plain requests waiting.
from django_websocket.gunicorn import post_worker_init

wsgi_app = "example_project.wsgi"
bind = "127.0.0.1:8000"

# A thread for each WebSocket, as long as it is open: 2 * 64 of them at a time. WEBSOCKET_MAX_CONNECTIONS is for one
# worker, too; below the number of threads it leaves some for plain requests. What is beyond the threads waits.
workers = 2
worker_class = "gthread"
threads = 64

# Or a greenlet of eventlet for each: worker_class "django_websocket.gunicorn.EventletWorker", and worker_connections in
# the place of threads.

# No limit for WebSockets: with these worker classes it is the time in which a worker has to show that it is alive.
timeout = 30

# A worker that is to end, by SIGTERM or for a reload, closes its WebSockets with 1012 and waits so many seconds for
# them, and for plain requests: more than WEBSOCKET_CLOSE_TIMEOUT, which is 5.
graceful_timeout = 30

# A worker that starts anew after so many requests closes its WebSockets too. 0: it does not.
max_requests = 0

# There is no control socket in the home directory of a service's user.
control_socket_disable = True

accesslog = "-"
