// Single keys as commands. They mean nothing while somebody types, while a dialog is open, or with Ctrl, Alt or Meta; and
// who does not want them can switch them off (WCAG 2.1.4).
import { signal } from "../vendor/preact.js";

const SWITCH = "pillarbox-keys-off";

/** Whether single keys are commands. */
export const keysAreOn = signal(localStorage.getItem(SWITCH) === null);

/** @param {boolean} isOn */
export function switchKeys(isOn) {
  if (isOn) localStorage.removeItem(SWITCH);
  else localStorage.setItem(SWITCH, "1");
  keysAreOn.value = isOn;
}

/**
 * Listens for keys until the function that is returned is called.
 * @param {(event: KeyboardEvent) => boolean | void} act true: the key had a meaning
 */
export function keysOn(act) {
  const hear = (/** @type {KeyboardEvent} */ event) => {
    if (!keysAreOn.peek() || event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    const target = /** @type {HTMLElement | null} */ (event.target instanceof HTMLElement ? event.target : null);
    const isTyping = target?.closest("textarea, select, [contenteditable], input:not([type=checkbox])");
    if (isTyping || document.querySelector("dialog[open]")) return;
    if (act(event)) event.preventDefault();
  };
  document.addEventListener("keydown", hear);
  return () => document.removeEventListener("keydown", hear);
}
