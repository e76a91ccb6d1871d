// Small bars by hour, drawn as SVG, with the same in words for who does not see them.
import { html } from "../vendor/preact.js";
import { count } from "./format.js";

const WIDTH = 240;
const HEIGHT = 48;

/**
 * @param {{ label: string, values: { at: string, value: number }[], kind?: string }} props
 *   kind: ok, warn, bad or info: the colour
 */
export function Bars({ label, values, kind = "info" }) {
  const most = Math.max(1, ...values.map(({ value }) => value));
  const total = values.reduce((sum, { value }) => sum + value, 0);
  const step = WIDTH / Math.max(1, values.length);
  const peak = values.find(({ value }) => value === most && total > 0);
  const told = `${label}: ${count(total)} in ${values.length} hours${peak ? `, most at ${hour(peak.at)}: ${count(peak.value)}` : ""}`;
  return html`<figure class=${`bars ${kind}`}>
    <figcaption><span>${label}</span> <strong>${count(total)}</strong></figcaption>
    <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${told}>
      ${values.map(({ at, value }, place) => {
        const height = value === 0 ? 1 : Math.max(3, (value / most) * HEIGHT);
        return html`<rect key=${at} class=${value === 0 ? "none" : ""} x=${place * step + 1} y=${HEIGHT - height} width=${step - 2} height=${height}>
          <title>${hour(at)}: ${count(value)}</title></rect>`;
      })}
    </svg>
    <div class="bars-axis" aria-hidden="true"><span>24 h ago</span><span>now</span></div>
  </figure>`;
}

/** @param {string} at */
const hour = (at) => new Date(at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
