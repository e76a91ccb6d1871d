import { html } from "../vendor/preact.js";

/**
 * A sentence of the documentation; what stands between backticks is code.
 * @param {{ text?: string | null }} props
 */
export function Doc({ text }) {
  return (text ?? "").split("`").map((piece, i) => (i % 2 === 1 ? html`<code key=${i}>${piece}</code>` : piece));
}
