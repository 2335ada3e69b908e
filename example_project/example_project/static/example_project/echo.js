import { Connection, REFUSED, isTrouble, list, meaning, showStatus, webSocketURL } from "./connection.js";
import { $, Log, clock, duration, make, restoreFocus, showError, size } from "./page.js";

const SHOWN = 600; // characters of a text, and
const PREVIEWED = 32; // bytes of a binary message in the log
const IMAGES = { "89504e47": "image/png", "ffd8ff": "image/jpeg", "47494638": "image/gif", "52494646": "image/webp" };

const connection = new Connection();
const log = new Log($("log"), $("log-empty"));
const encoder = new TextEncoder();
const waiting = []; // when each message left that has not come back
let sent = 0;
let received = 0;
let repeats = 0; // how often the text is still to be sent again

// The log

function write(direction, body, { type = "", meta = "" } = {}) {
  const label = { sent: "Sent", received: "Received", info: "Note", error: "Error" }[direction];
  log.add(make("li", { "data-direction": direction, "data-type": type },
    make("span", { class: "direction" }, make("span", { class: "unseen" }, label)),
    make("div", { class: "body" }, ...body),
    make("span", { class: "meta" }, meta),
    make("time", {}, clock())));
}

function excerpt(text) {
  if (text.length <= SHOWN) return [text];
  return [text.slice(0, SHOWN), make("em", {}, ` … and ${(text.length - SHOWN).toLocaleString("en")} more characters`)];
}

function preview(buffer) {
  const bytes = new Uint8Array(buffer.slice(0, PREVIEWED));
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"));
  const kind = Object.entries(IMAGES).find(([magic]) => hex.join("").startsWith(magic))?.[1];
  const shown = [make("code", {}, hex.join(" ") + (buffer.byteLength > PREVIEWED ? " …" : ""))];
  if (kind) {
    const image = make("img", { alt: `Preview of the ${kind.slice(6)} image`, src: URL.createObjectURL(new Blob([buffer], { type: kind })) });
    image.addEventListener("load", () => log.follow());
    image.addEventListener("error", () => image.remove());
    shown.push(image);
  }
  return shown;
}

function writeMessage(direction, data, latency) {
  const text = typeof data === "string";
  const bytes = text ? encoder.encode(data).length : data.byteLength;
  write(direction, text ? excerpt(data) : preview(data), {
    type: text ? "text" : "binary",
    meta: [text ? "text" : "binary", size(bytes), ...(latency === undefined ? [] : [duration(latency)])].join(" · "),
  });
}

function count() {
  $("sent").textContent = sent;
  $("received").textContent = received;
}

// The connection

showStatus(connection, $("status"));

connection.addEventListener("state", ({ detail: state }) => {
  for (const button of document.querySelectorAll("[data-while]")) {
    button.disabled = !button.dataset.while.split(" ").includes(state);
  }
});

connection.addEventListener("open", () => {
  $("subprotocol-accepted").textContent = connection.protocol || "none";
  write("info", [`Open${connection.protocol ? `, speaking ${connection.protocol}` : ""}`]);
  restoreFocus($("message"));
});

connection.addEventListener("message", ({ detail: data }) => {
  const latency = waiting.length ? performance.now() - waiting.shift() : undefined;
  received += 1;
  writeMessage("received", data, latency);
  if (repeats > 0 && connection.isOpen) { // one after the other, so that none waits for those before it
    repeats -= 1;
    send($("message").value);
  }
  count();
});

connection.addEventListener("close", ({ detail: { code, reason, opened } }) => {
  waiting.length = 0;
  repeats = 0;
  $("close-code").textContent = code;
  $("close-reason").textContent = reason || meaning(code);
  write(isTrouble(code) ? "error" : "info", [opened ? `Closed with ${code}, ${reason || meaning(code)}` : "Refused or unreachable"]);
  if (!opened) showError(REFUSED);
  restoreFocus($("connect"));
});

function connect() {
  showError();
  try {
    connection.open($("url").value, list($("subprotocol").value));
  } catch (error) {
    showError(error.message);
    return;
  }
  for (const id of ["subprotocol-accepted", "close-code", "close-reason"]) $(id).textContent = "–";
  write("info", [`Connecting to ${webSocketURL($("url").value)}`]);
}

$("connection").addEventListener("submit", (event) => {
  event.preventDefault();
  connect();
});

for (const chip of document.querySelectorAll(".chip")) {
  chip.addEventListener("click", () => {
    $("url").value = chip.dataset.url;
  });
}

$("closing").addEventListener("submit", (event) => {
  event.preventDefault();
  showError();
  try {
    if ($("code").value) connection.close(Number($("code").value), $("reason").value);
    else if ($("reason").value) connection.close(1000, $("reason").value);
    else connection.close();
  } catch (error) {
    showError(error.message);
  }
});

// Sending

function send(data) {
  try {
    waiting.push(performance.now());
    connection.send(data);
    sent += 1;
    writeMessage("sent", data);
  } catch (error) {
    waiting.pop();
    showError(error.message);
  }
  count();
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!connection.isOpen) return;
  send($("message").value);
  $("message").select();
});

$("message").addEventListener("keydown", (event) => {
  // On a screen keyboard, Enter breaks the line.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) return;
  event.preventDefault();
  $("composer").requestSubmit();
});

$("send-many").addEventListener("click", () => {
  repeats = 99;
  send($("message").value);
});

$("attachment").addEventListener("submit", async (event) => {
  event.preventDefault();
  showError();
  const [file] = $("file").files;
  if (!file) {
    showError("Choose a file first.");
    return;
  }
  try {
    const data = await file.arrayBuffer();
    if (connection.isOpen) send(data);
  } catch (error) {
    showError(`The file cannot be read: ${error.message}`);
  }
});

$("clear").addEventListener("click", () => {
  log.clear();
  sent = received = 0;
  count();
});

connect();
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) connect();
});
