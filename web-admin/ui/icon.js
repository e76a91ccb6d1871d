// Icons of our own: paths on a grid of 16 by 16. They never stand alone: a word says the same.
import { html } from "../vendor/preact.js";

/** @type {Record<string, string>} */
const PATHS = {
  ok: "M3 8.5 6.5 12 13 4.5",
  warn: "M8 2 14.5 13.5H1.5ZM8 6.5v3.2M8 11.4v.6",
  bad: "M4 4l8 8M12 4l-8 8",
  info: "M8 1.8a6.2 6.2 0 1 0 .01 0ZM8 7.2v4M8 4.6v.6",
  clock: "M8 1.8a6.2 6.2 0 1 0 .01 0ZM8 4.5V8l2.5 1.8",
  due: "M3 8h9M8.5 4.2 12.5 8l-4 3.8",
  flight: "M2 8.2 14 2.5 10.2 14 7.6 9.2ZM14 2.5 7.6 9.2",
  lock: "M4 7.2h8v6.3H4ZM5.6 7.2V5a2.4 2.4 0 0 1 4.8 0v2.2",
  held: "M5.5 3.5v9M10.5 3.5v9",
  mailbox: "M2.5 4h11v8.5h-11ZM2.5 4.5 8 9l5.5-4.5",
  bounce: "M13 12.5V9a3 3 0 0 0-3-3H3.5M6.5 2.8 3.2 6l3.3 3.2",
  removed: "M3 4.5h10M6.2 4.5V2.8h3.6v1.7M4.3 4.5l.6 8.8h6.2l.6-8.8",
  unknown: "M5.6 5.8A2.4 2.4 0 1 1 8.9 8c-.7.4-.9.8-.9 1.6M8 12v.5",
  menu: "M2 4h12M2 8h12M2 12h12",
  search: "M7 2.2a4.8 4.8 0 1 0 .01 0ZM10.6 10.6 14 14",
  copy: "M5.5 5.5h8v8h-8ZM10.5 5.5v-3h-8v8h3",
  swap: "M2.5 5.5h10M9.8 2.8l2.7 2.7-2.7 2.7M13.5 10.5h-10M6.2 7.8l-2.7 2.7 2.7 2.7",
  right: "M6 3.5 10.5 8 6 12.5",
  plus: "M8 3v10M3 8h10",
  user: "M8 2.5a2.8 2.8 0 1 0 .01 0ZM2.8 13.5c.6-2.8 2.6-4.2 5.2-4.2s4.6 1.4 5.2 4.2",
  out: "M9.5 2.5h-6v11h6M6.5 8H14M11 5l3 3-3 3",
  busy: "M8 2a6 6 0 1 1-6 6",
};

/** @param {{ name: string }} props */
export function Icon({ name }) {
  return html`<svg class=${`icon icon-${name}`} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
    <path d=${PATHS[name] ?? PATHS.info} />
  </svg>`;
}
