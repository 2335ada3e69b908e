/** A WebSocket that comes back; the page "In the browser" of the documentation describes it. */
export class ReconnectingWebSocket extends EventTarget {
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;

  /**
   * Connect at once.
   *
   * @param url The address, relative to the page if it is no absolute one; `http` becomes `ws`. A function is called
   *   for every attempt; if it fails, so does the attempt.
   * @param protocols The subprotocols, as for `WebSocket`. A function is called for every attempt.
   * @throws {TypeError} An option or the address is wrong.
   * @throws {DOMException} What the constructor of `WebSocket` throws.
   */
  constructor(
    url: Address | (() => Address | Promise<Address>),
    protocols?: Protocols | (() => Protocols | Promise<Protocols>),
    options?: Options,
  );

  /** `CONNECTING` also while it waits to come back; `CLOSED` once it does not come back. */
  readonly readyState: 0 | 1 | 2 | 3;
  /** The address of the present attempt or of the last one; `""` before the first. */
  readonly url: string;
  /** Of the present connection or of the last one; `""` before the first. */
  readonly protocol: string;
  /** Of the present connection or of the last one; `""` before the first. */
  readonly extensions: string;
  /** The bytes that are not sent: those that wait for a connection, and those that the last one did not get rid of. */
  readonly bufferedAmount: number;
  /** Of all connections; another value is ignored. */
  binaryType: BinaryType;
  /** The number of attempts since a connection was stable. */
  readonly retries: number;

  /**
   * Send a message, or keep it until there is a connection.
   *
   * @throws {DOMException} `QuotaExceededError`: there is no connection, and as many as `queue` wait for one.
   */
  send(data: string | Blob | BufferSource): void;
  /**
   * Close for good, and drop what waits. Without a connection the `close` event has the code 1006.
   *
   * @throws {DOMException} `InvalidAccessError`, `SyntaxError`: the code or the reason is none that a page may send.
   *   This is not checked before the first attempt with an address of a function.
   */
  close(code?: number, reason?: string): void;
  /**
   * Give up the present connection, if there is one, and connect at once.
   *
   * @throws {DOMException} `InvalidStateError`: it is closed for good.
   */
  reconnect(): void;

  onopen: Handler<Event>;
  onmessage: Handler<GroupMessageEvent>;
  onerror: Handler<Event>;
  onclose: Handler<CloseEvent>;
  onreconnecting: Handler<CustomEvent<Reconnecting>>;
  ongap: Handler<CustomEvent<Gap>>;

  addEventListener<K extends keyof ReconnectingWebSocketEventMap>(
    type: K,
    listener: (this: ReconnectingWebSocket, event: ReconnectingWebSocketEventMap[K]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof ReconnectingWebSocketEventMap>(
    type: K,
    listener: (this: ReconnectingWebSocket, event: ReconnectingWebSocketEventMap[K]) => unknown,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

export interface Options {
  /** The longest first wait in milliseconds; that of each further attempt is twice as long. Default: 500. */
  min?: number;
  /** The longest wait in milliseconds. Default: 30000. */
  max?: number;
  /** Milliseconds after which an open connection counts as stable, so that waits begin with `min` again. Default: 5000. */
  stable?: number;
  /** The most messages that wait for a connection. Default: 100. */
  queue?: number;
  /** Milliseconds after which an attempt is given up. Default: 10000. */
  timeout?: number;
  /** The name of the parameter for a position of a group; `null`: envelopes are not unwrapped. Default: `"since"`. */
  since?: string | null;
  /** Whether it does not come back. Default: with 1000, 1002, 1003, 1007 to 1010, and 4000 to 4999. */
  final?: (code: number, reason: string) => boolean;
}

/** A message; one of a group with history has the name of the group and its position, too. */
export interface GroupMessageEvent extends MessageEvent<any> {
  readonly group?: string;
  readonly id?: string;
}

/** Why the connection was lost, and when it is tried again. */
export interface Reconnecting {
  code: number;
  reason: string;
  /** Milliseconds until the next attempt. */
  delay: number;
  /** The number of attempts since a connection was stable, the next one included. */
  retries: number;
}

/** Messages of a group that are missing. */
export interface Gap {
  group: string;
  /** The numbers of the first and the last one; `null` if they are not known. */
  gap: [number, number] | null;
}

export interface ReconnectingWebSocketEventMap {
  open: Event;
  message: GroupMessageEvent;
  error: Event;
  close: CloseEvent;
  reconnecting: CustomEvent<Reconnecting>;
  gap: CustomEvent<Gap>;
}

// Without this, everything would be exported.
export {};

type Address = string | URL;
type Protocols = string | string[];
type Handler<E> = ((this: ReconnectingWebSocket, event: E) => unknown) | null;
