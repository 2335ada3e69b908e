// A WebSocket that comes back. The page "In the browser" of the documentation describes it.

const OPEN = 1, CLOSING = 2, CLOSED = 3;

const FINAL = [1000, 1002, 1003, 1007, 1008, 1009, 1010];

// Servers limit the length of an address.
const MOST_GROUPS = 30;

// What a group with history sends: its name, then the position and the data of a message, or which messages are missing.
const ENVELOPE =
  /^\{"group":\s*"([\w.:-]+)",\s*(?:"id":\s*"([0-9a-f]{8})-(\d{1,15})",\s*"data":\s*(.*)|"gap":\s*(null|\[\d+,\s*\d+\]))\}$/s;

const resolve = (url) => new URL(url, globalThis.document?.baseURI ?? location.href);

const isFunction = (value) => typeof value === "function";
const call = (value) => (isFunction(value) ? value() : value);

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
  #options;
  #socket;
  #tries = false; // not while it waits for the next attempt
  #turn = 0; // the number of the attempt
  #ended = 0; // CLOSING or CLOSED, if it does not come back
  #timer; // of the wait, then of the attempt, then of the time until a connection counts as stable
  #queue = [];
  #positions = new Map();
  #address = "";
  #binaryType = "blob";

  constructor(url, protocols = [], options = {}) {
    super();
    const { min = 500, max = 30000, timeout = 10000, stable = 5000, queue = 100, since = "since", ...others } = options;
    const { final = (code) => FINAL.includes(code) || (code > 3999 && code < 5000), ...unknown } = others;
    for (const [name, value] of Object.entries({ min, max, timeout, stable, queue: queue + 1, ...unknown })) {
      // A longer timer would run out at once.
      if (name in unknown || !(value > 0 && value < 2 ** 31)) throw new TypeError(`bad option ${name}: ${value}`);
    }
    for (const type of ["open", "message", "error", "close", "reconnecting", "gap"]) {
      this["on" + type] = null;
      this.addEventListener(type, (event) => this["on" + type]?.(event));
    }
    this.#url = isFunction(url) ? url : resolve(url);
    this.#protocols = protocols;
    this.#options = { min, max, timeout, stable, queue, since, final };
    this.#connect();
    this.#watch("addEventListener");
  }

  get readyState() {
    return this.#ended || (this.#isOpen() ? OPEN : 0);
  }

  get url() {
    return this.#address;
  }

  get protocol() {
    return this.#socket?.protocol ?? "";
  }

  get extensions() {
    return this.#socket?.extensions ?? "";
  }

  get bufferedAmount() {
    return new Blob(this.#queue).size + (this.#socket?.bufferedAmount ?? 0);
  }

  get binaryType() {
    return this.#binaryType;
  }

  set binaryType(type) {
    this.#binaryType = type;
    if (this.#socket) this.#socket.binaryType = type;
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
    if (this.#ended) return;
    this.#socket?.close(code, reason);
    this.#ended = CLOSING;
    if (this.#socket) return;
    this.#drop();
    setTimeout(() => this.#lost({}));
  }

  reconnect() {
    if (this.#ended) throw new DOMException("the WebSocket is closed", "InvalidStateError");
    this.retries = 0;
    this.#drop();
    this.#connect();
  }

  #isOpen() {
    return this.#socket?.readyState === OPEN;
  }

  #watch(how) {
    globalThis[how]("online", this.#wake);
    globalThis[how]("pageshow", this.#wake);
    globalThis.document?.[how]("visibilitychange", this.#wake);
  }

  #wake = ({ type }) => {
    const hidden = type === "visibilitychange" && document.visibilityState === "hidden";
    if (!this.#tries && !this.#ended && !hidden) this.#connect();
  };

  #wait(act, delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, delay);
  }

  #connect() {
    const turn = ++this.#turn;
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
    for (const [group, position] of [...this.#positions].slice(-MOST_GROUPS)) {
      const id = position.join("-");
      url.searchParams.set(`${since}.${group}`, id);
      // No position, so that a view that knows of one group only gets a gap.
      url.searchParams.set(since, this.#positions.size > 1 ? "several" : id);
    }
    const socket = new WebSocket(url, protocols);
    this.#socket = socket;
    this.#address = socket.url;
    socket.binaryType = this.#binaryType;
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
    const found = this.#options.since && typeof data === "string" && ENVELOPE.exec(data);
    let content;
    try {
      content = found && JSON.parse(data);
    } catch {
      // No envelope.
    }
    if (!content || Object.keys(content).length !== (found[5] ? 2 : 3))
      return this.dispatchEvent(new MessageEvent("message", { data, origin }));
    const [, group, epoch, number, raw, gap] = found;
    if (gap) return this.#tell("gap", { group, gap: content.gap });
    const [last, highest] = this.#positions.get(group) ?? [];
    if (epoch === last && +number <= +highest) return; // It has come before.
    this.#positions.delete(group);
    this.#positions.set(group, [epoch, number]);
    // The same text as without a history, so that long numbers keep their digits.
    const text = typeof content.data === "string" ? content.data : raw;
    const event = new MessageEvent("message", { data: text, origin });
    this.dispatchEvent(Object.assign(event, { group, id: `${epoch}-${number}` }));
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
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onerror = socket.onclose = null;
    socket.close();
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
