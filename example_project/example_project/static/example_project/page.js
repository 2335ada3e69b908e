// What every page needs: elements, and how sizes and times are written.

export const $ = (id) => document.getElementById(id);

/** Make an element. Children that are strings become text, never HTML. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 ** 2) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

export function duration(milliseconds) {
  if (milliseconds < 9.95) return `${milliseconds.toFixed(1)} ms`;
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

export function clock(date = new Date()) {
  return `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** Show an error in the page's alert, or hide it with no text. */
export function showError(text = "") {
  $("error").textContent = text;
  $("error").hidden = !text;
}

/** Move the focus to an element if the one that had it has gone or been disabled; never take it from elsewhere. */
export function restoreFocus(element) {
  const { activeElement } = document;
  if (!activeElement || activeElement === document.body || activeElement.disabled) element.focus();
}

/** A list of at most `limit` rows that follows its end, unless the reader has scrolled away from it. */
export class Log {
  #list;
  #empty;
  #limit;
  #pending = [];
  #timer = 0;
  #following = true;

  constructor(list, empty, limit = 200) {
    this.#list = list;
    this.#empty = empty;
    this.#limit = limit;
    list.addEventListener("scroll", () => {
      this.#following = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    });
  }

  /** Append a row; a moment later and together with others, so that drawing delays no message. */
  add(row) {
    this.#pending.push(row);
    this.#timer ||= setTimeout(() => this.#draw(), 20);
  }

  /** Go to the end, as after something in it has grown. */
  follow() {
    if (this.#following) this.#list.scrollTop = this.#list.scrollHeight;
  }

  clear() {
    this.#pending = [];
    while (this.#list.firstChild) this.#drop(this.#list.firstChild);
    this.#empty.hidden = false;
    this.#following = true;
  }

  #draw() {
    this.#timer = 0;
    this.#empty.hidden = true;
    this.#list.append(...this.#pending.splice(0));
    while (this.#list.children.length > this.#limit) this.#drop(this.#list.firstElementChild);
    this.follow();
  }

  #drop(row) {
    for (const image of row.querySelectorAll("img")) URL.revokeObjectURL(image.src);
    row.remove();
  }
}
