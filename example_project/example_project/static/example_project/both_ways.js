import { Connection, meaning, showStatus } from "./connection.js";
import { restoreFocus } from "./page.js";

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

  /** Ask, and return the answer. */
  async ask(message) {
    await this.#opened();
    return new Promise((resolve, reject) => {
      if (!this.#connection.isOpen) throw new Error("Refused or unreachable");
      this.#asked.push({ resolve, reject });
      this.#connection.send(message);
    });
  }

  async #opened() {
    if (this.#connection.isOpen) return;
    this.#connection.open(this.url);
    await new Promise((resolve) => {
      for (const type of ["open", "close"]) this.#connection.addEventListener(type, resolve, { once: true });
    });
  }
}

async function askByHTTP(url, parameter, value) {
  const response = await fetch(`${url}?${new URLSearchParams({ [parameter]: value })}`);
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return response.text();
}

/** Show the answer of one way, or why there is none. */
async function show(way, ask) {
  const answer = way.querySelector(".answer");
  try {
    answer.textContent = await ask();
    way.toggleAttribute("data-failed", false);
  } catch (error) {
    answer.textContent = error.message;
    way.toggleAttribute("data-failed", true);
  }
}

for (const form of document.querySelectorAll(".experiment")) {
  const { url, parameter } = form.dataset;
  const [http, webSocket] = form.querySelectorAll(".way");
  const questions = new Questions(url, form.querySelector(".status"));
  const button = form.querySelector(".ask");

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const focused = document.activeElement; // which a disabled button loses
    const value = form.elements[parameter].value;
    button.disabled = true;
    await Promise.all([
      show(http, () => askByHTTP(url, parameter, value)),
      show(webSocket, () => questions.ask(value)),
    ]);
    button.disabled = false;
    restoreFocus(focused);
  });
}
