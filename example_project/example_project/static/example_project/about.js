import { Connection, REFUSED, list, meaning, showStatus } from "./connection.js";
import { $, duration, showError } from "./page.js";

const EVERY = 1000; // milliseconds between two questions
const SPAN = 30_000; // milliseconds that the chart shows
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
  const now = performance.now();
  const top = roundUp(Math.max(0.1, ...Object.values(times).flat().map(({ time }) => time)));
  for (const [name, series] of Object.entries(times)) {
    const points = series.map(({ at, time }) => `${300 * (1 - (now - at) / SPAN)},${100 * (1 - time / top)}`);
    $(`${name}-line`).setAttribute("points", [points[0], ...points].join(" ")); // a line of one point is not drawn
  }
  $("top").textContent = `${top} ms`;
  $("middle").textContent = `${top / 2} ms`;
  $("chart").setAttribute("aria-label", `Round trips of the last 30 seconds, on a scale from 0 to ${top} ms`);
}

/** Round up to a number for the end of a scale: 1, 2 or 5 with zeros, or a fraction of that kind. */
function roundUp(number) {
  const digits = Math.max(0, -Math.floor(Math.log10(number)));
  const power = 10 ** Math.floor(Math.log10(number));
  return Number(([1, 2, 5, 10].find((step) => step * power >= number) * power).toFixed(digits));
}

function keep(series, time) {
  const now = performance.now();
  series.push({ at: now, time });
  while (now - series[0].at > SPAN) series.shift();
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
  timer = setTimeout(ask, EVERY);
});

connection.addEventListener("close", ({ detail: { code, reason, opened } }) => {
  $("close-code").textContent = `${code}, ${reason || meaning(code)}`;
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
