import { html } from "../vendor/preact.js";

/**
 * A JSON value as text that wraps.
 * @param {{ value: unknown, label: string }} props
 */
export function Json({ value, label }) {
  return html`<pre class="json" tabindex="0" role="region" aria-label=${label}>${JSON.stringify(value, null, 2)}</pre>`;
}

/**
 * A value of a field in one line: text as it is, the rest as JSON.
 * @param {unknown} value
 */
export function inline(value) {
  if (value === null || value === undefined) return "none";
  return typeof value === "string" ? value || "empty" : JSON.stringify(value);
}
