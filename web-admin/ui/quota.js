import { html } from "../vendor/preact.js";
import { bytes } from "./format.js";
import { Meter } from "./progress.js";

/**
 * How full an account is: a bar where there is a quota, else only the size.
 * @param {{ used: number, quota: number | null, label: string }} props
 */
export function Quota({ used, quota, label }) {
  if (!quota) return html`<span>${bytes(used)}</span>`;
  return html`
    <span class="quota">
      <${Meter} value=${used} max=${quota} label=${label} />
      <span>${bytes(used)} <span class="quiet">of ${bytes(quota)}</span></span>
    </span>
  `;
}
