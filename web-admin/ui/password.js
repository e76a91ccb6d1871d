import { html, useId, useState } from "../vendor/preact.js";
import { useFault } from "./form.js";
import { makePassword, strength } from "./strength.js";

/**
 * A password in a form: it can be shown, measured while one types, and made.
 * @param {{ label: string, name: string, value?: string, hint?: string, required?: boolean, autocomplete: string, measured?: boolean, makes?: boolean, known?: string[] }} props
 *   measured: with a hint of how strong it is; makes: with a button that makes one; known: words that a guesser tries first
 */
export function PasswordField({ label, name, value = "", hint, required, autocomplete, measured, makes, known = [] }) {
  const id = useId();
  const fault = useFault(`/${name}`);
  const [text, setText] = useState(value);
  const [isShown, setIsShown] = useState(false);
  const told = [hint && `${id}-hint`, measured && `${id}-strength`, fault && `${id}-fault`].filter(Boolean).join(" ") || undefined;
  const make = () => {
    setText(makePassword());
    setIsShown(true);
  };
  return html`
    <div class="field">
      <label for=${id}>${label}${required && html` <span class="required">required</span>`}</label>
      <div class="row password-row">
        <input id=${id} name=${name} data-type="password" type=${isShown ? "text" : "password"} class=${isShown ? "mono" : ""} value=${text}
          autocomplete=${autocomplete} autocapitalize="off" spellcheck=${false} aria-required=${required || undefined} aria-describedby=${told}
          aria-invalid=${fault ? "true" : undefined} onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} />
        <button type="button" aria-pressed=${isShown} onClick=${() => setIsShown(!isShown)}>${isShown ? "Hide" : "Show"}</button>
        ${makes && html`<button type="button" onClick=${make}>Make one</button>`}
      </div>
      ${measured && html`<${Strength} id=${`${id}-strength`} password=${text} known=${known} />`}
      ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
      ${fault && html`<p class="fault" id=${`${id}-fault`}>${fault}</p>`}
    </div>
  `;
}

/** @param {{ id: string, password: string, known: string[] }} props */
function Strength({ id, password, known }) {
  const { level, word, hint } = strength(password, known);
  return html`
    <p class="strength" id=${id} aria-live="polite">
      ${level > 0 && html`
        <span class=${`strength-bar level-${level}`} aria-hidden="true"><i></i><i></i><i></i><i></i></span>
        <span><strong>${word}.</strong> ${hint}</span>
      `}
    </p>
  `;
}
