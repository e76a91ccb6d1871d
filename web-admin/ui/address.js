// An address or a name that may be long: where it has to break, it breaks behind an @ or a dot.
import { html } from "../vendor/preact.js";

/** @param {{ of: string | null | undefined, none?: any }} props */
export function Address({ of, none = html`<span class="quiet">the null sender</span>` }) {
  if (!of) return none;
  const parts = of.split(/(?<=[@.])/);
  return html`<span class="address">${parts.map((part, place) => (place === 0 ? part : html`<wbr />${part}`))}</span>`;
}
