import { html, useId } from "../vendor/preact.js";
import { useTyped } from "./typed.js";

/**
 * Boxes that narrow a list. They stand in the page's address, so that a view can be kept and sent.
 * @param {{ fields: { name: string, label: string, placeholder?: string, type?: string, options?: string[][] }[], values: Record<string, string>, onChange: (changes: Record<string, string>) => void }} props
 *   type: text, datetime (RFC 3339 in the address, the reader's time zone in the box), select
 */
export function Filters({ fields, values, onChange }) {
  const isAny = fields.some(({ name }) => values[name]);
  const clear = () => onChange(Object.fromEntries(fields.map(({ name }) => [name, ""])));
  return html`
    <form class="narrow" role="search" aria-label="Filter" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
      ${fields.map((field) => html`<${Filter} key=${field.name} field=${field} value=${values[field.name] ?? ""} onChange=${(/** @type {string} */ value) => onChange({ [field.name]: value })} />`)}
      ${isAny && html`<button type="button" onClick=${clear}>Show all</button>`}
    </form>
  `;
}

/** @param {{ field: { label: string, placeholder?: string, type?: string, options?: string[][] }, value: string, onChange: (value: string) => void }} props */
function Filter({ field, value, onChange }) {
  const id = useId();
  const isTime = field.type === "datetime";
  const shown = isTime ? toLocal(value) : value;
  const [text, type] = useTyped(shown);
  const give = (/** @type {string} */ next) => onChange(isTime ? fromLocal(next) : next.trim());
  return html`
    <div class="narrow-box">
      <label for=${id}>${field.label}</label>
      ${field.type === "select" ? html`
        <select id=${id} onChange=${(/** @type {any} */ event) => give(event.currentTarget.value)}>
          ${field.options?.map(([option, words]) => html`<option key=${option} value=${option} selected=${option === value}>${words}</option>`)}
        </select>
      ` : html`
        <input id=${id} type=${isTime ? "datetime-local" : "search"} value=${text} placeholder=${field.placeholder} spellcheck=${false} autocomplete="off"
          onInput=${(/** @type {any} */ event) => type(event.currentTarget.value)} onChange=${(/** @type {any} */ event) => give(event.currentTarget.value)} />
      `}
    </div>
  `;
}

/** @param {string} at RFC 3339 */
function toLocal(at) {
  const ms = Date.parse(at);
  return Number.isNaN(ms) ? "" : new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** @param {string} local as `datetime-local` has it */
function fromLocal(local) {
  const ms = Date.parse(local);
  return Number.isNaN(ms) ? "" : new Date(ms).toISOString().replace(/\.\d+/, "");
}
