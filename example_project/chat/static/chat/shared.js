// What the pages of the chat have in common.

import { ReconnectingWebSocket } from "../django_websocket/websocket.js";
import { meaning, showState } from "../example_project/connection.js";
import { $, make, showError } from "../example_project/page.js";

const DISMISSED = "dismissed announcement";
const ENDED = 4401; // the session
const LEAVING = 500; // milliseconds that the log-out may take to leave the page by itself

/** Open a WebSocket that comes back. The page shows its state, and what to do once it does not come back. */
export function connect(url) {
  const socket = new ReconnectingWebSocket(url);
  const show = (state) => showState($("status"), state);
  show("connecting");
  socket.addEventListener("open", () => show("open"));
  socket.addEventListener("reconnecting", () => show("returning"));
  socket.addEventListener("close", ({ code, reason }) => {
    show("closed");
    if (code === ENDED) setTimeout(() => location.reload(), LEAVING); // for the log-in
    else showError(`The server has ended the connection: ${reason || meaning(code)}. Load the page again.`);
  });
  return socket;
}

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
