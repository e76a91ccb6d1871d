import { html, useId, useState } from "../vendor/preact.js";
import { useFault, useReadOnly } from "./form.js";

/**
 * Boxes of which any may be ticked; the form gets the ticked ones as an array.
 * @param {{ label: string, name: string, pointer?: string, value: string[], options: string[][], hint?: string }} props
 */
export function ChecksField({ label, name, pointer = `/${name}`, value, options, hint }) {
  const id = useId();
  const isReadOnly = useReadOnly();
  const fault = useFault(pointer);
  const [chosen, setChosen] = useState(() => new Set(value));
  const toggle = (/** @type {string} */ option) => {
    const next = new Set(chosen);
    if (!next.delete(option)) next.add(option);
    setChosen(next);
  };
  return html`
    <fieldset class="field ticks" aria-invalid=${fault ? "true" : undefined} tabindex=${fault ? "-1" : undefined} aria-describedby=${fault ? `${id}-fault` : undefined}>
      <legend>${label}</legend>
      <${JsonInput} name=${name} value=${[...chosen]} />
      ${options.map(([option, text]) => html`
        <label key=${option} class="tick"><input type="checkbox" disabled=${isReadOnly} checked=${chosen.has(option)} onChange=${() => toggle(option)} /> <span>${text}</span></label>
      `)}
      ${hint && html`<p class="hint">${hint}</p>`}
      ${fault && html`<p class="fault" id=${`${id}-fault`}>${fault}</p>`}
    </fieldset>
  `;
}

/**
 * What a control of our own gives to the form.
 * @param {{ name: string, value: unknown }} props
 */
export function JsonInput({ name, value }) {
  return html`<input type="hidden" name=${name} data-type="json" value=${JSON.stringify(value)} />`;
}
