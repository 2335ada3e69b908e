"""Pages that connect to the view ``waits`` of the site, each with another client, which all do so at the same time."""

from __future__ import annotations

MODULE = """<script type=module>
    import {{{{ ReconnectingWebSocket }}}} from "/static/django_websocket/websocket.js";
    {code}
</script>"""

#: The scripts that each client loads, and its part of the page, by its name in the documentation.
CLIENTS = {
    "a plain ``WebSocket``": ([], "<script>new WebSocket('{url}')</script>"),
    "``ReconnectingWebSocket``": ([], MODULE.format(code="new ReconnectingWebSocket('{url}');")),
    "htmx 2, ``ws``": (["htmx2.js", "htmx2-ws.js"], "<div hx-ext=ws ws-connect='{url}'><p id=ready></p></div>"),
    "htmx 4, ``hx-ws``": (["htmx4.js", "htmx4-ws.js"], "<div hx-ws:connect='{url}'><p id=ready></p></div>"),
    "Turbo, its element": (["turbo.js"], "<turbo-stream-source src='{url}'></turbo-stream-source>"),
    "Turbo, with ``ReconnectingWebSocket``": (
        ["turbo.js"],
        MODULE.format(code="Turbo.connectStreamSource(new ReconnectingWebSocket('{url}'));"),
    ),
}
NAMES = list(CLIENTS)

#: A clock that runs ten times as fast, and knows who waits for it; and the sockets, with what has happened to them.
#:
#: A client whose last socket is closed, and that has no timer, does not come back however long one looks.
RECORDER = """
<script>
    const timers = new Set(), sockets = [];
    const { setTimeout: begin, clearTimeout: stop } = window;
    window.setTimeout = (act, delay = 0, ...values) => {
        const timer = begin(() => { timers.delete(timer); act(...values); }, delay / 10);
        timers.add(timer);
        return timer;
    };
    window.clearTimeout = (timer) => { timers.delete(timer); stop(timer); };
    window.setInterval = () => { throw new Error("nobody would know whether it waits for this"); };
    window.WebSocket = class extends WebSocket {
        constructor(...values) {
            super(...values);
            sockets.push(this);
            this.addEventListener("message", () => { this.isGreeted = true; });
            this.addEventListener("close", ({ code }) => { this.code = code; });
        }
    };
    // An attempt that takes long by this clock is given up, and is none of these.
    const greeted = () => sockets.filter(({ isGreeted }) => isGreeted);
    window.isReady = () => sockets.at(-1)?.isGreeted && sockets.at(-1).readyState === 1;
    window.code = () => greeted()[0].code;
    window.outcome = () => {
        if (greeted().length > 1 && isReady()) return "comes back";
        return sockets.at(-1).code && !timers.size ? "stays closed" : "not known yet";
    };
</script>"""

ALL = "<!doctype html><link rel=icon href='data:,'><title>clients</title>" + "".join(
    f"<iframe src='/clients/{number}/'></iframe>" for number in range(len(CLIENTS))
)


def page(number: str, host: str) -> str:
    """Return the page of a client, which is an element of the page with all of them."""
    scripts, body = CLIENTS[NAMES[int(number)]]
    loaded = "".join(f"<script src='/static/{script}'></script>" for script in scripts)
    return f"<!doctype html>{RECORDER}{loaded}<body>{body.format(url=f'ws://{host}/waits/')}"
