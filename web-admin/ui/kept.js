// What a desired state keeps is locked, until somebody wants to change it all the same.
import { html, useState } from "../vendor/preact.js";
import { Badge } from "./badge.js";
import { Icon } from "./icon.js";

/** What a change by hand comes to. */
const TOLD = "What is changed by hand is set back when the state is applied again: better change it there.";

/** @param {any} row */
const isKept = (row) => row?.managed_by === "state";

/** Beside a name. @param {{ row: any }} props */
export const Kept = ({ row }) => (isKept(row) ? html` <${Badge} kind="info" icon="lock">state file<//>` : null);

/** In a question before it is deleted. @param {{ row: any }} props */
export const KeptToo = ({ row }) => (isKept(row) ? html`<p>A state file keeps it: when that is applied again, it is made anew.</p>` : null);

/**
 * The lock of a thing.
 * @param {any} row
 * @param {boolean} [may] whether who looks may change it at all
 * @returns {{ isLocked: boolean, notice: any }} notice: what to show above its fields
 */
export function useLock(row, may = true) {
  const [isOpen, setOpen] = useState(false);
  const isLocked = isKept(row) && !isOpen;
  const notice = isKept(row) && html`<div class="note row"><${Icon} name="lock" /> <span class="grow">A state file keeps this. ${TOLD}</span>
    ${may && isLocked && html`<button type="button" class="small" onClick=${() => setOpen(true)}>Edit anyway</button>`}</div>`;
  return { isLocked, notice };
}
