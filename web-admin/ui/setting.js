import { html, useState } from "../vendor/preact.js";
import { Field } from "./form.js";
import { bytes } from "./format.js";
import { duration } from "./time.js";

/**
 * What a number means to people: "5 d" for seconds, "52.4 MB" for octets; "" where it says enough itself.
 * @param {{ key: string }} setting
 * @param {unknown} value
 */
export function meaning({ key }, value) {
  const numbers = (Array.isArray(value) ? value : String(value ?? "").split(",")).map(Number);
  if (numbers.some((number) => !Number.isFinite(number) || number === 0) || String(value ?? "") === "") return "";
  if (/_seconds$/.test(key)) return numbers.every((number) => number < 60) ? "" : numbers.map(duration).join(", ");
  if (/_bytes$/.test(key)) return numbers.every((number) => number < 1000) ? "" : numbers.map(bytes).join(", ");
  return "";
}

/**
 * The box in which a setting's value is typed; its fault is the one of the setting's key.
 * @param {{ item: any }} props
 */
export function SettingInput({ item }) {
  const [typed, setTyped] = useState(item.value);
  const type = typeof item.value === "boolean" || item.kind === "flag" ? "select" : Array.isArray(item.value) ? "lines" : typeof item.value === "number" ? "number" : "text";
  const said = meaning(item, typed);
  const options = [["true", "true"], ["false", "false"]];
  return html`
    <${Field} label="Value" name="value" pointer=${`/${item.key.replaceAll("~", "~0").replaceAll("/", "~1")}`} type=${type}
      value=${type === "select" ? String(item.value) : item.value} options=${options} onInput=${setTyped} hint=${said ? `That is ${said}.` : undefined} />
  `;
}
