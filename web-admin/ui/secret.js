import { html } from "../vendor/preact.js";
import { CopyButton } from "./copy.js";

/**
 * A secret that the server shows this once and keeps nowhere.
 * @param {{ value: string, what: string, children?: any, onDone: () => void }} props
 */
export function Secret({ value, what, children, onDone }) {
  return html`
    <section class="secret card" aria-label=${what} role="status">
      <p><strong>${what}.</strong> It is shown only now: the server keeps no copy that could be read.</p>
      <p class="secret-value"><code class="mono wrap-anywhere">${value}</code></p>
      <div class="row">
        <${CopyButton} text=${value} label="Copy" words />
        <button type="button" onClick=${onDone}>I have kept it</button>
      </div>
      ${children}
    </section>
  `;
}
