// Short messages at the edge, read out by screen readers; errors stay until they are closed.
import { html, signal } from "../vendor/preact.js";
import { Icon } from "./icon.js";

const SHOWN_MS = 6000;

/** @typedef {{ id: number, kind: "ok" | "bad", text: string, action?: { label: string, run: () => void } }} Toast */
/** @type {import("../vendor/preact.js").Signal<Toast[]>} */
const toasts = signal(/** @type {Toast[]} */ ([]));
let last = 0;

/** @param {string} text @param {Toast["action"]} [action] */
export function toast(text, action) {
  const id = show({ kind: "ok", text, action });
  setTimeout(() => close(id), SHOWN_MS);
}

/** @param {any} error */
toast.error = (error) => {
  show({ kind: "bad", text: error?.message ?? String(error) });
};

export function Toasts() {
  const one = (/** @type {Toast} */ { id, kind, text, action }) => html`<div key=${id} class=${`toast ${kind}`}>
    <${Icon} name=${kind} /> <span>${text}</span>
    ${action && html`<button type="button" class="quiet" onClick=${() => { close(id); action.run(); }}>${action.label}</button>`}
    <button type="button" class="quiet icon-only" aria-label="Close the message" onClick=${() => close(id)}><${Icon} name="bad" /></button>
  </div>`;
  const of = (/** @type {string} */ kind) => toasts.value.filter((toast) => toast.kind === kind).map(one);
  return html`<div class="toasts">
    <div role="status">${of("ok")}</div>
    <div role="alert">${of("bad")}</div>
  </div>`;
}

/** @param {Omit<Toast, "id">} toast */
function show(toast) {
  last += 1;
  toasts.value = [...toasts.value.slice(-4), { id: last, ...toast }];
  return last;
}

/** @param {number} id */
function close(id) {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}
