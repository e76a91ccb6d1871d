// Forms: the browser keeps what is typed, the server checks it, and what it says stands at the field it is about.
import { createContext, html, useContext, useEffect, useId, useRef, useState } from "../vendor/preact.js";
import { ApiError } from "../api.js";
import { ErrorBox } from "./state.js";

/** @type {import("../vendor/preact.js").Context<{ error: any, pointers: Set<string> }>} */
const FormContext = createContext(/** @type {{ error: any, pointers: Set<string> }} */ ({ error: null, pointers: new Set() }));

/**
 * @param {{ onSubmit: (values: Record<string, any>) => Promise<unknown>, submit: string, onCancel?: () => void, danger?: boolean,
 *   busy?: string, children?: any }} props
 */
export function Form({ onSubmit, submit, onCancel, danger = false, busy = "Working…", children }) {
  const box = useRef(/** @type {HTMLFormElement | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [isBusy, setBusy] = useState(false);
  const pointers = useRef(new Set(/** @type {string[]} */ ([])));
  useEffect(() => {
    if (error) /** @type {HTMLElement | null | undefined} */ (box.current?.querySelector("[aria-invalid=true], .error-box"))?.focus();
  }, [error]);
  const run = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (isBusy || !box.current) return;
    setBusy(true);
    setError(null);
    try {
      await onSubmit(values(box.current));
    } catch (fault) {
      if (!(fault instanceof ApiError)) console.error(fault);
      setError(fault);
    } finally {
      setBusy(false);
    }
  };
  const isShownAtFields = error?.faults?.length > 0 && error.faults.every((/** @type {any} */ fault) =>
    [...pointers.current].some((pointer) => fault.pointer === pointer || fault.pointer?.startsWith(`${pointer}/`)));
  return html`<form ref=${box} onSubmit=${run} class="stack form" noValidate>
    <${FormContext.Provider} value=${{ error, pointers: pointers.current }}>${children}<//>
    ${error && !isShownAtFields && html`<${ErrorBox} error=${error} />`}
    <div class="row form-foot">
      <button type="submit" class=${danger ? "danger" : "primary"} disabled=${isBusy}>${isBusy ? busy : submit}</button>
      ${onCancel && html`<button type="button" onClick=${onCancel}>Cancel</button>`}
    </div>
  </form>`;
}

/**
 * @param {{ label: any, name: string, pointer?: string, type?: string, value?: any, hint?: any, required?: boolean, options?: any[],
 *   autocomplete?: string, min?: number, max?: number, rows?: number, placeholder?: string, disabled?: boolean, mono?: boolean,
 *   onInput?: (value: any) => void, after?: any }} props
 *   type: text, email, password, number, textarea, lines (an array, one a line), checkbox, select
 */
export function Field({ label, name, pointer = `/${name}`, type = "text", value, hint, required = false, options = [], after, onInput, ...rest }) {
  const id = useId();
  const { error, pointers } = useContext(FormContext);
  useEffect(() => {
    pointers.add(pointer);
    return () => {
      pointers.delete(pointer);
    };
  }, [pointer]);
  const fault = error instanceof ApiError ? error.fault(pointer) : "";
  const told = [hint && `${id}-hint`, fault && `${id}-fault`].filter(Boolean).join(" ") || undefined;
  const { mono, rows, ...own } = rest;
  const common = {
    id, name, "data-type": type, "aria-describedby": told, "aria-invalid": fault ? "true" : undefined, "aria-required": required || undefined,
    class: mono ? "mono" : undefined, onInput: onInput && ((/** @type {any} */ event) => onInput(valueOf(event.currentTarget))), ...own,
  };
  const isCheck = type === "checkbox";
  const control = type === "select" ? html`<select ...${common}>${options.map((/** @type {any} */ option) => {
    const [text, shown] = Array.isArray(option) ? option : [option, option];
    return html`<option value=${text} selected=${String(text) === String(value ?? "")}>${shown}</option>`;
  })}</select>`
    : type === "textarea" || type === "lines"
      ? html`<textarea rows=${rows ?? 3} spellcheck=${type === "textarea"} defaultValue=${Array.isArray(value) ? value.join("\n") : (value ?? "")} ...${common}></textarea>`
      : isCheck ? html`<input type="checkbox" defaultChecked=${Boolean(value)} ...${common} />`
        : html`<input type=${type} defaultValue=${value ?? ""} spellcheck=${false} ...${common} />`;
  const name_ = html`<label for=${id}>${label}${required && html` <span class="required">required</span>`}</label>`;
  return html`<div class=${isCheck ? "field check" : "field"}>
    ${isCheck ? html`${control}${name_}` : html`${name_}<div class="row field-row">${control}${after}</div>`}
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    ${fault && html`<p class="fault" id=${`${id}-fault`}>${fault}</p>`}
  </div>`;
}

/** What the form holds, by name. @param {HTMLFormElement} form */
function values(form) {
  /** @type {Record<string, any>} */
  const found = {};
  for (const control of /** @type {Iterable<any>} */ (form.elements)) {
    if (control.name && control.dataset.type && !control.disabled) found[control.name] = valueOf(control);
  }
  return found;
}

/** @param {any} control */
function valueOf(control) {
  switch (control.dataset.type) {
    case "checkbox": return control.checked;
    case "number": return control.value === "" ? null : Number(control.value);
    case "lines": return control.value.split(/[\n,]/).map((/** @type {string} */ line) => line.trim()).filter(Boolean);
    case "password": case "textarea": return control.value;
    default: return control.value.trim();
  }
}
