// The browser module with a network and a clock of the test's own. tests/browser/test_websocket_js.py runs this file.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { readFileSync } from "node:fs";
import { makePage } from "./fakes.mjs";

const MODULE = new URL("../../../django_websocket/static/django_websocket/websocket.js", import.meta.url);
// The package has no package.json, without which Node would not take the file for a module.
const { ReconnectingWebSocket } = await import(`data:text/javascript;base64,${readFileSync(MODULE, "base64")}`);

const HOUR = 3_600_000;
const random = Math.random;
const { warn, error } = console;
let page;
let complaints;

beforeEach(() => {
  page = makePage();
  complaints = [];
  Math.random = () => 0.5;
  console.warn = console.error = (...words) => complaints.push(words.join(" "));
});

afterEach(() => {
  Math.random = random;
  Object.assign(console, { warn, error });
});

/** Return a socket with a list of its events: the type, and what the event tells. */
function connect(url = "/ws/", protocols = undefined, options = undefined) {
  const socket = new ReconnectingWebSocket(url, protocols, options);
  const events = [];
  for (const type of ["open", "message", "error", "close", "reconnecting", "gap"]) {
    socket.addEventListener(type, (event) => events.push([type, event.detail ?? event.data ?? event.code]));
  }
  return Object.assign(socket, { events, types: () => events.map(([type]) => type) });
}

const envelope = (group, id, data) => `{"group": "${group}", "id": "${id}", "data": ${JSON.stringify(data)}}`;
/** Wait until promises have been settled that need nothing else. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("the shape of a WebSocket", () => {
  test("constants and states", () => {
    const socket = connect();
    for (const where of [ReconnectingWebSocket, socket]) {
      assert.deepEqual([where.CONNECTING, where.OPEN, where.CLOSING, where.CLOSED], [0, 1, 2, 3]);
    }
    assert.ok(socket instanceof EventTarget);
    assert.equal(socket.readyState, 0);
    page.socket.open("chat");
    assert.equal(socket.readyState, 1);
    assert.equal(socket.protocol, "chat");
    assert.equal(socket.extensions, "");
    socket.close(4000, "enough");
    assert.equal(socket.readyState, 2);
    assert.deepEqual(page.socket.closed, { code: 4000, reason: "enough" });
    page.socket.lose(4000, "enough");
    assert.equal(socket.readyState, 3);
    assert.deepEqual(socket.events, [["open", undefined], ["close", 4000]]);
  });

  test("handlers and listeners get events with the socket as their target", () => {
    const socket = connect();
    const got = [];
    socket.onopen = function (event) {
      got.push([event.type, this === socket, event.target === socket]);
    };
    socket.onmessage = ({ data, origin }) => got.push([data, origin]);
    socket.onclose = ({ code, reason, wasClean }) => got.push([code, reason, wasClean]);
    page.socket.open();
    page.socket.say("hello");
    page.socket.lose(1000, "bye");
    assert.deepEqual(got, [["open", true, true], ["hello", "ws://site"], [1000, "bye", true]]);
  });

  test("a handler that is no function is kept, and not called", async () => {
    const socket = connect();
    const handler = { handleEvent: () => complaints.push("called") };
    socket.onopen = handler;
    socket.onreconnecting = undefined;
    page.socket.open();
    page.socket.lose();
    assert.equal(socket.onopen, handler);
    await settle(); // What a listener throws is reported later.
    assert.deepEqual(complaints, []);
  });

  test("handlers that the end of a connection calls can read its subprotocol", () => {
    const socket = connect();
    const read = [];
    socket.onreconnecting = socket.onclose = ({ type }) => read.push([type, socket.protocol, socket.url]);
    page.socket.open("chat");
    page.socket.lose();
    page.clock.advance(250);
    assert.equal(socket.protocol, "");
    page.socket.open("other");
    page.socket.lose(1000);
    assert.deepEqual(read, [["reconnecting", "chat", "wss://site/ws/"], ["close", "other", "wss://site/ws/"]]);
    assert.equal(socket.protocol, "other");
  });

  test("there is no other type of binary messages", async () => {
    const socket = connect(async () => "/ws/");
    for (const [type, expected] of [["bytes", "blob"], ["arraybuffer", "arraybuffer"], [null, "arraybuffer"]]) {
      socket.binaryType = type;
      assert.equal(socket.binaryType, expected);
    }
    await settle();
    assert.equal(page.socket.binaryType, "arraybuffer");
  });

  test("the type of binary messages holds for every connection", () => {
    const socket = connect();
    socket.binaryType = "arraybuffer";
    assert.equal(page.socket.binaryType, "arraybuffer");
    page.socket.lose();
    page.clock.advance(500);
    assert.equal(page.sockets.length, 2);
    assert.equal(page.socket.binaryType, "arraybuffer");
    assert.equal(socket.binaryType, "arraybuffer");
  });

  for (const [url, expected] of [
    ["/ws/", "wss://site/ws/"],
    ["ws/?a=b", "wss://site/room/7/ws/?a=b"],
    ["http://other:8000/x", "ws://other:8000/x"],
    ["wss://other/x", "wss://other/x"],
    [new URL("https://other/x"), "wss://other/x"],
  ]) {
    test(`the address ${url}`, () => {
      assert.equal(connect(url, ["a", "b"]).url, expected);
      assert.deepEqual(page.socket.protocols, ["a", "b"]);
    });
  }

  test("what a WebSocket does not take is an error at once", () => {
    assert.throws(() => connect("http://["), TypeError);
    assert.throws(() => connect("/ws/", "bad protocol"), { name: "SyntaxError" });
    assert.equal(page.clock.timers.size, 0);
    page.happen("online");
    assert.equal(page.sockets.length, 0);
  });

  for (const options of [{ minn: 5 }, { min: 0 }, { max: NaN }, { max: Infinity }, { timeout: "soon" }, { min: -1 }]) {
    test(`a wrong option: ${Object.keys(options)} ${Object.values(options)}`, () => {
      assert.throws(() => connect("/ws/", [], options), { name: "TypeError", message: /bad option (minn|min|max|timeout): / });
      assert.equal(page.sockets.length, 0);
    });
  }

  test("an option that is undefined has its default", () => {
    connect("/ws/", [], { min: undefined, final: undefined });
    page.socket.lose();
    page.clock.advance(249);
    assert.equal(page.sockets.length, 1);
    page.clock.advance(1);
    assert.equal(page.sockets.length, 2);
  });
});

describe("coming back", () => {
  test("each wait is random, and up to twice as long as the last", () => {
    const socket = connect();
    const delays = [];
    socket.onreconnecting = ({ detail }) => delays.push(detail.delay);
    for (let tries = 1; tries <= 9; tries++) {
      page.socket.lose();
      assert.equal(socket.retries, tries);
      page.clock.advance(delays.at(-1));
      assert.equal(page.sockets.length, tries + 1);
    }
    assert.deepEqual(delays, [250, 500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
    Math.random = () => 0;
    page.socket.lose();
    assert.equal(delays.at(-1), 0);
  });

  test("thousands of losses later the wait is still the longest one", () => {
    const socket = connect();
    socket.retries = 5000;
    page.socket.lose();
    assert.deepEqual(socket.events.at(-1)[1], { code: 1006, reason: "", delay: 15000, retries: 5001 });
  });

  test("only a connection that has lasted lets the waits begin anew", () => {
    const socket = connect("/ws/", [], { stable: 5000 });
    // A view that accepts, and then raises.
    for (const retries of [1, 2, 3]) {
      page.socket.open();
      page.clock.advance(4999);
      page.socket.lose(1011, "internal error");
      assert.equal(socket.retries, retries);
      page.clock.advance(socket.events.at(-1)[1].delay);
    }
    page.socket.open();
    page.clock.advance(5000);
    assert.equal(socket.retries, 0);
    page.socket.lose(1012, "restart");
    assert.deepEqual(socket.events.at(-1), ["reconnecting", { code: 1012, reason: "restart", delay: 250, retries: 1 }]);
    assert.equal(socket.readyState, 0);
  });

  for (const code of [1000, 1002, 1003, 1007, 1008, 1009, 1010, 4000, 4401, 4999]) {
    test(`${code} is final`, () => {
      const socket = connect();
      page.socket.open();
      page.socket.lose(code);
      assert.deepEqual(socket.types(), ["open", "close"]);
      assert.equal(page.clock.timers.size, 0);
      page.happen("online");
      page.happen("pageshow");
      page.show("visible");
      page.clock.advance(HOUR);
      assert.equal(page.sockets.length, 1);
      assert.equal(socket.readyState, 3);
      assert.throws(() => socket.reconnect(), { name: "InvalidStateError" });
    });
  }

  for (const code of [1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015, 3000, 3999, 5000]) {
    test(`${code} is not final`, () => {
      const socket = connect();
      page.socket.open();
      page.socket.lose(code);
      assert.deepEqual(socket.types(), ["open", "reconnecting"]);
      page.clock.advance(250);
      assert.equal(page.sockets.length, 2);
    });
  }

  test("the page decides what is final", () => {
    const asked = [];
    const final = (code, reason) => asked.push([code, reason]) && code === 1012;
    const socket = connect("/ws/", [], { final });
    page.socket.open();
    page.socket.lose(4401, "logged out");
    page.clock.advance(250);
    page.socket.open();
    page.socket.lose(1012, "restart");
    assert.deepEqual(asked, [[4401, "logged out"], [1012, "restart"]]);
    assert.deepEqual(socket.types(), ["open", "reconnecting", "open", "close"]);
  });

  test("an attempt without an answer is given up", () => {
    const socket = connect("/ws/", [], { timeout: 3000 });
    const [first] = page.sockets;
    page.clock.advance(2999);
    assert.equal(first.closed, null);
    page.clock.advance(1);
    assert.ok(first.closed);
    assert.deepEqual(socket.events, [["reconnecting", { code: 1006, reason: "timeout", delay: 250, retries: 1 }]]);
    page.clock.advance(250);
    page.socket.open();
    // Nothing that comes of the first one counts any more.
    first.lose();
    assert.deepEqual(socket.types(), ["reconnecting", "open"]);
    page.clock.advance(HOUR);
    assert.equal(page.sockets.length, 2);
  });

  test("failed attempts are errors, too", () => {
    const socket = connect();
    page.socket.lose();
    assert.deepEqual(socket.types(), ["error", "reconnecting"]);
  });

  test("it can be told to connect now", () => {
    const socket = connect();
    page.socket.open();
    const [first] = page.sockets;
    socket.reconnect();
    assert.ok(first.closed);
    first.say("late");
    assert.equal(socket.readyState, 0);
    assert.deepEqual(socket.types(), ["open"], "the page knows what it does");
    page.socket.lose();
    page.socket.lose();
    socket.reconnect();
    assert.equal(socket.retries, 0);
    page.socket.open();
    page.clock.advance(HOUR);
    assert.equal(page.sockets.length, 3);
    assert.ok(!socket.types().includes("message"));
  });

  test("an hour of sleep while it waits is followed by one attempt", () => {
    const socket = connect();
    page.socket.lose();
    page.clock.sleep(HOUR);
    assert.equal(page.sockets.length, 2);
    page.socket.open();
    page.clock.advance(HOUR);
    assert.equal(page.sockets.length, 2);
    assert.deepEqual(socket.types(), ["error", "reconnecting", "open"]);
  });

  test("an hour of sleep during an attempt", () => {
    const socket = connect();
    page.clock.sleep(HOUR);
    assert.deepEqual(socket.types(), ["reconnecting"]);
    page.happen("online");
    assert.equal(page.sockets.length, 2);
    page.clock.advance(250);
    assert.equal(page.sockets.length, 2);
  });

  test("an hour of sleep while it is open: it comes back for what it has missed", () => {
    const socket = connect();
    page.socket.open();
    page.socket.say(envelope("room", "0123abcd-7", "before"));
    page.clock.sleep(HOUR);
    assert.equal(page.sockets.length, 1);
    page.socket.lose(); // The browser notices it.
    assert.deepEqual(socket.events.at(-1)[1], { code: 1006, reason: "", delay: 250, retries: 1 });
    page.show("visible");
    assert.equal(page.sockets.length, 2);
    assert.equal(new URL(page.socket.url).searchParams.get("since"), "0123abcd-7");
  });
});

describe("the page", () => {
  test("it stays open while the page is hidden", () => {
    const socket = connect();
    page.socket.open();
    page.show("hidden");
    page.clock.advance(HOUR);
    assert.equal(socket.readyState, 1);
    page.show("visible");
    page.happen("pageshow");
    page.goOnline(false);
    page.goOnline(true);
    assert.equal(page.sockets.length, 1);
    assert.equal(page.socket.closed, null);
  });

  for (const [what, happen] of [
    ["it is shown", () => page.show("visible")],
    ["it is shown again from the cache", () => page.happen("pageshow")],
    ["it is online", () => page.goOnline(true)],
  ]) {
    test(`when ${what}, it tries at once, and once`, () => {
      connect();
      page.socket.lose();
      happen();
      assert.equal(page.sockets.length, 2);
      happen();
      assert.equal(page.sockets.length, 2);
      page.socket.open();
      page.clock.advance(HOUR);
      assert.equal(page.sockets.length, 2);
    });
  }

  test("in the cache for the way back it has no connection, and it comes back at once", () => {
    const socket = connect();
    page.socket.open();
    const [first] = page.sockets;
    page.happen("pagehide", { persisted: true });
    page.show("hidden");
    assert.ok(first.closed);
    assert.deepEqual(socket.events[1], ["reconnecting", { code: 1006, reason: "page left", delay: 250, retries: 1 }]);
    // The browser stops the clock of such a page, but perhaps not at once.
    page.clock.advance(HOUR);
    assert.equal(page.sockets.length, 1);
    first.lose();
    page.happen("pageshow", { persisted: true });
    page.show("visible");
    assert.equal(page.sockets.length, 2);
    page.socket.open();
    page.clock.advance(HOUR);
    assert.equal(page.sockets.length, 2);
    assert.deepEqual(socket.types(), ["open", "reconnecting", "open"]);
  });

  test("while it waits it is put into the cache", () => {
    const socket = connect();
    page.socket.lose();
    page.happen("pagehide", { persisted: true });
    page.clock.advance(HOUR);
    assert.equal(page.sockets.length, 1);
    page.happen("pageshow", { persisted: true });
    assert.equal(page.sockets.length, 2);
    assert.deepEqual(socket.types(), ["error", "reconnecting"]);
  });

  test("a page that is left for good is closed by the browser", () => {
    const socket = connect();
    page.socket.open();
    page.happen("pagehide", { persisted: false });
    assert.equal(page.socket.closed, null);
    page.socket.lose(1001);
    assert.deepEqual(socket.types(), ["open", "reconnecting"]);
  });

  test("a page that is put into the cache while it closes its socket", () => {
    const socket = connect();
    page.socket.open();
    socket.close();
    page.happen("pagehide", { persisted: true });
    page.happen("pageshow", { persisted: true });
    page.clock.advance(HOUR);
    assert.deepEqual(socket.types(), ["open", "close"]);
    assert.equal(page.sockets.length, 1);
  });

  test("when it is hidden, it does not try", () => {
    connect();
    page.socket.lose();
    page.show("hidden");
    assert.equal(page.sockets.length, 1);
    page.happen("online");
    assert.equal(page.sockets.length, 2);
  });

  test("without a network it waits for one", () => {
    const socket = connect();
    page.socket.open();
    page.goOnline(false);
    page.socket.lose();
    assert.equal(socket.events.at(-1)[1].delay, 30000);
    page.clock.advance(29999);
    assert.equal(page.sockets.length, 1);
    page.goOnline(true);
    assert.equal(page.sockets.length, 2);
  });

  test("a browser that is wrong about the network is no obstacle", () => {
    connect();
    page.navigator.onLine = false;
    page.socket.lose();
    page.clock.advance(30000);
    assert.equal(page.sockets.length, 2);
  });

  test("it keeps nothing of a socket that is closed", () => {
    const before = page.listeners.size;
    const socket = connect();
    assert.equal(page.listeners.size, before + 4);
    page.socket.lose(1000);
    assert.equal(page.listeners.size, before);
    assert.equal(socket.readyState, 3);
  });

  test("it works in a worker, which has no document", () => {
    delete globalThis.document;
    Object.defineProperty(globalThis, "location", { value: new URL("https://site/worker.js"), configurable: true });
    const socket = connect("ws/");
    assert.equal(socket.url, "wss://site/ws/");
    page.socket.lose();
    page.happen("online");
    assert.equal(page.sockets.length, 2);
    delete globalThis.location;
  });
});

describe("addresses of a function", () => {
  test("it is asked for every attempt", async () => {
    let tokens = 0;
    const socket = connect(() => `/ws/?token=${++tokens}`);
    assert.equal(socket.url, "");
    await settle();
    assert.equal(socket.url, "wss://site/ws/?token=1");
    page.socket.lose();
    page.clock.advance(250);
    await settle();
    assert.equal(socket.url, "wss://site/ws/?token=2");
  });

  for (const [what, url] of [
    ["throws", () => { throw new Error("no token"); }],
    ["rejects", async () => { throw new Error("no token"); }],
  ]) {
    test(`one that ${what} is a failed attempt, and is in the console`, async () => {
      const socket = connect(url);
      await settle();
      assert.deepEqual(socket.events, [
        ["reconnecting", { code: 1006, reason: "Error: no token", delay: 250, retries: 1 }],
      ]);
      assert.deepEqual(complaints, ["Error: no token"]);
      page.clock.advance(250);
      await settle();
      assert.equal(socket.retries, 2);
    });
  }

  test("a wrong address is a failed attempt, and is in the console", async () => {
    const socket = connect(async () => "http://[");
    await settle();
    assert.deepEqual(socket.types(), ["reconnecting"]);
    assert.match(complaints[0], /Invalid URL/);
  });

  test("one that never answers is given up", async () => {
    const socket = connect(() => new Promise(() => {}));
    await settle();
    page.clock.advance(10000);
    assert.equal(socket.events[0][1].reason, "timeout");
  });

  test("an answer that comes too late is not used", async () => {
    const answers = [];
    const socket = connect(() => new Promise((resolve) => answers.push(resolve)));
    page.clock.advance(10250);
    assert.equal(answers.length, 2);
    answers[0]("/late/");
    await settle();
    assert.equal(page.sockets.length, 0);
    answers[1]("/ws/");
    await settle();
    assert.equal(page.sockets.length, 1);
    assert.equal(socket.url, "wss://site/ws/");
  });

  test("a failure that comes too late is none", async () => {
    const failures = [];
    const socket = connect(() => new Promise((_, reject) => failures.push(reject)));
    page.clock.advance(10250);
    failures[0](new Error("late"));
    await settle();
    assert.deepEqual(socket.events.map(([, { reason }]) => reason), ["timeout"]);
  });

  test("closed meanwhile", async () => {
    const socket = connect(async () => "/ws/");
    socket.close();
    await settle();
    page.clock.advance(0);
    assert.equal(page.sockets.length, 0);
    assert.deepEqual(socket.events, [["close", 1006]]);
  });
});

describe("sending", () => {
  test("what waits is sent first, and before the page knows that it is open", () => {
    const socket = connect();
    socket.onopen = () => socket.send("third");
    socket.send("first");
    socket.send("second");
    assert.equal(socket.bufferedAmount, 11);
    page.socket.open();
    assert.deepEqual(page.socket.sent, ["first", "second", "third"]);
    assert.equal(socket.bufferedAmount, 0);
    page.socket.bufferedAmount = 5;
    assert.equal(socket.bufferedAmount, 5);
  });

  test("what is sent between the Close of the server and the end waits for the next connection", () => {
    const socket = connect();
    page.socket.open();
    page.socket.closing();
    assert.equal(socket.readyState, 0);
    socket.send("in the gap");
    page.socket.lose(1012);
    socket.send("while it waits");
    page.clock.advance(250);
    socket.send("while it connects");
    page.socket.open();
    assert.deepEqual(page.sockets.map(({ sent }) => sent), [[], ["in the gap", "while it waits", "while it connects"]]);
  });

  test("what waits survives attempts that fail", () => {
    const socket = connect();
    socket.send("patient");
    for (let tries = 0; tries < 5; tries++) {
      page.socket.lose();
      page.happen("online");
    }
    page.socket.open();
    assert.deepEqual(page.socket.sent, ["patient"]);
  });

  test("the queue has an end", () => {
    const socket = connect("/ws/", [], { queue: 2 });
    socket.send("one");
    socket.send("two");
    assert.throws(() => socket.send("three"), { name: "QuotaExceededError" });
    page.socket.open();
    for (let number = 0; number < 10; number++) socket.send("more");
    assert.equal(page.socket.sent.length, 12);
  });

  test("a hundred wait by default, none if so wished", () => {
    const socket = connect();
    for (let number = 0; number < 100; number++) socket.send("x");
    assert.throws(() => socket.send("x"), { name: "QuotaExceededError" });
    assert.throws(() => connect("/ws/", [], { queue: 0 }).send("x"), { name: "QuotaExceededError" });
  });

  test("bytes are those of the call", async () => {
    const socket = connect();
    const bytes = new Uint8Array([1, 2, 3, 4]);
    socket.send(bytes.subarray(1, 3));
    socket.send(bytes.buffer);
    bytes.fill(9);
    assert.equal(socket.bufferedAmount, 6);
    page.socket.open();
    const sent = await Promise.all(page.socket.sent.map((blob) => blob.arrayBuffer()));
    assert.deepEqual(sent.map((buffer) => [...new Uint8Array(buffer)]), [[2, 3], [1, 2, 3, 4]]);
    socket.send(bytes);
    assert.equal(page.socket.sent[2], bytes);
  });

  test("what cannot be sent any more is in the console, and counted", () => {
    const socket = connect();
    socket.send("waits");
    page.socket.lose(1008);
    socket.send("late");
    assert.deepEqual(complaints, ["not sent, the WebSocket is closed: late"]);
    assert.equal(socket.bufferedAmount, 5);
  });
});

describe("closing", () => {
  test("once, while it is open, whatever the code", () => {
    const socket = connect();
    page.socket.open();
    socket.close();
    socket.close();
    page.socket.lose(1005);
    assert.deepEqual(socket.events, [["open", undefined], ["close", 1005]]);
    assert.equal(page.clock.timers.size, 0);
  });

  for (const [what, bring, state] of [
    ["while it connects", () => {}, 0],
    ["while it is open", () => page.socket.open(), 1],
    ["while it waits", () => page.socket.lose(), 0],
    ["when it is closed", () => page.socket.lose(1000), 3],
  ]) {
    test(`a wrong code or reason is an error ${what}, and changes nothing`, () => {
      const socket = connect();
      bring();
      const before = socket.types();
      assert.throws(() => socket.close(1001), { name: "InvalidAccessError" });
      assert.throws(() => socket.close(4000, "ä".repeat(62)), { name: "SyntaxError" });
      assert.equal(socket.readyState, state);
      page.clock.advance(0);
      assert.deepEqual(socket.types(), before);
    });
  }

  test("the reason may be as long as that of a WebSocket", () => {
    const socket = connect();
    page.socket.lose();
    socket.close(4000, "x".repeat(123));
    page.clock.advance(0);
    assert.deepEqual(socket.events.at(-1), ["close", 1006]);
  });

  test("while it waits", () => {
    const socket = connect();
    page.socket.lose();
    socket.close();
    assert.equal(socket.readyState, 2);
    page.happen("online");
    assert.deepEqual(socket.types(), ["error", "reconnecting"]); // The page can still listen.
    page.clock.advance(0);
    assert.deepEqual(socket.events.at(-1), ["close", 1006]);
    page.clock.advance(HOUR);
    assert.equal(page.sockets.length, 1);
  });

  test("while it connects to a server that does not answer", () => {
    const socket = connect();
    socket.close();
    page.clock.advance(10000);
    assert.deepEqual(socket.events, [["close", 1006]]);
  });

  test("in the gap", () => {
    const socket = connect();
    page.socket.open();
    page.socket.closing();
    socket.close();
    page.socket.lose(1012);
    assert.deepEqual(socket.events.at(-1), ["close", 1012]);
  });

  test("by a listener", () => {
    const socket = connect();
    socket.onreconnecting = () => socket.close();
    page.socket.lose();
    page.clock.advance(HOUR);
    assert.deepEqual(socket.types(), ["error", "reconnecting", "close"]);
    assert.equal(page.sockets.length, 1);
  });
});

describe("groups with history", () => {
  const parameters = () => Object.fromEntries(new URL(page.socket.url).searchParams);
  const comeBack = () => {
    page.socket.lose(1012);
    page.happen("online");
    page.socket.open();
  };

  test("messages are what was sent, with the group and the position", () => {
    const socket = connect();
    const got = [];
    socket.onmessage = ({ data, group, id, origin }) => got.push([data, group, id, origin]);
    page.socket.open();
    page.socket.say(envelope("news", "0123abcd-1", "a \"text\"\nof two lines ☃"));
    page.socket.say('{"group": "a.b_c:d-e", "id": "0123abcd-2", "data": {"n": 12345678901234567890, "x": "}"}}');
    page.socket.say('{"group":"news","id":"0123abcd-3","data":null}');
    assert.deepEqual(got, [
      ["a \"text\"\nof two lines ☃", "news", "0123abcd-1", "ws://site"],
      ['{"n": 12345678901234567890, "x": "}"}', "a.b_c:d-e", "0123abcd-2", "ws://site"],
      ["null", "news", "0123abcd-3", "ws://site"],
    ]);
  });

  for (const text of [
    "hello",
    "{}",
    '{"group": "news"}',
    '{"group": "news", "id": 7, "data": 1}',
    '{"group": "news", "id": "7", "data": 1}',
    '{"group": "no name", "id": "0123abcd-1", "data": 1}',
    '{"group": "news", "id": "0123abcd-1", "data": "x" "y"}',
    '{"group": "news", "id": "0123abcd-1", "data": }',
    '{"group": "news", "gap": "wide"}',
    ' {"group": "news", "id": "0123abcd-1", "data": 1} ',
    '[{"group": "news", "id": "0123abcd-1", "data": 1}]',
  ]) {
    test(`no envelope: ${text}`, () => {
      const socket = connect();
      let event;
      socket.onmessage = (message) => { event = message; };
      page.socket.open();
      page.socket.say(text);
      assert.equal(event.data, text);
      assert.ok(!("group" in event));
      comeBack();
      assert.deepEqual(parameters(), {});
    });
  }

  test("bytes are no envelope", () => {
    const socket = connect();
    const { buffer } = new Uint8Array([1]);
    page.socket.open();
    page.socket.say(buffer);
    assert.equal(socket.events.at(-1)[1], buffer);
  });

  test("it comes back with the last position", () => {
    connect("/ws/?since=0123abcd-1&x=y");
    assert.deepEqual(parameters(), { since: "0123abcd-1", x: "y" });
    page.socket.open();
    comeBack();
    assert.deepEqual(parameters(), { since: "0123abcd-1", x: "y" });
    page.socket.say(envelope("news", "0123abcd-2", "a"));
    page.socket.say(envelope("news", "0123abcd-10", "b"));
    comeBack();
    assert.deepEqual(parameters(), { since: "0123abcd-10", x: "y", "since.news": "0123abcd-10" });
    comeBack();
    assert.deepEqual(parameters(), { since: "0123abcd-10", x: "y", "since.news": "0123abcd-10" });
  });

  test("several groups, each with a parameter of its own", () => {
    connect();
    page.socket.open();
    page.socket.say(envelope("news", "0123abcd-2", "a"));
    page.socket.say(envelope("user:7", "0123abcd-5", "b"));
    comeBack();
    assert.deepEqual(parameters(), {
      since: "several",
      "since.news": "0123abcd-2",
      "since.user:7": "0123abcd-5",
    });
  });

  test("of very many groups the last ones are kept", () => {
    connect();
    page.socket.open();
    for (let number = 0; number < 40; number++) {
      if (number <= 20) page.socket.say(envelope("first", `0123abcd-${number}`, ""));
      page.socket.say(envelope(`group${number}`, "0123abcd-1", ""));
    }
    comeBack();
    const names = Object.keys(parameters());
    assert.equal(names.length, 31);
    assert.ok(names.includes("since.first") && names.includes("since.group39") && !names.includes("since.group10"));
  });

  test("nothing comes twice", () => {
    const socket = connect();
    page.socket.open();
    page.socket.say(envelope("news", "0123abcd-1", "one"));
    page.socket.say(envelope("news", "0123abcd-9", "two"));
    comeBack();
    page.socket.say(envelope("news", "0123abcd-9", "two"));
    page.socket.say(envelope("news", "0123abcd-10", "three"));
    page.socket.say(envelope("other", "0123abcd-9", "other"));
    // Another epoch: the server has forgotten the group, and counts anew.
    page.socket.say(envelope("news", "9876fedc-1", "four"));
    const messages = socket.events.filter(([type]) => type === "message");
    assert.deepEqual(messages.map(([, data]) => data), ["one", "two", "three", "other", "four"]);
  });

  test("a gap is an event of its own", () => {
    const socket = connect();
    page.socket.open();
    page.socket.say('{"group": "news", "gap": [18, 117]}');
    page.socket.say('{"group": "news", "gap": null}');
    assert.deepEqual(socket.events.slice(1), [
      ["gap", { group: "news", gap: [18, 117] }],
      ["gap", { group: "news", gap: null }],
    ]);
  });

  test("the parameter may have another name", () => {
    connect("/ws/", [], { since: "from" });
    page.socket.open();
    page.socket.say(envelope("news", "0123abcd-1", "one"));
    comeBack();
    assert.deepEqual(parameters(), { from: "0123abcd-1", "from.news": "0123abcd-1" });
  });

  test("it can be turned off", () => {
    const socket = connect("/ws/", [], { since: null });
    page.socket.open();
    const text = envelope("news", "0123abcd-1", "one");
    page.socket.say(text);
    page.socket.say(text);
    page.socket.say('{"group": "news", "gap": null}');
    assert.deepEqual(socket.events.slice(1).map(([, data]) => data), [text, text, '{"group": "news", "gap": null}']);
    comeBack();
    assert.deepEqual(parameters(), {});
  });
});

describe("what pages do", () => {
  test("the address of the page changes before it comes back", () => {
    connect("?since=0123abcd-1");
    page.document.baseURI = "https://site/other/page/";
    page.socket.lose();
    page.clock.advance(HOUR);
    assert.equal(page.sockets.length > 1, true);
    assert.ok(page.sockets.every(({ url }) => url === "wss://site/room/7/?since=0123abcd-1"));
  });

  test("the address of a page has a fragment", () => {
    assert.equal(connect("https://site/room/7/?a=1#below").url, "wss://site/room/7/?a=1");
  });

  for (const data of [
    '{"group": "chat", "id": "0123abcd-12", "data": {"a": 1}, "user": "ann"}',
    '{"group": "chat", "id": "msg-12", "data": 1}',
    '{"group": "chat", "id": "0123abcd-1234567890123456", "data": 1}',
    '{"group": "chat", "gap": null, "more": 1}',
  ]) {
    test(`no envelope: ${data}`, () => {
      const socket = connect();
      page.socket.open();
      page.socket.say(data);
      page.socket.say(data);
      assert.deepEqual(socket.events.slice(1), [["message", data], ["message", data]]);
      page.socket.lose();
      page.clock.advance(HOUR);
      assert.equal(page.socket.url, "wss://site/ws/");
    });
  }

  test("subprotocols are asked for at each attempt", async () => {
    let number = 0;
    connect("/ws/", async () => {
      if (++number === 2) throw new Error("no token");
      return ["chat", `token-${number}`];
    });
    for (let attempt = 0; attempt < 3; attempt++) {
      await settle();
      if (attempt === 0) page.socket.lose();
      page.clock.advance(1000);
    }
    await settle();
    assert.deepEqual(page.sockets.map(({ protocols }) => protocols), [["chat", "token-1"], ["chat", "token-3"]]);
    assert.match(complaints[0], /no token/);
  });

  test("a final that throws does not decide", () => {
    const socket = connect("/ws/", [], { final: () => { throw new Error("a mistake"); } });
    page.socket.lose(1006);
    assert.deepEqual(socket.types(), ["error", "reconnecting"]);
    assert.match(complaints[0], /a mistake/);
  });

  test("a page that does not want to wait", () => {
    const socket = connect();
    socket.addEventListener("reconnecting", () => socket.reconnect());
    page.socket.lose();
    assert.equal(page.sockets.length, 2);
  });

  test("more groups than an address has room for", () => {
    const socket = connect();
    page.socket.open();
    for (let number = 0; number < 40; number++) page.socket.say(envelope(`g${number}`, "0123abcd-1", ""));
    page.socket.lose();
    page.clock.advance(500);
    page.socket.open();
    for (let number = 0; number < 40; number++) page.socket.say(envelope(`g${number}`, "0123abcd-1", ""));
    assert.equal(socket.types().filter((type) => type === "message").length, 40, "each is delivered once");
    assert.equal(new URL(page.socket.url).searchParams.size, 31);
  });

  for (const options of [{ stable: Infinity }, { stable: 2 ** 31 }, { queue: NaN }, { queue: "many" }, { queue: -1 }]) {
    test(`an option that makes no sense: ${Object.entries(options)}`, () => {
      assert.throws(() => connect("/ws/", [], options), TypeError);
    });
  }

  test("what is neither text nor bytes is text, whether it waits or not", () => {
    const socket = connect();
    for (const data of [null, [1, 2], new URL("https://site/")]) socket.send(data);
    page.socket.open();
    assert.deepEqual(page.socket.sent, ["null", "1,2", "https://site/"]);
  });

  test("an error without a close", () => {
    const socket = connect();
    page.socket.readyState = 3;
    page.socket.onerror(new Event("error"));
    page.clock.advance(1);
    assert.deepEqual(socket.types(), ["error", "reconnecting"]);
  });
});
