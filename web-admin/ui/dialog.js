// Dialogs on <dialog>: the browser keeps the focus inside, closes with Escape and gives the focus back.
import { html, useEffect, useId, useRef, useState } from "../vendor/preact.js";
import { Icon } from "./icon.js";
import { ErrorBox } from "./state.js";

/** @param {{ title: any, open: boolean, onClose: () => void, footer?: any, wide?: boolean, children?: any }} props */
export function Dialog({ open, ...props }) {
  return open ? html`<${Shown} ...${props} />` : null;
}

/** @param {{ title: any, onClose: () => void, footer?: any, wide?: boolean, children?: any }} props */
function Shown({ title, onClose, footer, wide = false, children }) {
  const id = useId();
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    const dialog = box.current;
    const before = document.activeElement;
    dialog?.showModal();
    const first = dialog?.querySelector("[data-focus], .dialog-body :is(input, select, textarea, button):not(:disabled)");
    /** @type {HTMLElement | null | undefined} */ (first ?? dialog?.querySelector("h2"))?.focus();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  const cancel = (/** @type {Event} */ event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog ref=${box} class=${wide ? "wide" : ""} aria-labelledby=${id} onCancel=${cancel}>
    <header class="dialog-head">
      <h2 id=${id} tabindex="-1">${title}</h2>
      <button type="button" class="quiet icon-only" aria-label="Close" onClick=${onClose}><${Icon} name="bad" /></button>
    </header>
    <div class="dialog-body">${children}</div>
    ${footer && html`<footer class="row dialog-foot">${footer}</footer>`}
  </dialog>`;
}

/**
 * Asks before something is lost, and names it. It stays open with the error when it did not work.
 * @param {{ open: boolean, title: any, loses?: any, verb: string, danger?: boolean, typed?: string, wide?: boolean,
 *   disabled?: boolean, keep?: boolean, onConfirm: () => Promise<unknown>, onClose: () => void, children?: any }} props
 *   typed: what has to be typed first, for what can't be undone; keep: it stays open when it is done
 */
export function ConfirmDialog({ open, ...props }) {
  return open ? html`<${Confirm} ...${props} />` : null;
}

/** @param {any} props */
function Confirm({ title, loses, verb, danger = false, typed, wide, disabled = false, keep = false, onConfirm, onClose, children }) {
  const id = useId();
  const [text, setText] = useState("");
  const [error, setError] = useState(/** @type {any} */ (null));
  const [isBusy, setBusy] = useState(false);
  const run = async () => {
    setBusy(true);
    setError(null);
    try {
      await onConfirm();
      if (!keep) onClose();
    } catch (fault) {
      setError(fault);
    } finally {
      setBusy(false);
    }
  };
  const isReady = !disabled && !isBusy && (!typed || text.trim() === typed);
  const footer = html`
    <button type="button" onClick=${onClose} data-focus=${danger && !typed ? "" : undefined}>Cancel</button>
    <button type="button" class=${danger ? "danger" : "primary"} disabled=${!isReady} onClick=${run}
      data-focus=${danger ? undefined : ""}>${isBusy ? "Working…" : verb}</button>`;
  return html`<${Dialog} open title=${title} onClose=${onClose} footer=${footer} wide=${wide}>
    ${loses && html`<p class="loses"><${Icon} name="warn" /> <span>${danger ? "Lost for good: " : ""}<strong>${loses}</strong></span></p>`}
    ${children}
    ${typed && html`<div class="field"><label for=${id}>Type <code>${typed}</code> to go on</label>
      <input id=${id} data-focus autocomplete="off" spellcheck=${false} value=${text}
        onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} /></div>`}
    ${error && html`<${ErrorBox} error=${error} />`}
  <//>`;
}
