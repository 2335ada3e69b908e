// A page that uses everything that websocket.d.ts declares; tests/browser/test_websocket_js.py checks its types.

import { ReconnectingWebSocket, type Gap, type Options, type Reconnecting } from "./websocket.js";

const options: Options = {
  min: 500,
  max: 30_000,
  stable: 5000,
  queue: 100,
  timeout: 10_000,
  since: null,
  final: (code: number, reason: string): boolean => code === 1000 || reason === "enough",
};
const socket = new ReconnectingWebSocket("/ws/", ["a", "b"], options);
new ReconnectingWebSocket(new URL("wss://example.com/"), "a");
new ReconnectingWebSocket(() => "/ws/");
new ReconnectingWebSocket(async () => new URL("wss://example.com/"), [], { since: "from" });

const state: 0 | 1 | 2 | 3 = socket.readyState;
const constants: [0, 1, 2, 3] = [
  ReconnectingWebSocket.CONNECTING,
  ReconnectingWebSocket.OPEN,
  ReconnectingWebSocket.CLOSING,
  socket.CLOSED,
];
const texts: string[] = [socket.url, socket.protocol, socket.extensions];
const numbers: number[] = [socket.bufferedAmount, socket.retries];
socket.binaryType = "arraybuffer";

socket.send("text");
socket.send(new Uint8Array(1));
socket.send(new ArrayBuffer(1));
socket.send(new Blob([]));
socket.close();
socket.close(4000, "enough");
socket.reconnect();

socket.onopen = (event: Event) => console.log(event.type);
socket.onmessage = ({ data, group, id }) => console.log(data, group?.length, id?.length);
socket.onerror = null;
socket.onclose = ({ code, reason, wasClean }: CloseEvent) => console.log(code, reason, wasClean);
socket.onreconnecting = ({ detail }: CustomEvent<Reconnecting>) => console.log(detail.delay, detail.retries);
socket.ongap = ({ detail }: CustomEvent<Gap>) => console.log(detail.group, detail.gap?.[0]);

const listener = (event: CustomEvent<Reconnecting>) => console.log(event.detail.code, event.detail.reason);
socket.addEventListener("reconnecting", listener, { once: true });
socket.removeEventListener("reconnecting", listener);
socket.addEventListener("message", ({ data }) => console.log(data));
socket.addEventListener("gap", function ({ detail }) {
  console.log(this.readyState, detail.gap);
});
// Whatever takes an EventTarget takes it.
const target: EventTarget = socket;
console.log(state, constants, texts, numbers, target);

// @ts-expect-error: no such option
new ReconnectingWebSocket("/ws/", [], { minn: 5 });
// @ts-expect-error: a number is no message
socket.send(5);
// @ts-expect-error: it is read-only
socket.readyState = 1;
// @ts-expect-error: there is no such detail
socket.onreconnecting = ({ detail }) => console.log(detail.nothing);
// @ts-expect-error: it is of no use to others
export type { Handler } from "./websocket.js";
// @ts-expect-error: final returns whether
new ReconnectingWebSocket("/ws/", [], { final: "1000" });
