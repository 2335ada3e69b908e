// What a page has and Node has not: a network, a clock that can be set, a document, and being online.

/** A clock that stands still; `advance` lets timers run out in their order. */
export class Clock {
  now = 0;
  timers = new Map();
  #last = 0;

  set(act, delay = 0) {
    this.timers.set(++this.#last, { act, at: this.now + delay });
    return this.#last;
  }

  advance(milliseconds) {
    const end = this.now + milliseconds;
    for (;;) {
      const [next] = [...this.timers].filter(([, { at }]) => at <= end).sort((a, b) => a[1].at - b[1].at);
      if (!next) break;
      this.timers.delete(next[0]);
      this.now = Math.max(this.now, next[1].at);
      next[1].act();
    }
    this.now = end;
  }

  /** Let time pass while nothing runs: what is due afterwards is due at once. */
  sleep(milliseconds) {
    this.now += milliseconds;
    this.advance(0);
  }
}

/** The socket of the browser, whose server is the test. */
class FakeWebSocket {
  static made = [];
  readyState = 0;
  protocol = "";
  extensions = "";
  bufferedAmount = 0;
  sent = [];
  closed = null;
  #binaryType = "blob";

  constructor(url, protocols) {
    if ([protocols].flat().includes("bad protocol")) throw new DOMException("bad", "SyntaxError");
    Object.assign(this, { url: String(url), protocols });
    FakeWebSocket.made.push(this);
  }

  get binaryType() {
    return this.#binaryType;
  }

  set binaryType(type) {
    if (["blob", "arraybuffer"].includes(type)) this.#binaryType = type;
  }

  send(data) {
    // As browsers do: an error before it is open; behind it, the data are dropped.
    if (this.readyState === 0) throw new DOMException("still connecting", "InvalidStateError");
    if (this.readyState === 1) this.sent.push(data);
  }

  close(code, reason) {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code < 5000)) {
      throw new DOMException("bad code", "InvalidAccessError");
    }
    if (new Blob([reason ?? ""]).size > 123) throw new DOMException("long reason", "SyntaxError");
    if (this.readyState < 2) {
      this.readyState = 2;
      this.closed = { code, reason };
    }
  }

  // What the server does

  open(protocol = "") {
    this.readyState = 1;
    this.protocol = protocol;
    this.onopen(new Event("open"));
  }

  say(data) {
    this.onmessage?.(new MessageEvent("message", { data, origin: "ws://site" }));
  }

  /** The Close of the server has come; the connection is not closed yet. */
  closing() {
    this.readyState = 2;
  }

  lose(code = 1006, reason = "", wasClean = code !== 1006) {
    const failed = this.readyState === 0;
    this.readyState = 3;
    if (failed) this.onerror?.(new Event("error"));
    this.onclose?.(new CloseEvent("close", { code, reason, wasClean }));
  }
}

class FakeCloseEvent extends Event {
  constructor(type, { code, reason, wasClean }) {
    super(type);
    Object.assign(this, { code, reason, wasClean });
  }
}

class FakeCustomEvent extends Event {
  constructor(type, { detail }) {
    super(type);
    this.detail = detail;
  }
}

/** A target that lists who listens. */
class ListingTarget extends EventTarget {
  listeners = new Set();

  addEventListener(type, listener) {
    this.listeners.add(type);
    super.addEventListener(type, listener);
  }

  removeEventListener(type, listener) {
    this.listeners.delete(type);
    super.removeEventListener(type, listener);
  }
}

/** Make the globals of a page anew; return what a test moves in them. */
export function makePage() {
  const clock = new Clock();
  const page = new ListingTarget();
  const document = { baseURI: "https://site/room/7/", hidden: false };
  const navigator = { onLine: true };
  FakeWebSocket.made = [];
  const globals = {
    WebSocket: FakeWebSocket,
    CloseEvent: FakeCloseEvent,
    CustomEvent: FakeCustomEvent,
    document,
    navigator,
    addEventListener: page.addEventListener.bind(page),
    removeEventListener: page.removeEventListener.bind(page),
    setTimeout: (act, delay) => clock.set(act, delay),
    clearTimeout: (timer) => clock.timers.delete(timer),
  };
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  return {
    clock,
    document,
    listeners: page.listeners,
    navigator,
    sockets: FakeWebSocket.made,
    get socket() {
      return FakeWebSocket.made.at(-1);
    },
    happen: (type, more = {}) => page.dispatchEvent(Object.assign(new Event(type), more)),
    show(state) {
      document.hidden = state === "hidden";
      page.dispatchEvent(new Event("visibilitychange")); // It bubbles.
    },
    goOnline(online) {
      navigator.onLine = online;
      page.dispatchEvent(new Event(online ? "online" : "offline"));
    },
  };
}
