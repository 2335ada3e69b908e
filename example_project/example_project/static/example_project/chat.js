import { Connection, REFUSED, meaning, showStatus } from "./connection.js";
import { $, Log, clock, make, restoreFocus, showError } from "./page.js";

const ADJECTIVES = ["Amber", "Brisk", "Calm", "Dapper", "Early", "Fair", "Gentle", "Happy", "Keen", "Lucky", "Quiet", "Sunny"];
const ANIMALS = ["Badger", "Crane", "Dolphin", "Finch", "Fox", "Hare", "Heron", "Lynx", "Otter", "Panda", "Robin", "Wren"];

const connection = new Connection();
const log = new Log($("log"), $("log-empty"));
const any = (names) => names[Math.floor(Math.random() * names.length)];

$("name").value = `${any(ADJECTIVES)} ${any(ANIMALS)}`;

showStatus(connection, $("status"));

connection.addEventListener("state", ({ detail: state }) => {
  $("send").disabled = state !== "open";
  $("connect").disabled = state !== "closed";
  $("name").readOnly = state !== "closed";
  $("disconnect").disabled = state === "closed" || state === "closing";
});

connection.addEventListener("open", () => $("message").focus());

connection.addEventListener("message", ({ detail }) => {
  const { event, name, text = "", members } = JSON.parse(detail);
  const row = make("li", { "data-event": event }, make("span", { class: "name" }, name));
  if (event === "said") {
    row.append(make("time", {}, clock().slice(0, 5)), make("div", { class: "body" }, text));
    if (name === $("name").value) row.dataset.own = "";
  } else {
    row.append(` ${event}`);
  }
  $("members").textContent = members;
  log.add(row);
});

connection.addEventListener("close", ({ detail: { code, reason, opened } }) => {
  $("close-code").textContent = `${code}, ${reason || meaning(code)}`;
  $("members").textContent = 0;
  $("connect").textContent = "Join again";
  if (!opened) showError(REFUSED);
  restoreFocus($("connect"));
});

$("connection").addEventListener("submit", (event) => {
  event.preventDefault();
  showError();
  $("close-code").textContent = "";
  try {
    connection.open(`${event.currentTarget.dataset.url}?${new URLSearchParams({ name: $("name").value })}`);
  } catch (error) {
    showError(error.message);
  }
});

$("disconnect").addEventListener("click", () => connection.close(1000));

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("message").value;
  if (!connection.isOpen || !text) return;
  connection.send(text);
  $("message").value = "";
});
