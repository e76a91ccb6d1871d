import { html, useEffect, useId, useRef } from "../vendor/preact.js";
import { useTyped } from "./typed.js";

/** Milliseconds of no typing after which the search begins. */
const PAUSE_MS = 250;

/**
 * A search box that asks the server while one types.
 * @param {{ label: string, value?: string, placeholder?: string, onSearch: (text: string) => void }} props
 */
export function SearchBox({ label, value = "", placeholder, onSearch }) {
  const id = useId();
  const [text, type] = useTyped(value);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const ask = (/** @type {string} */ next, /** @type {number} */ pause) => {
    clearTimeout(timer.current);
    type(next);
    timer.current = window.setTimeout(() => onSearch(next.trim()), pause);
  };
  return html`
    <form class="seek" role="search" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); ask(text, 0); }}>
      <label for=${id}>${label}</label>
      <input id=${id} type="search" value=${text} placeholder=${placeholder} spellcheck=${false} autocomplete="off"
        onInput=${(/** @type {any} */ event) => ask(event.currentTarget.value, PAUSE_MS)} />
    </form>
  `;
}
