"""The remedies of refusals that are mistakes: sentences that tell whoever runs the site what to change.

They stand in the log, behind the reason of the refusal. None of them repeats what a client has sent, or the value of a
setting. With ``DEBUG`` they may therefore stand in the answer too.
"""

from __future__ import annotations

from typing import Final

#: The view has neither of the marks of the decorators.
UNMARKED_VIEW: Final = "decorate its view with accept_websocket or require_websocket"

#: The view has neither of the marks, and has answered with a redirect. A decorator may be inside.
REDIRECTING_VIEW: Final = (
    "the view answered with a redirect, as to the login page, before anything in it took the WebSocket; if nothing in "
    "it does, decorate it with accept_websocket or require_websocket"
)

#: A proxy has dropped the ``Upgrade``. Unlike the others, this one always stands in the answer too: the answer of a
#: server behind a proxy is what its owner sees first.
LOST_UPGRADE: Final = (
    "this handshake came without its Upgrade header, which a proxy in front of this server drops; nginx passes it on "
    "with 'proxy_set_header Upgrade $http_upgrade;' and 'proxy_set_header Connection \"upgrade\";', beside "
    "'proxy_http_version 1.1;'"
)

# The Host

MISSING_HOST: Final = "a proxy in front of this server has to pass the Host on"
#: The Host may as well be the address of this server, which a proxy has put in its place: see ``REPLACED_HOST``.
UNKNOWN_HOST: Final = "if that host is a name of this site, ALLOWED_HOSTS has to list it"

# The Origin

TLS_PROXY: Final = (
    "if a proxy in front of this server ends TLS, SECURE_PROXY_SSL_HEADER has to name the header in which it says so"
)
#: ``SECURE_PROXY_SSL_HEADER`` is set, but the request does not have what it says.
NO_TLS_HEADER: Final = (
    "SECURE_PROXY_SSL_HEADER is set, but the request lacks the header that it names; if a proxy in front of this "
    "server ends TLS, it has to send that header"
)
OTHER_TLS_HEADER: Final = (
    "SECURE_PROXY_SSL_HEADER is set, but the header that it names has another value; if a proxy in front of this "
    "server ends TLS, it has to send the value of the setting, and a proxy behind it has to pass that on"
)
LOST_PORT: Final = (
    "if a proxy in front of this server drops the port of the Host, it has to pass it on, as nginx does with "
    "'proxy_set_header Host $http_host;'"
)
REPLACED_HOST: Final = (
    "if a proxy in front of this server replaces the Host, it has to pass it on, as nginx does with "
    "'proxy_set_header Host $http_host;'"
)
#: Neither is the origin that of the site, nor is it in ``CSRF_TRUSTED_ORIGINS``.
NOT_TRUSTED: Final = "if that page is to connect, CSRF_TRUSTED_ORIGINS has to list its origin"
#: The origin is not in the list of this package that takes the place of ``CSRF_TRUSTED_ORIGINS``.
NOT_IN_ALLOWED_ORIGINS: Final = (
    "if that page is to connect, WEBSOCKET_ALLOWED_ORIGINS, or the view's allowed_origins, has to list its origin"
)
#: The page and the WebSocket differ in nothing but the name of the same machine.
OTHER_LOOPBACK_NAME: Final = (
    "the page has to be opened under the name that the WebSocket's address has: localhost and 127.0.0.1 are two hosts"
)
HTTP_PAGE: Final = "the page has to be opened by https, as the WebSocket is"
NO_ORIGIN: Final = (
    "sandboxed pages and local files have the origin 'null', which only WEBSOCKET_ALLOWED_ORIGINS = ['*'] allows"
)
