// What stands where there is nothing yet, nothing at all, or a refusal.
import { html } from "../vendor/preact.js";
import { Icon } from "./icon.js";

/** @param {{ what?: string }} props */
export function Loading({ what = "Loading" }) {
  return html`<p class="loading" role="status"><${Icon} name="busy" /> ${what}…</p>`;
}

/** @param {{ title: string, children?: any }} props */
export function EmptyState({ title, children }) {
  return html`<div class="empty"><p class="empty-title">${title}</p><div class="quiet">${children}</div></div>`;
}

/** What to do, where the server's words alone do not say it. @type {Record<number, string>} */
const ADVICE = {
  0: "Check that the server runs, then try again.",
  403: "Somebody with more rights can do it, or give them to you.",
  409: "Look at it again: it is in another state than it was.",
  412: "Somebody else has changed it meanwhile: look at what is there now, then make your change on it.",
  429: "Too many requests in a short time. Wait a little.",
  507: "Free some disk space, then try again.",
};

/** An error with the server's own words, and what to do. @param {{ error: any, retry?: () => void, verb?: string }} props verb: what retry does */
export function ErrorBox({ error, retry, verb = "Try again" }) {
  const title = error.title || (error.status === undefined ? "The page has a fault" : "That did not work");
  const faults = (error.faults ?? []).filter((/** @type {any} */ fault) => fault.message !== error.detail);
  return html`<div class="error-box" role="alert">
    <p><${Icon} name="bad" /> <strong>${title}.</strong> ${error.detail || (error.status === undefined && error.message)}</p>
    ${faults.length > 0 && html`<ul>${faults.map((/** @type {any} */ fault) => html`<li>${place(fault)}${fault.message}</li>`)}</ul>`}
    ${ADVICE[error.status] && html`<p>${ADVICE[error.status]}</p>`}
    ${error.instance && html`<p class="quiet">In the server's log it is <code>${error.instance}</code>.</p>`}
    ${retry && html`<button type="button" onClick=${retry}>${verb}</button>`}
  </div>`;
}

/** @param {any} fault */
function place(fault) {
  const name = fault.parameter ?? fault.pointer?.slice(1).replaceAll("/", " ");
  return name ? html`<code>${name}</code>: ` : null;
}
