import { showStatus } from "../example_project/connection.js";
import { $, make, showError } from "../example_project/page.js";
import { LastingConnection, STATES } from "./lasting.js";
import { face, fetchPage, showAnnouncement } from "./shared.js";
import { Talk } from "./talk.js";

const TYPING = 2000; // milliseconds between two signs that one is typing;
const TYPED = 4000; // without a further one, one has stopped

const me = $("me").textContent;
const talk = new Talk($("log"), $("log-empty"), $("new"), me);
const typing = new Map(); // timers, by name
let since; // the position of the newest message that came
let wasHere = false; // whether this page has been in the room before
let inSync = false; // whether all that was missed has come
let typed = -TYPING;

function readHistory(page) {
  const { position, messages } = JSON.parse(page.getElementById("history").textContent);
  since = position;
  return messages;
}

talk.add(readHistory(document), { history: true });

const connection = new LastingConnection(() => `${$("room").dataset.url}?${new URLSearchParams({ since })}`);
showStatus(connection, $("status"), STATES);

// What comes

const REACT = {
  said(message) {
    stopTyping(message.author);
    talk.add([message], { missed: wasHere && !inSync });
  },
  here(names) {
    $("here").replaceChildren(...names.map((name) => make("li", {}, face(name), make("span", {}, name))));
    for (const name of typing.keys()) if (!names.includes(name)) stopTyping(name);
  },
  typing(name) {
    clearTimeout(typing.get(name));
    typing.set(name, setTimeout(stopTyping, TYPED, name));
    showTyping();
  },
  announced: showAnnouncement,
  ready: comeIn,
};

connection.addEventListener("message", ({ detail }) => {
  const message = JSON.parse(detail);
  if ("gap" in message) {
    // More was missed than the group remembers. The database has it.
    fetchPage()
      .then((page) => talk.fillIn(readHistory(page)))
      .catch(() => showError("Some messages are missing here. Load the page again."));
    return;
  }
  if ("id" in message) since = message.id; // in an envelope, of the group with a history
  for (const [event, content] of Object.entries(message.data ?? message)) REACT[event]?.(content);
});

/** All that was missed has come. */
function comeIn() {
  [inSync, wasHere] = [true, true];
  $("send").disabled = false;
  const lost = talk.takeBack();
  if (!lost.length) return;
  $("message").value = [...lost, $("message").value].filter(Boolean).join("\n");
  showError("The connection was lost before this was sent.");
}

connection.addEventListener("close", () => {
  inSync = false;
  $("send").disabled = true;
  for (const name of [...typing.keys()]) stopTyping(name);
});

function stopTyping(name) {
  clearTimeout(typing.get(name));
  typing.delete(name);
  showTyping();
}

function showTyping() {
  const names = [...typing.keys()];
  const who = names.length > 2 ? `${names.length} people` : names.join(" and ");
  $("typing").textContent = names.length ? `${who} ${names.length === 1 ? "is" : "are"} typing` : "";
}

// What goes

function say() {
  const text = $("message").value.trim();
  if (!text || !inSync) return;
  showError();
  connection.send(text);
  talk.pend(text);
  $("message").value = "";
  typed = -TYPING;
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  say();
  $("message").focus();
});

$("message").addEventListener("input", () => {
  if (!inSync || !$("message").value.trim() || performance.now() - typed < TYPING) return;
  typed = performance.now();
  connection.send(""); // which says that one is typing
});

$("message").addEventListener("keydown", (event) => {
  // On a screen keyboard, Enter breaks the line.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) return;
  event.preventDefault();
  say();
});

connection.start();
