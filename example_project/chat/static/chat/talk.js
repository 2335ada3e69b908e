import { make } from "../example_project/page.js";
import { countInTitle, face } from "./shared.js";

const LIMIT = 500; // messages, and rows
const TOGETHER = 5 * 60 * 1000; // milliseconds between two messages of one author that stand together

/** The rows of a conversation, and how many of them are new. */
export class Talk {
  #list;
  #empty;
  #jump;
  #me;
  #known = new Map(); // messages by id
  #pending = []; // what was sent and has not come back
  #last = null; // the message of the last row
  #unread = 0;
  #divider = null;
  #following = true;
  #timer = 0;

  constructor(list, empty, jump, me) {
    [this.#list, this.#empty, this.#jump, this.#me] = [list, empty, jump, me];
    empty.hidden = false;
    list.addEventListener("scroll", () => {
      this.#following = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
      this.#look();
    });
    jump.addEventListener("click", () => {
      this.#following = true;
      this.#look();
      this.#follow();
    });
    for (const type of ["keydown", "pointerdown"]) addEventListener(type, () => this.#look());
    document.addEventListener("visibilitychange", () => this.#look());
    new ResizeObserver(() => this.#follow()).observe(list);
  }

  /** Add messages that are not there yet; `missed`: the reader was away when they came. */
  add(messages, { missed = false, history = false } = {}) {
    for (const message of messages) {
      if (this.#known.has(message.id)) continue;
      this.#known.set(message.id, message);
      if (this.#known.size > LIMIT) this.#known.delete(this.#known.keys().next().value);
      if (message.author === this.#me) this.#settle(message.text);
      else if (!history && (missed || !this.#isLooking)) this.#count();
      this.#show(message);
    }
    this.#follow();
  }

  /** Add messages of the past, among those that are there. */
  fillIn(messages) {
    const missing = messages.filter(({ id }) => !this.#known.has(id));
    if (!missing.length) return;
    const shown = [...this.#known.values()];
    this.#list.replaceChildren();
    this.#known.clear();
    [this.#last, this.#divider, this.#unread] = [null, null, 0];
    const first = Math.min(...missing.map(({ id }) => id));
    this.add(shown.filter(({ id }) => id < first), { history: true });
    this.add([...missing, ...shown.filter(({ id }) => id > first)].sort((a, b) => a.id - b.id), { missed: true });
    for (const { row } of this.#pending) this.#list.append(row);
  }

  /** Show what is being sent. */
  pend(text) {
    this.#divider?.remove();
    this.#divider = null;
    const row = this.#makeRow({ author: this.#me, text, sent: new Date() });
    row.dataset.pending = "";
    row.setAttribute("aria-hidden", "true"); // A screen reader reads the row that takes its place.
    this.#pending.push({ text, row });
    this.#list.append(row);
    this.#empty.hidden = true;
    this.#following = true;
    this.#follow();
  }

  /** Take back what was sent and has not come back; gives the texts. */
  takeBack() {
    return this.#pending.splice(0).map(({ text, row }) => {
      row.remove();
      return text;
    });
  }

  #settle(text) {
    const index = this.#pending.findIndex((one) => one.text === text);
    if (index >= 0) this.#pending.splice(index, 1)[0].row.remove();
  }

  get #isLooking() { return document.visibilityState === "visible" && this.#following; }

  /** Count a new message, above which the divider stands. */
  #count() {
    if (!this.#divider) {
      this.#divider = make("li", { "data-event": "new" }, make("span", {}));
      this.#divider.dataset.count = 0;
      this.#append(this.#divider);
      this.#last = null;
    }
    this.#unread += 1;
    const count = Number(this.#divider.dataset.count) + 1;
    this.#divider.dataset.count = count;
    this.#divider.firstChild.textContent = `${count} new`;
    this.#showUnread();
  }

  #look() {
    if (this.#unread && this.#isLooking) {
      this.#unread = 0;
      this.#showUnread();
    }
  }

  #showUnread() {
    countInTitle(this.#unread);
    this.#jump.hidden = !this.#unread;
    this.#jump.textContent = `${this.#unread} new`;
  }

  #show(message) {
    const sent = new Date(message.sent);
    const before = this.#last && new Date(this.#last.sent);
    if (before?.toDateString() !== sent.toDateString() && !(this.#last === null && this.#divider)) {
      const day = sent.toLocaleDateString(undefined, { weekday: "long", day: "numeric", month: "long" });
      this.#append(make("li", { "data-event": "day" }, make("span", {}, day)));
      this.#last = null;
    }
    const row = this.#makeRow(message);
    const together = this.#last?.author === message.author && sent - before < TOGETHER;
    row.toggleAttribute("data-together", together);
    this.#append(row);
    this.#last = message;
  }

  #makeRow({ author, text, sent }) {
    const date = new Date(sent);
    const row = make("li", { "data-event": "said" },
      face(author),
      make("div", { class: "bubble" },
        make("span", { class: "name" }, author),
        make("span", { class: "body" }, text),
        make("time", { datetime: date.toISOString() }, date.toTimeString().slice(0, 5))));
    row.toggleAttribute("data-own", author === this.#me);
    return row;
  }

  /** Append a row, ahead of those that are pending. */
  #append(row) {
    this.#empty.hidden = true;
    const pending = this.#pending.find((one) => one.row.isConnected);
    if (pending) pending.row.before(row);
    else this.#list.append(row);
    while (this.#list.children.length > LIMIT) this.#list.firstElementChild.remove();
  }

  /** Go to the end, unless the reader has scrolled away from it. */
  #follow() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#following) this.#list.scrollTop = this.#list.scrollHeight;
    });
  }
}
