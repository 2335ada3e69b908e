"""The verdicts: a word each, a sentence, and the one thing to change."""

from __future__ import annotations

from typing import Final, NamedTuple


class Verdict(NamedTuple):
    """What the doctor has found; scripts compare the word, which never changes."""

    word: str
    #: One sentence.
    summary: str
    #: The one thing to change; ``""`` if there is nothing.
    change: str

    @property
    def docs(self) -> str:
        """The place in the documentation that says more."""
        return f"doctor.html#verdict-{self.word.replace('.', '-')}"


def _verdicts(*verdicts: Verdict) -> dict[str, Verdict]:
    return {verdict.word: verdict for verdict in verdicts}


#: All verdicts by their words. The documentation has the same list.
VERDICTS: Final = _verdicts(
    Verdict("ok", "Everything that was looked at is as it should be.", ""),
    Verdict(
        "unreachable",
        "Nothing answers at that host and port.",
        "Start the server, or correct the host or the port of the address.",
    ),
    Verdict(
        "tls",
        "The connection is made, but TLS is not agreed on.",
        "Use wss:// where TLS is spoken and ws:// where it is not, and give the host a certificate that clients trust. "
        "For one that is to be distrusted, there is --insecure.",
    ),
    Verdict(
        "no-answer",
        "The connection is made, but no answer comes in time.",
        "Give the server more threads, and set WEBSOCKET_MAX_CONNECTIONS below their number, so that a WebSocket too "
        "many is refused instead of waiting.",
    ),
    Verdict(
        "backend-down",
        "The proxy answers, but it does not get an answer from the server behind it.",
        "Start the server, or correct its address in the configuration of the proxy.",
    ),
    Verdict(
        "upgrade-dropped",
        "A proxy in front of the server drops the Upgrade of the handshake.",
        "Make the proxy pass Upgrade and Connection on: nginx needs 'proxy_http_version 1.1;', 'proxy_set_header "
        "Upgrade $http_upgrade;' and 'proxy_set_header Connection \"upgrade\";', Apache 'upgrade=websocket' at its "
        "ProxyPass.",
    ),
    Verdict(
        "upgrade-dropped-or-page",
        "A page is the answer: either a proxy drops the Upgrade of the handshake, or the request never reaches the "
        "view that takes the WebSocket.",
        "Look into the log of the server: if the request is not there, route the address to the server; if it is, "
        "make the proxy pass Upgrade and Connection on.",
    ),
    Verdict(
        "http-1.0",
        "A proxy in front of the server speaks HTTP/1.0 to it, which has no Upgrade.",
        "Make the proxy speak HTTP/1.1: nginx needs 'proxy_http_version 1.1;'.",
    ),
    Verdict(
        "connection-dropped",
        "A proxy in front of the server passes Upgrade on, but not Connection.",
        "Make the proxy pass Connection on: nginx needs 'proxy_set_header Connection \"upgrade\";'.",
    ),
    Verdict(
        "host-replaced",
        "A proxy in front of the server replaces the Host, so that pages of the site count as another site's.",
        "Make the proxy pass the Host on: nginx needs 'proxy_set_header Host $http_host;'. If the Host is right, add "
        "it to ALLOWED_HOSTS.",
    ),
    Verdict(
        "port-lost",
        "A proxy in front of the server drops the port of the Host, so that pages of the site count as another site's.",
        "Make the proxy pass the whole Host on: nginx needs 'proxy_set_header Host $http_host;', not '$host'.",
    ),
    Verdict(
        "scheme-lost",
        "A proxy ends TLS and the project does not know, so that pages of the site count as another site's.",
        "Make the proxy set a header such as X-Forwarded-Proto, and name it in SECURE_PROXY_SSL_HEADER.",
    ),
    Verdict(
        "origin-refused",
        "Pages of that origin may not connect.",
        "If they are to, add the origin to CSRF_TRUSTED_ORIGINS or, where it is set, to WEBSOCKET_ALLOWED_ORIGINS or "
        "the view's allowed_origins.",
    ),
    Verdict(
        "redirect",
        "The answer is a redirect, which no browser follows for a WebSocket.",
        "Use the address that the redirect names, to the slash and the scheme; behind a proxy that ends TLS, set "
        "SECURE_PROXY_SSL_HEADER.",
    ),
    Verdict(
        "no-such-address",
        "The answer is 404: there is nothing at that address.",
        "Correct the path of the address, or add it to the URLconf.",
    ),
    Verdict(
        "login",
        "The address is for visitors who are logged in, or have a permission; what is behind that was not looked at.",
        'Pass the cookie of a session that may connect: --cookie "sessionid=...".',
    ),
    Verdict(
        "not-a-websocket-view",
        "The address is that of a view that takes no WebSockets.",
        "Decorate the view with accept_websocket or require_websocket, or correct the address.",
    ),
    Verdict(
        "server-without-socket",
        "The server gives no access to its sockets, so that no view gets a WebSocket.",
        "Serve the project with one of the servers of the documentation, such as gunicorn with gthread.",
    ),
    Verdict(
        "asgi",
        "The project is served by an ASGI server, on which no view gets a WebSocket.",
        "Serve the WSGI application instead, such as with 'gunicorn --worker-class gthread --threads 64 "
        "project.wsgi', at least for the addresses of the WebSockets.",
    ),
    Verdict(
        "full",
        "The server has as many WebSockets as it may have.",
        "Raise WEBSOCKET_MAX_CONNECTIONS together with the threads of the server, or add a worker.",
    ),
    Verdict(
        "restarting",
        "The server is restarting, and asks clients to come back.",
        "Wait until it has started, and ask again.",
    ),
    Verdict(
        "wrong-accept",
        "The answer has the status 101, but belongs to another handshake.",
        "Find what answers in the place of the server, such as a cache, and make it pass handshakes on.",
    ),
    Verdict(
        "cut-when-idle",
        "The WebSocket opens, and is cut without a Close while it is silent.",
        "Make the timeout of the proxy longer than WEBSOCKET_PING_INTERVAL: nginx has 'proxy_read_timeout', HAProxy "
        "'timeout tunnel', Apache 'ProxyTimeout'.",
    ),
    Verdict(
        "killed",
        "The WebSocket opens, and is closed with 1011 after a while: the worker is killed, or the view raises an "
        "exception.",
        "Use a worker class that does not kill long requests: gunicorn's gthread, not sync. Otherwise the log of the "
        "server has the exception.",
    ),
    Verdict(
        "error",
        "Something else is wrong; the check that fails says what.",
        "Look into the log of the server, which has a line for each WebSocket that this package refuses. An answer "
        "without one is the project's own, for whose errors Django has a line, or that of a proxy.",
    ),
)
