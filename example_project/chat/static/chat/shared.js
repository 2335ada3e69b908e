// What the pages of the chat have in common.

import { $, make } from "../example_project/page.js";

const DISMISSED = "dismissed announcement";

/** Fetch the present page again. */
export async function fetchPage() {
  const response = await fetch(location.href);
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

/** Write when something was, in the time of the reader: "12:30", or "26 Nov" if it was not today. */
export function when(date, now = new Date()) {
  return date.toDateString() === now.toDateString()
    ? date.toTimeString().slice(0, 5)
    : date.toLocaleDateString(undefined, { day: "numeric", month: "short" });
}

/** Make a coloured disc with the initials of a name. */
export function face(name) {
  const [first, last = ""] = name.split(" ").map((word) => Array.from(word)[0] ?? "");
  const disc = make("span", { class: "face", "aria-hidden": "true" }, `${first}${last}`.toUpperCase());
  let hash = 0;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)) % 360;
  disc.style.setProperty("--hue", hash);
  return disc;
}

/** Show the number of what is new in the title of the page. */
const TITLE = document.title;
export function countInTitle(number) {
  document.title = number ? `(${number}) ${TITLE}` : TITLE;
}

/** Show an announcement, unless it is known or was dismissed. */
export function showAnnouncement(announced) {
  const box = $("announced");
  if (!announced || announced.id <= Number(box.dataset.id)) return;
  box.dataset.id = announced.id;
  box.querySelector(".author").textContent = announced.author;
  box.querySelector(".text").textContent = announced.text;
  hideDismissed();
}

function hideDismissed() {
  const { id } = $("announced").dataset;
  $("announced").hidden = Number(id) <= Number(sessionStorage.getItem(DISMISSED));
}

$("dismiss").addEventListener("click", () => {
  sessionStorage.setItem(DISMISSED, $("announced").dataset.id);
  hideDismissed();
});
hideDismissed();
