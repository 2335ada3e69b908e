// One WebSocket at a time, with a state that a page can show.

const MEANINGS = {
  1000: "normal closure",
  1001: "going away",
  1002: "protocol error",
  1003: "unsupported data",
  1005: "no code given",
  1006: "no closing handshake",
  1007: "text was not UTF-8",
  1008: "policy violation",
  1009: "message too big",
  1010: "extension missing",
  1011: "the view raised an error",
  1012: "the server restarts",
  1013: "try again later",
  4401: "the session has ended",
};

export const meaning = (code) => MEANINGS[code] ?? (code >= 4000 ? "the application’s own code" : "a registered code");

/** Whether a close code speaks of something that went wrong. */
export const isTrouble = (code) => ![1000, 1001, 1005].includes(code) && code < 3000;

/** Turn a path or URL into a WebSocket URL of this page's host: wss where the page came by https. */
export function webSocketURL(pathOrURL) {
  const url = new URL(pathOrURL, location.href);
  url.protocol = { "http:": "ws:", "https:": "wss:" }[url.protocol] ?? url.protocol;
  if (!["ws:", "wss:"].includes(url.protocol)) throw new Error(`${url.protocol} is not a WebSocket URL.`);
  url.hash = "";
  return url.href;
}

/** Split what was typed as subprotocols. */
export const list = (text) => text.split(/[\s,]+/).filter(Boolean);

/**
 * Fires "state" (detail: the state), "open", "message" (detail: the data) and "close" (detail: code, reason, opened).
 * A connection may be opened again after its close.
 */
export class Connection extends EventTarget {
  #socket = null;
  state = "closed";

  constructor() {
    super();
    // A page that the reader has left may live on for the way back, and its WebSocket with it.
    addEventListener("pagehide", ({ persisted }) => {
      if (persisted) this.close(1000, "page left");
    });
  }

  get protocol() { return this.#socket?.protocol ?? ""; }
  get extensions() { return this.#socket?.extensions ?? ""; }
  get isOpen() { return this.state === "open"; }

  /** Connect; throws what `new WebSocket` throws at a wrong URL or subprotocol. */
  open(pathOrURL, subprotocols = []) {
    const socket = new WebSocket(webSocketURL(pathOrURL), subprotocols);
    let opened = false;
    this.#socket?.close();
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    const on = (type, react) => socket.addEventListener(type, (event) => {
      if (this.#socket === socket) react(event); // not one that has been replaced since
    });
    on("open", () => {
      opened = true;
      this.#become("open");
      this.#fire("open");
    });
    on("message", ({ data }) => this.#fire("message", data));
    on("close", ({ code, reason }) => {
      this.#become("closed");
      this.#fire("close", { code, reason, opened });
    });
    this.#become("connecting");
  }

  send(data) { this.#socket.send(data); }

  /** Close; throws at a code or reason that browsers do not allow. */
  close(code, reason) {
    if (code === undefined) this.#socket?.close();
    else this.#socket?.close(code, reason);
    if (this.state !== "closed") this.#become("closing");
  }

  #become(state) {
    this.state = state;
    this.#fire("state", state);
  }

  #fire(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}

const WORDS = {
  connecting: "Connecting",
  open: "Open",
  closing: "Closing",
  returning: "Coming back",
  closed: "Closed",
};

/** Show a state in words, and in its colour. */
export function showState(element, state) {
  element.dataset.state = state;
  element.textContent = WORDS[state];
}

/** Keep a status up to date. */
export function showStatus(connection, element) {
  connection.addEventListener("state", ({ detail }) => showState(element, detail));
}

/** Say what to make of a connection that never opened. */
export const REFUSED =
  "No WebSocket came about: the server refused it or cannot be reached. Browsers do not tell the reason; the server’s log does.";
