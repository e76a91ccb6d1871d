// A state as a word with an icon: never by colour alone.
import { html } from "../vendor/preact.js";
import { Icon } from "./icon.js";

export { Icon };

/** @type {Record<string, string>} */
const ICONS = { ok: "ok", warn: "warn", bad: "bad", info: "info", quiet: "", busy: "busy" };

/** @param {{ kind?: string, icon?: string, children?: any }} props kind: ok, warn, bad, info, quiet or busy */
export function Badge({ kind = "quiet", icon, children }) {
  const name = icon ?? ICONS[kind];
  return html`<span class=${`badge ${kind}`}>${name && html`<${Icon} name=${name} />`}${children}</span>`;
}
