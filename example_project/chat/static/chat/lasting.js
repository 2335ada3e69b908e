import { Connection } from "../example_project/connection.js";

const SHORTEST = 500; // milliseconds before the first attempt to come back; each further one waits twice as long
const LONGEST = 15_000;
const STABLE = 5000; // that a connection has to last for the waiting to begin anew
const ENDED = 4401; // the session
const LEAVING = 500; // milliseconds that the log-out may take to leave the page by itself

/** A connection that is opened again whenever it is lost, until the page is left or the session ends. */
export class LastingConnection extends Connection {
  #url;
  #opened = 0;
  #attempts = 0;
  #timer = 0;

  /** `url` is called for each attempt. */
  constructor(url) {
    super();
    this.#url = url;
    this.addEventListener("open", () => { this.#opened = performance.now(); });
    this.addEventListener("close", ({ detail }) => this.#lost(detail));
    addEventListener("online", () => this.start());
    addEventListener("pageshow", ({ persisted }) => { if (persisted) this.start(); });
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.start();
    });
  }

  /** Connect now, if there is no connection. */
  start() {
    clearTimeout(this.#timer);
    if (this.state === "closed" || this.state === "closing") this.open(this.#url());
  }

  async #lost({ code, opened }) {
    if (code === 1000) return; // the page was left
    if (code === ENDED) {
      setTimeout(() => location.reload(), LEAVING); // for the log-in
      return;
    }
    if (opened && performance.now() - this.#opened > STABLE) this.#attempts = 0;
    const delay = Math.min(LONGEST, SHORTEST * 2 ** this.#attempts) * (0.5 + Math.random() / 2);
    this.#attempts += 1;
    this.#timer = setTimeout(() => this.start(), delay);
    if (!opened) await this.#checkSession();
  }

  /** Browsers do not tell why a WebSocket was refused. A page does: without a session it redirects to the log-in. */
  async #checkSession() {
    try {
      const { type } = await fetch(location.href, { method: "HEAD", redirect: "manual" });
      if (type === "opaqueredirect") location.reload();
    } catch {
      // The server cannot be reached either.
    }
  }
}

/** How its status is shown. */
export const STATES = { closed: "returning" };
