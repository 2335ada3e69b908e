import { Connection, REFUSED, list, meaning, showStatus } from "./connection.js";
import { $, duration, showError } from "./page.js";

const EVERY = 1000; // milliseconds between two questions, but quicker at first
const KEPT = 60;
const VERSIONS = { 13: "13 (RFC 6455)", 8: "8 (hybi-08 to hybi-12)", 7: "7 (hybi-07)", 76: "hixie-76", 75: "hixie-75" };

const HOW = {
  version: (version) => VERSIONS[version] ?? version,
  offered_subprotocols: (offered) => offered.join(", "),
  latency: (seconds) => seconds !== null && duration(1000 * seconds),
  secure: (secure) => secure ? "yes, wss" : "no, ws",
  pages_seen: (pages) => pages === 1 ? "1 page seen" : `${pages} pages seen`,
};

const connection = new Connection();
const times = { ping: [], question: [] };
let asked = 0;
let timer = 0;
let answers = 0;

function show(fact, value) {
  const shown = HOW[fact] ? HOW[fact](value) : value;
  document.querySelector(`[data-fact="${fact}"]`).textContent = shown || "none";
}

function ask() {
  if (!connection.isOpen) return;
  asked = performance.now();
  connection.send("?");
}

function draw() {
  const highest = Math.max(...times.ping, ...times.question);
  for (const [name, series] of Object.entries(times)) {
    const first = KEPT - series.length; // the newest stands at the right end
    $(`${name}-line`).setAttribute("points",
      series.map((time, index) => `${(first + index) * (300 / (KEPT - 1))},${62 - (58 * time) / highest}`).join(" "));
  }
}

function keep(series, time) {
  series.push(time);
  if (series.length > KEPT) series.shift();
}

showStatus(connection, $("status"));

connection.addEventListener("state", ({ detail: state }) => {
  $("connect").disabled = state !== "closed";
  $("disconnect").disabled = state === "closed" || state === "closing";
});

connection.addEventListener("open", () => {
  show("extensions", connection.extensions);
  ask();
});

connection.addEventListener("message", ({ detail }) => {
  const time = performance.now() - asked;
  const facts = JSON.parse(detail);
  for (const [fact, value] of Object.entries(facts)) show(fact, value);
  show("round_trip", duration(time));
  keep(times.question, time);
  if (facts.latency !== null) keep(times.ping, 1000 * facts.latency);
  draw();
  answers += 1;
  timer = setTimeout(ask, answers < KEPT / 2 ? EVERY / 10 : EVERY);
});

connection.addEventListener("close", ({ detail: { code, reason, opened } }) => {
  $("close-code").textContent = `${code}, ${reason || meaning(code)}`;
  $("connect").textContent = "Reconnect";
  if (!opened) showError(REFUSED);
});

function connect() {
  clearTimeout(timer);
  showError();
  $("close-code").textContent = "–";
  try {
    connection.open(document.querySelector("[data-url]").dataset.url, list($("subprotocol").value));
  } catch (error) {
    showError(error.message);
  }
}

$("connection").addEventListener("submit", (event) => {
  event.preventDefault();
  connect();
});
$("disconnect").addEventListener("click", () => connection.close());

connect();
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) connect();
});
