import { $ } from "../example_project/page.js";
import { connect, countInTitle, fetchPage, showAnnouncement, when } from "./shared.js";

const me = $("me").textContent;
const unread = new Map(); // numbers of messages that have come since the page was opened, by room
let wasHere = false; // whether this page has been connected before

const find = (id) => $("rooms").querySelector(`[data-room="${Number(id)}"]`);

function showTime(row) {
  const time = row.querySelector("time");
  if (time.dateTime) time.textContent = when(new Date(time.dateTime));
}

function showUnread(id) {
  const badge = find(id)?.querySelector(".badge");
  if (!badge) return;
  badge.hidden = !unread.get(id);
  badge.querySelector(".number").textContent = unread.get(id);
}

function showHere(row, number) {
  const here = row.querySelector(".here");
  [here.dataset.here, here.textContent] = [number, `${number} here`];
}

const REACT = {
  said({ room, author, text, sent }) {
    const row = find(room);
    if (!row) return;
    row.querySelector(".author").textContent = author;
    row.querySelector(".text").textContent = text;
    row.querySelector("time").dateTime = sent;
    showTime(row);
    $("rooms").prepend(row);
    if (author === me) return;
    unread.set(room, (unread.get(room) ?? 0) + 1);
    showUnread(room);
    countInTitle([...unread.values()].reduce((sum, number) => sum + number));
  },
  opened({ id, name, url }) {
    if (find(id)) return;
    const row = $("room-row").content.firstElementChild.cloneNode(true);
    row.dataset.room = id;
    row.querySelector("a").href = url;
    row.querySelector(".name").textContent = name;
    $("rooms").append(row);
  },
  entered: ({ room, here }) => {
    const row = find(room);
    if (row) showHere(row, here);
  },
  announced: showAnnouncement,
  async ready() {
    // What was missed meanwhile: the list has no history, the page has it all.
    if (wasHere) {
      const page = await fetchPage();
      $("rooms").replaceChildren(...page.getElementById("rooms").children);
      for (const row of $("rooms").children) showTime(row);
      for (const id of unread.keys()) showUnread(id);
    }
    wasHere = true;
  },
};

connect($("rooms").dataset.url).addEventListener("message", ({ data }) => {
  for (const [event, content] of Object.entries(JSON.parse(data))) REACT[event]?.(content);
});

for (const row of $("rooms").children) showTime(row);
