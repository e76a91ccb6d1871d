// What happens on the server, as it happens: one EventSource for the whole page, shared by all who listen.
// Who may not read events is told to look again every 15 seconds instead.
import { signal, useEffect, useRef } from "./vendor/preact.js";

/** Each topic with the right that it needs. @type {Record<string, string>} */
export const TOPICS = {
  queue: "queue:read", delivery: "trace:read", turn: "turn:read", job: "jobs:read", health: "events:read", audit: "audit:read",
};
const RETRY_MS = [1000, 2000, 5000, 10_000, 30_000];
const POLL_MS = 15_000;

/** @typedef {(topic: string, event: any) => void} Listener */

/** @type {import("./vendor/preact.js").Signal<"off" | "open" | "lost" | "polling">} */
export const connection = signal(/** @type {"off" | "open" | "lost" | "polling"} */ ("off"));

/** @type {Set<{ topics: string[], fn: Listener }>} */
const listeners = new Set();
/** @type {EventSource | null} */
let source = null;
let timer = 0;
let failures = 0;
/** What may be followed. @type {string[]} */
let allowed = [];

/**
 * Listens until the function that is returned is called. With the topic "reset" events were missed: look at everything
 * anew.
 * @param {string} topics with spaces between
 * @param {Listener} fn
 */
export function live(topics, fn) {
  const listener = { topics: topics.split(" "), fn };
  listeners.add(listener);
  if (connection.peek() === "off") start();
  return () => {
    listeners.delete(listener);
  };
}

/**
 * The same for as long as a component is shown; no topic: never.
 * @param {string} topics
 * @param {Listener} fn
 */
export function useLive(topics, fn) {
  const latest = useRef(fn);
  latest.current = fn;
  useEffect(() => (topics ? live(topics, (topic, event) => latest.current(topic, event)) : undefined), [topics]);
}

/** Begins anew: somebody has logged in, who may follow these. @param {string[]} topics */
export function restart(topics) {
  stop();
  allowed = topics;
  if (listeners.size > 0) start();
}

/** Nobody is logged in any more. */
export function stop() {
  source?.close();
  source = null;
  clearTimeout(timer);
  failures = 0;
  connection.value = "off";
}

function start() {
  if (allowed.length === 0) {
    connection.value = "polling";
    const poll = () => {
      if (!document.hidden) tell("reset", null);
      timer = setTimeout(poll, POLL_MS);
    };
    timer = setTimeout(poll, POLL_MS);
    return;
  }
  if (connection.peek() !== "lost") connection.value = "open";
  const wasLost = failures > 0;
  source = new EventSource(`/api/v1/events?topics=${allowed.join(",")}`);
  source.onopen = () => {
    connection.value = "open";
    failures = 0;
    if (wasLost) tell("reset", null);
  };
  source.onerror = () => {
    connection.value = "lost";
    // Else the browser tries again by itself, from where it was.
    if (source?.readyState !== EventSource.CLOSED) return;
    timer = setTimeout(start, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]);
    failures += 1;
  };
  for (const topic of allowed) {
    source.addEventListener(topic, (event) => tell(topic, JSON.parse(/** @type {MessageEvent} */ (event).data)));
  }
  source.addEventListener("reset", () => tell("reset", null));
}

/** @param {string} topic @param {any} event */
function tell(topic, event) {
  for (const listener of [...listeners]) {
    if (topic === "reset" || listener.topics.includes(topic)) listener.fn(topic, event);
  }
}
