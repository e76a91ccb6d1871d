import { html } from "../vendor/preact.js";
import { inline } from "./json.js";

/**
 * @typedef {{ name: string, before: unknown, after: unknown, kind: "added" | "removed" | "changed" | "same" }} Change
 */

/**
 * What two states of a thing differ in, field by field; inner objects by their path.
 * @param {any} before null: it was not there
 * @param {any} after null: it is gone
 * @returns {Change[]}
 */
export function differences(before, after) {
  const left = flat(before);
  const right = flat(after);
  // That a change was made at its time says nothing.
  const names = [...new Set([...left.keys(), ...right.keys()])].filter((name) => !/(^|\.)changed_at$/.test(name));
  return names.map((name) => {
    const was = left.get(name);
    const is = right.get(name);
    const kind = !left.has(name) ? "added" : !right.has(name) ? "removed"
      : JSON.stringify(was) === JSON.stringify(is) ? "same" : "changed";
    return { name, before: was, after: is, kind };
  });
}

/**
 * @param {any} value
 * @param {string} path
 * @param {Map<string, unknown>} into
 */
function flat(value, path = "", into = new Map()) {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    for (const [name, inner] of Object.entries(value)) flat(inner, path ? `${path}.${name}` : name, into);
  } else if (path || (value !== null && value !== undefined)) {
    into.set(path || "value", value);
  }
  return into;
}

/**
 * Before and after, one line a field; what did not change is folded away.
 * @param {{ before: any, after: any }} props
 */
export function Diff({ before, after }) {
  const all = differences(before, after);
  const changed = all.filter((change) => change.kind !== "same");
  const same = all.filter((change) => change.kind === "same");
  return html`
    <div class="diff">
      ${changed.length === 0
        ? html`<p class="quiet">No field changed.</p>`
        : html`<dl class="diff-list">${changed.map((change) => html`<${Line} key=${change.name} ...${change} />`)}</dl>`}
      ${same.length > 0 && html`
        <details>
          <summary>${same.length} unchanged</summary>
          <dl class="diff-list">
            ${same.map((change) => html`
              <div key=${change.name}><dt>${change.name}</dt><dd class="wrap-anywhere">${shown(change.after)}</dd></div>
            `)}
          </dl>
        </details>
      `}
    </div>
  `;
}

/** @param {Change} change */
function Line({ name, before, after, kind }) {
  return html`
    <div>
      <dt>${name}</dt>
      ${kind !== "added" && html`
        <dd class="wrap-anywhere"><del><span class="visually-hidden">before: </span>${shown(before)}</del></dd>
      `}
      ${kind !== "removed" && html`
        <dd class="wrap-anywhere"><ins><span class="visually-hidden">after: </span>${shown(after)}</ins></dd>
      `}
    </div>
  `;
}

/** @param {unknown} value */
function shown(value) {
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map(inline).join(", ");
  return inline(value);
}
