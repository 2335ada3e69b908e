import { Connection, meaning, showStatus } from "./connection.js";
import { duration, make, median, restoreFocus } from "./page.js";

/** One side of an experiment: its answer, and how long its answers took. */
class Way {
  #times = [];

  constructor(element) { this.element = element; }

  find(name) { return this.element.querySelector(`.${name}`); }

  get median() { return this.#times.length ? median(this.#times) : 0; }

  /** Ask once: `ask` gives a promise of the answer. */
  async measure(ask) {
    const start = performance.now();
    try {
      this.#answer(await ask(), false);
    } catch (error) {
      this.#answer(error.message, true);
      return false;
    }
    const time = performance.now() - start;
    this.#times.push(time);
    this.find("last").textContent = duration(time);
    this.find("median").replaceChildren(duration(this.median), make("small", {}, ` of ${this.#times.length}`));
    return true;
  }

  #answer(text, failed) {
    this.find("answer").textContent = text;
    this.element.toggleAttribute("data-failed", failed);
  }
}

/** Questions over a WebSocket, which is opened at the first of them and stays open. */
class Questions {
  #connection = new Connection();
  #asked = [];

  constructor(url, status) {
    this.url = url;
    showStatus(this.#connection, status);
    this.#connection.addEventListener("message", ({ detail }) => this.#asked.shift()?.resolve(detail));
    this.#connection.addEventListener("close", ({ detail: { code, reason, opened } }) => {
      const text = opened ? `Closed with ${code}, ${reason || meaning(code)}` : "Refused or unreachable";
      for (const { reject } of this.#asked.splice(0)) reject(new Error(text));
    });
  }

  /** Open the connection where it is not: its handshake is no part of an answer's time. */
  async ready() {
    if (this.#connection.isOpen) return;
    if (this.#connection.state !== "connecting") this.#connection.open(this.url);
    await new Promise((resolve) => {
      for (const type of ["open", "close"]) this.#connection.addEventListener(type, resolve, { once: true });
    });
  }

  ask(message) {
    return new Promise((resolve, reject) => {
      if (!this.#connection.isOpen) throw new Error("Refused or unreachable");
      this.#asked.push({ resolve, reject });
      this.#connection.send(message);
    });
  }
}

async function askByHTTP(url, parameter, value) {
  const response = await fetch(`${url}?${new URLSearchParams({ [parameter]: value })}`);
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return response.text();
}

for (const form of document.querySelectorAll(".experiment")) {
  const { url, parameter } = form.dataset;
  const [http, webSocket] = Array.from(form.querySelectorAll(".way"), (element) => new Way(element));
  const questions = new Questions(url, form.querySelector(".status"));

  const ask = async (times) => {
    const value = form.elements[parameter].value;
    const buttons = form.querySelectorAll("button");
    for (const button of buttons) button.disabled = true;
    for (let number = 0; number < times; number += 1) {
      if (!await http.measure(() => askByHTTP(url, parameter, value))) break;
    }
    await questions.ready();
    for (let number = 0; number < times; number += 1) {
      if (!await webSocket.measure(() => questions.ask(value))) break;
    }
    const longest = Math.max(http.median, webSocket.median) || 1;
    for (const way of [http, webSocket]) way.find("bar").style.width = `${(100 * way.median) / longest}%`;
    for (const button of buttons) button.disabled = false;
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const focused = document.activeElement; // which a disabled button loses
    await ask(1);
    restoreFocus(focused);
  });
  form.querySelector(".ask-many").addEventListener("click", async ({ currentTarget }) => {
    await ask(50);
    restoreFocus(currentTarget);
  });
}
