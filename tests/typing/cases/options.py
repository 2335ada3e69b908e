"""The options of the decorators."""

from __future__ import annotations

from django_websocket import (
    MaybeWebSocketRequest,
    WebSocketOptions,
    WebSocketRequest,
    accept_websocket,
    require_websocket,
)


@require_websocket(
    subprotocols=["chat"],
    allowed_origins=("https://example.com",),
    require_origin=True,
    max_message_size=1000,
    max_fragments=10,
    compression={"level": 1, "context_takeover": False},
    ping_interval=0.5,
    ping_timeout=20,
    send_timeout=10,
    close_timeout=2.5,
)
def everything(request: WebSocketRequest) -> None: ...


@require_websocket(
    subprotocols=(),
    allowed_origins=None,
    max_message_size=None,
    max_fragments=None,
    compression=True,
    ping_interval=None,
    ping_timeout=None,
)
def nothing(request: WebSocketRequest) -> None: ...


OPTIONS: WebSocketOptions = {"close_timeout": 1}


@accept_websocket(**OPTIONS)
def shared(request: MaybeWebSocketRequest) -> None: ...


WebSocketOptions(compress=True)  # reported: both typeddict-unknown-key; pyright reportCallIssue


@require_websocket(subprotocol=["chat"])  # reported: both call-overload, untyped-decorator; pyright reportCallIssue
def misspelt(request: WebSocketRequest) -> None: ...


require_websocket(subprotocols="chat")  # reported: both call-overload; pyright reportArgumentType
require_websocket(max_message_size="1 MB")  # reported: both call-overload; pyright reportArgumentType
require_websocket(send_timeout=None)  # reported: both call-overload; pyright reportArgumentType
require_websocket(compression="gzip")  # reported: both call-overload; pyright reportArgumentType
accept_websocket(["chat"])  # reported: both call-overload; pyright reportArgumentType
