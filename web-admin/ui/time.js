// Times: relative as text, absolute in the title and for machines.
import { html, signal } from "../vendor/preact.js";

const TICK_MS = 15_000;
/** The present, for all relative times at once. */
const now = signal(Date.now());
setInterval(() => {
  now.value = Date.now();
}, TICK_MS);

const STEPS = /** @type {[number, string][]} */ ([[31_557_600, "y"], [86_400, "d"], [3600, "h"], [60, "min"]]);
const ABSOLUTE = new Intl.DateTimeFormat("en-GB", {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
});
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** "2 h 5 min". @param {number} seconds */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const place = STEPS.findIndex(([size]) => whole >= size);
  if (place < 0) return `${whole} s`;
  const [size, unit] = STEPS[place];
  const next = STEPS[place + 1];
  const rest = next ? Math.floor((whole % size) / next[0]) : 0;
  const first = `${Math.floor(whole / size)} ${unit}`;
  return next && rest > 0 && unit !== "y" && whole < size * 10 ? `${first} ${rest} ${next[1]}` : first;
}

/** "3 min ago", "in 2 h", "now". @param {number} at_ms @param {number} now_ms */
export function relative(at_ms, now_ms) {
  const seconds = (at_ms - now_ms) / 1000;
  if (Math.abs(seconds) < 10) return "now";
  return seconds < 0 ? `${duration(-seconds)} ago` : `in ${duration(seconds)}`;
}

/** "22 Nov 2026, 10:05:33 UTC", in the reader's own time zone. @param {string} at */
export const absolute = (at) => ABSOLUTE.format(new Date(at));

/** @param {{ at?: string | null, clock?: boolean, none?: string }} props clock: the time of day instead of "3 min ago" */
export function Time({ at, clock = false, none = "–" }) {
  if (!at) return none;
  const ms = Date.parse(at);
  const isToday = Math.abs(now.value - ms) < 18 * 3_600_000;
  const text = clock ? `${isToday ? "" : `${DAY.format(ms)}, `}${CLOCK.format(ms)}` : relative(ms, now.value);
  return html`<time datetime=${at} title=${absolute(at)}>${text}</time>`;
}

/** The end of something, as in "until 22 Nov, 10:05 (in 2 h)". @param {{ at: string }} props */
export function Until({ at }) {
  const ms = Date.parse(at);
  return html`<span>until <time datetime=${at} title=${absolute(at)}>${DAY.format(ms)}, ${MINUTE.format(ms)}</time> (${relative(ms, now.value)})</span>`;
}

/** @param {{ seconds: number }} props */
export const Duration = ({ seconds }) => html`<span title=${`${seconds} s`}>${duration(seconds)}</span>`;
