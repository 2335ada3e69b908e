import { $, make, showError } from "../example_project/page.js";
import { connect, face, fetchPage, showAnnouncement } from "./shared.js";
import { Talk } from "./talk.js";

const TYPING = 2000; // milliseconds between two signs that one is typing;
const TYPED = 4000; // without a further one, one has stopped

const me = $("me").textContent;
const talk = new Talk($("log"), $("log-empty"), $("new"), me);
const typing = new Map(); // timers, by name
const readHistory = (page) => JSON.parse(page.getElementById("history").textContent);
let wasHere = false; // whether this page has been in the room before
let inSync = false; // whether all that was missed has come
let filling; // a promise, which is kept when the page has the messages that the group does not remember
let losses = 0; // how often the connection was lost
let typed = -TYPING;

const { position, messages } = readHistory(document);
talk.add(messages, { history: true });
const socket = connect(`${$("room").dataset.url}?${new URLSearchParams({ since: position })}`);

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

socket.addEventListener("message", ({ data }) => {
  for (const [event, content] of Object.entries(JSON.parse(data))) REACT[event]?.(content);
});

socket.addEventListener("gap", () => {
  // More was missed than the group remembers. The database has it.
  filling = fetchPage()
    .then((page) => talk.fillIn(readHistory(page).messages))
    .catch(() => showError("Some messages are missing here. Load the page again."));
});

/** All that was missed has come, or is about to. */
async function comeIn() {
  const before = losses;
  await filling;
  if (losses !== before) return;
  [inSync, wasHere] = [true, true];
  $("send").disabled = false;
  const lost = talk.takeBack();
  if (!lost.length) return;
  $("message").value = [...lost, $("message").value].filter(Boolean).join("\n");
  showError("The connection was lost before this was sent.");
}

function goOut() {
  losses += 1;
  inSync = false;
  $("send").disabled = true;
  for (const name of [...typing.keys()]) stopTyping(name);
}

for (const type of ["reconnecting", "close"]) socket.addEventListener(type, goOut);

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

/** Whether a message goes at once: one that waited for a connection would be taken for lost, and said again. */
const canSend = () => inSync && socket.readyState === socket.OPEN;

function say() {
  const text = $("message").value.trim();
  if (!text || !canSend()) return;
  showError();
  socket.send(text);
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
  if (!canSend() || !$("message").value.trim() || performance.now() - typed < TYPING) return;
  typed = performance.now();
  socket.send(""); // which says that one is typing
});

$("message").addEventListener("keydown", (event) => {
  // On a screen keyboard, Enter breaks the line.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) return;
  event.preventDefault();
  say();
});
