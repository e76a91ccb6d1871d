// Forms: the browser keeps what is typed, the server checks it, and what it says stands at the field it is about.
import { createContext, html, useContext, useEffect, useId, useRef, useState } from "../vendor/preact.js";
import { ApiError } from "../api.js";
import { ErrorBox } from "./state.js";

/** @typedef {{ pointer: string, parameter?: string }} Place what a field is in a request */
/** @typedef {{ error: any, places: Set<Place>, isReadOnly: boolean }} FormState */

/** @type {import("../vendor/preact.js").Context<FormState>} */
const FormContext = createContext(/** @type {FormState} */ ({ error: null, places: new Set(), isReadOnly: false }));

/**
 * @param {{ onSubmit: (values: Record<string, any>) => Promise<unknown>, submit: string, onCancel?: () => void, cancel?: string,
 *   danger?: boolean, busy?: string, error?: any, readOnly?: boolean, reload?: () => void, children?: any }} props
 *   error: of an earlier form whose fields stand in this one; readOnly: to be looked at, there is no right to change it;
 *   reload: reads what is there now, when somebody else was quicker (412)
 */
export function Form({ onSubmit, submit, onCancel, cancel = "Cancel", danger = false, busy = "Working…", error: first = null, readOnly = false, reload, children }) {
  const box = useRef(/** @type {HTMLFormElement | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (first));
  const [isBusy, setBusy] = useState(false);
  const places = useRef(new Set(/** @type {Place[]} */ ([])));
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
  const isShownAtFields = error?.faults?.length > 0
    && error.faults.every((/** @type {any} */ fault) => [...places.current].some((place) => isAbout(fault, place)));
  return html`<form ref=${box} onSubmit=${run} class="stack form" noValidate>
    <${FormContext.Provider} value=${{ error, places: places.current, isReadOnly: readOnly }}>${children}<//>
    ${error && !isShownAtFields && html`<${ErrorBox} error=${error} retry=${error.status === 412 ? reload : undefined} verb="Show what is there now" />`}
    ${(!readOnly || onCancel) && html`<div class="row form-foot">
      ${!readOnly && html`<button type="submit" class=${danger ? "danger" : "primary"} disabled=${isBusy}>${isBusy ? busy : submit}</button>`}
      ${onCancel && html`<button type="button" onClick=${onCancel}>${cancel}</button>`}
    </div>`}
  </form>`;
}

/**
 * For a field of another make: what the server says is wrong with it, "" for nothing.
 * @param {string} pointer where its value stands in the body
 * @param {string} [parameter] the parameter of the path or the query that it becomes
 */
export function useFault(pointer, parameter) {
  const { error, places } = useContext(FormContext);
  useEffect(() => {
    const place = { pointer, parameter };
    places.add(place);
    return () => {
      places.delete(place);
    };
  }, [pointer, parameter]);
  if (!(error instanceof ApiError)) return "";
  return error.faults.filter((fault) => isAbout(fault, { pointer, parameter })).map((fault) => fault.message).join("; ");
}

/** Whether the form is only to be looked at. */
export const useReadOnly = () => useContext(FormContext).isReadOnly;

/**
 * @param {{ label: any, name: string, pointer?: string, parameter?: string, type?: string, value?: any, hint?: any, required?: boolean, options?: any[],
 *   autocomplete?: string, min?: number, max?: number, rows?: number, placeholder?: string, disabled?: boolean, mono?: boolean,
 *   onInput?: (value: any) => void, after?: any }} props
 *   type: text, email, password, number, textarea, lines (an array, one a line), checkbox, select
 */
export function Field({ label, name, pointer = `/${name}`, parameter, type = "text", value, hint, required = false, options = [], after, onInput, ...rest }) {
  const id = useId();
  const fault = useFault(pointer, parameter);
  const isReadOnly = useReadOnly();
  const told = [hint && `${id}-hint`, fault && `${id}-fault`].filter(Boolean).join(" ") || undefined;
  const { mono, rows, ...own } = rest;
  const common = {
    id, name, "data-type": type, "aria-describedby": told, "aria-invalid": fault ? "true" : undefined, "aria-required": required || undefined,
    class: mono ? "mono" : undefined, onInput: onInput && ((/** @type {any} */ event) => onInput(valueOf(event.currentTarget))), disabled: isReadOnly, ...own,
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

/** @param {import("../api.js").Fault} fault @param {Place} place */
function isAbout(fault, { pointer, parameter }) {
  return fault.pointer === pointer || Boolean(fault.pointer?.startsWith(`${pointer}/`)) || (parameter !== undefined && fault.parameter === parameter);
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
    case "json": return JSON.parse(control.value);
    case "number": return control.value === "" ? null : Number(control.value);
    case "lines": return control.value.split(/[\n,]/).map((/** @type {string} */ line) => line.trim()).filter(Boolean);
    case "password": case "textarea": return control.value;
    default: return control.value.trim();
  }
}
