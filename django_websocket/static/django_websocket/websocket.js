// A WebSocket that comes back. The page "In the browser" of the documentation describes it.

const OPEN = 1, CLOSING = 2, CLOSED = 3;

const FINAL = [1000, 1002, 1003, 1007, 1008, 1009, 1010];

const DEFAULTS = {
  min: 500,
  max: 30000,
  timeout: 10000,
  stable: 5000,
  queue: 100,
  since: "since",
  final: (code) => FINAL.includes(code) || (code >= 4000 && code < 5000),
};

// Servers limit the length of an address.
const MOST_GROUPS = 30;

// What a group with history sends: its name, then the position and the data of a message, or which messages are missing.
const ENVELOPE =
  /^\{"group":\s*"([\w.:-]+)",\s*(?:"id":\s*"([0-9a-f]{8}-\d{1,15})",\s*"data":\s*(.*)|"gap":\s*(null|\[\d+,\s*\d+\]))\}$/s;

const resolve = (url) => new URL(url, globalThis.document?.baseURI ?? location.href);

const isFunction = (value) => typeof value === "function";
const call = (value, ...given) => (isFunction(value) ? value.call(...given) : value);

export class ReconnectingWebSocket extends EventTarget {
  static CONNECTING = 0;
  static OPEN = OPEN;
  static CLOSING = CLOSING;
  static CLOSED = CLOSED;
  CONNECTING = 0;
  OPEN = OPEN;
  CLOSING = CLOSING;
  CLOSED = CLOSED;

  retries = 0;
  #url;
  #protocols;
  #options = { ...DEFAULTS };
  // The present one or the last one. Until there is one, what stands in for it.
  #socket = { url: "", protocol: "", extensions: "", bufferedAmount: 0, binaryType: "blob", close() {} };
  #tries = false; // not while it waits for the next attempt
  #turn = 0; // the number of the attempt
  #ended = 0; // CLOSING or CLOSED, if it does not come back
  #timer; // of the wait, then of the attempt, then of the time until a connection counts as stable
  #queue = [];
  #positions = new Map();

  constructor(url, protocols = [], options = {}) {
    super();
    for (const [name, value = DEFAULTS[name]] of Object.entries(options)) {
      const isNumber = DEFAULTS[name] > 0;
      // A longer timer would run out at once. None at all may wait.
      if (!(name in DEFAULTS) || (isNumber && !(value + (name === "queue") > 0 && value < 2 ** 31)))
        throw new TypeError(`bad option ${name}: ${value}`);
      this.#options[name] = value;
    }
    for (const type of ["open", "message", "error", "close", "reconnecting", "gap"]) {
      this["on" + type] = null;
      this.addEventListener(type, (event) => call(this["on" + type], this, event));
    }
    this.#url = isFunction(url) ? url : resolve(url);
    this.#protocols = protocols;
    this.#connect();
    this.#watch("addEventListener");
  }

  get readyState() {
    return this.#ended || (this.#isOpen() ? OPEN : 0);
  }

  get url() {
    return this.#socket.url;
  }

  get protocol() {
    return this.#socket.protocol;
  }

  get extensions() {
    return this.#socket.extensions;
  }

  get bufferedAmount() {
    return new Blob(this.#queue).size + this.#socket.bufferedAmount;
  }

  get binaryType() {
    return this.#socket.binaryType;
  }

  set binaryType(type) {
    if (["blob", "arraybuffer"].includes(type)) this.#socket.binaryType = type;
  }

  send(data) {
    if (this.#ended) console.warn("not sent, the WebSocket is closed:", data);
    // After a Close of the server, a socket that is not closed yet drops what it is to send.
    else if (this.#isOpen()) this.#socket.send(data);
    else if (this.#queue.length >= this.#options.queue) throw new DOMException("too many wait", "QuotaExceededError");
    // A Blob does not change when the page writes to its buffer again.
    else this.#queue.push(data?.byteLength >= 0 || data instanceof Blob ? new Blob([data]) : `${data}`);
  }

  close(code, reason) {
    // The last socket knows which codes and reasons are wrong, even if it is closed.
    this.#socket.close(code, reason);
    if (this.#ended) return;
    this.#ended = CLOSING;
    if (this.#socket.onclose) return;
    this.#drop();
    setTimeout(() => this.#lost({}));
  }

  reconnect() {
    if (this.#ended) throw new DOMException("the WebSocket is closed", "InvalidStateError");
    this.retries = 0;
    this.#connect();
  }

  #isOpen() {
    return this.#socket.readyState === OPEN;
  }

  #watch(how) {
    for (const type of ["online", "pagehide", "pageshow", "visibilitychange"]) globalThis[how](type, this.#look);
  }

  #look = ({ type, persisted }) => {
    if (type === "pagehide") {
      // The server would not notice that the browser only keeps the page for the way back.
      if (persisted && this.#tries) this.#lost({ reason: "page left" });
      clearTimeout(this.#timer);
    } else if (!this.#tries && !this.#ended && (type !== "visibilitychange" || !document.hidden)) this.#connect();
  };

  #wait(act, delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, delay);
  }

  #connect() {
    this.#drop();
    const turn = this.#turn;
    this.#tries = true;
    if (isFunction(this.#url) || isFunction(this.#protocols)) {
      // Whatever goes wrong here goes wrong later, when the page listens.
      (async () => {
        try {
          const given = [await call(this.#url), await call(this.#protocols)];
          if (turn === this.#turn) this.#open(...given);
        } catch (error) {
          console.error(error);
          await 0;
          if (turn === this.#turn) this.#lost({ reason: `${error}` });
        }
      })();
    } else this.#open(this.#url, this.#protocols);
    this.#wait(() => this.#lost({ reason: "timeout" }), this.#options.timeout);
  }

  #open(address, protocols) {
    const { since, stable } = this.#options;
    const url = resolve(address);
    url.protocol = url.protocol.replace("http", "ws");
    url.hash = "";
    for (const [group, id] of [...this.#positions].slice(-MOST_GROUPS)) {
      url.searchParams.set(`${since}.${group}`, id);
      // No position, so that a view that knows of one group only gets a gap.
      url.searchParams.set(since, this.#positions.size > 1 ? "several" : id);
    }
    const socket = new WebSocket(url, protocols);
    socket.binaryType = this.binaryType;
    this.#socket = socket;
    socket.onopen = () => {
      this.#wait(() => (this.retries = 0), stable);
      for (const data of this.#queue.splice(0)) socket.send(data);
      this.dispatchEvent(new Event("open"));
    };
    socket.onmessage = (event) => this.#receive(event);
    socket.onerror = () => {
      this.dispatchEvent(new Event("error"));
      // With a content security policy no "close" may follow.
      setTimeout(() => socket.readyState === CLOSED && socket.onclose?.({}));
    };
    socket.onclose = (event) => this.#lost(event);
  }

  #receive({ data, origin }) {
    const found = this.#options.since && ENVELOPE.exec(data);
    let content, more;
    try {
      content = found && JSON.parse(data);
    } catch {
      // No envelope.
    }
    if (content && Object.keys(content).length === (found[4] ? 2 : 3)) {
      const [, group, id, raw, gap] = found;
      if (gap) return this.#tell("gap", { group, gap: content.gap });
      const last = this.#positions.get(group) ?? "";
      // It has come before: the same epoch, of eight digits, and no higher number.
      if (last.startsWith(id.slice(0, 9)) && +id.slice(9) <= +last.slice(9)) return;
      this.#positions.delete(group);
      this.#positions.set(group, id);
      // The same text as without a history, so that long numbers keep their digits.
      data = typeof content.data === "string" ? content.data : raw;
      more = { group, id };
    }
    this.dispatchEvent(Object.assign(new MessageEvent("message", { data, origin }), more));
  }

  #lost({ code = 1006, reason = "", wasClean = false }) {
    const { min, max, final } = this.#options;
    this.#drop();
    let ends = this.#ended;
    try {
      ends ||= final(code, reason);
    } catch (error) {
      console.error(error);
    }
    if (ends) {
      this.#ended = CLOSED;
      this.#watch("removeEventListener");
      return this.dispatchEvent(new CloseEvent("close", { code, reason, wasClean }));
    }
    // All clients of a server are lost at once, and should not come back at once.
    const delay = navigator.onLine === false ? max : Math.random() * Math.min(max, min * 2 ** this.retries);
    this.#wait(() => this.#connect(), delay);
    this.#tell("reconnecting", { code, reason, delay, retries: ++this.retries });
  }

  #drop() {
    const socket = this.#socket;
    clearTimeout(this.#timer);
    this.#turn++;
    this.#tries = false;
    socket.onopen = socket.onmessage = socket.onerror = socket.onclose = null;
    socket.close();
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
