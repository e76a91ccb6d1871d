import { html, useId, useState } from "../vendor/preact.js";
import { JsonInput } from "./checks.js";
import { useFault, useReadOnly } from "./form.js";

const UNITS = /** @type {[number, string][]} */ ([[1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "bytes"]]);

/**
 * A size with its unit; empty is no limit. The form gets octets, or null.
 * @param {{ label: string, name: string, value: number | null, hint?: string, none?: string }} props none: what an empty box means
 */
export function SizeField({ label, name, value, hint, none = "no limit" }) {
  const id = useId();
  const isReadOnly = useReadOnly();
  const fault = useFault(`/${name}`);
  const fitting = UNITS.find(([octets]) => value !== null && value >= octets && value % octets === 0)?.[0] ?? (value === null ? 1e9 : 1);
  const [unit, setUnit] = useState(fitting);
  const [amount, setAmount] = useState(value === null ? "" : String(value / fitting));
  const octets = amount.trim() === "" ? null : Math.round(Number(amount) * unit);
  const told = [`${id}-hint`, fault && `${id}-fault`].filter(Boolean).join(" ");
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      <div class="row size-row">
        <${JsonInput} name=${name} value=${octets} />
        <input id=${id} type="number" min="0" step="any" inputmode="decimal" value=${amount} disabled=${isReadOnly} placeholder=${none} aria-describedby=${told}
          aria-invalid=${fault ? "true" : undefined} onInput=${(/** @type {any} */ event) => setAmount(event.currentTarget.value)} />
        <select disabled=${isReadOnly} aria-label=${`Unit of: ${label}`} onChange=${(/** @type {any} */ event) => setUnit(Number(event.currentTarget.value))}>
          ${UNITS.map(([octets, name]) => html`<option key=${name} value=${octets} selected=${octets === unit}>${name}</option>`)}
        </select>
      </div>
      <p class="hint" id=${`${id}-hint`}>${hint ? `${hint} ` : ""}Empty: ${none}.</p>
      ${fault && html`<p class="fault" id=${`${id}-fault`}>${fault}</p>`}
    </div>
  `;
}
