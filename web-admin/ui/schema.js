import { html } from "../vendor/preact.js";
import { link } from "../router.js";
import { Doc } from "./doc.js";

/** Levels of inner objects that are spelled out in an example. */
const DEPTH_MAX = 6;

/**
 * A schema's type in words: "array of Account", "string or null".
 * @param {any} schema
 * @returns {string}
 */
export function typeName(schema) {
  if (!schema) return "anything";
  if (schema.$ref) return nameOf(schema);
  const choices = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (choices) return choices.map(typeName).join(schema.allOf ? " and " : " or ");
  const types = [schema.type ?? "anything"].flat();
  return types.map((type) => type === "array" ? `array of ${typeName(schema.items)}` : type === "string" && schema.format ? `string (${schema.format})` : type).join(" or ");
}

/** @param {any} schema */
function nameOf(schema) {
  return schema.$ref.split("/").pop();
}

/**
 * A schema's type, with links to what it names.
 * @param {{ schema: any }} props
 */
function Type({ schema }) {
  const inner = schema?.items?.$ref ? schema.items : [schema, ...(schema?.oneOf ?? schema?.anyOf ?? schema?.allOf ?? [])].find((one) => one?.$ref);
  if (!inner) return typeName(schema);
  const [before, after] = typeName(schema).split(nameOf(inner));
  return html`${before}<a href=${link("/api", "schema", nameOf(inner))}>${nameOf(inner)}</a>${after}`;
}

/**
 * The fields of a schema; of one that is no object, its type and its values.
 * @param {{ doc: any, schema: any }} props
 */
export function SchemaTable({ doc, schema }) {
  const known = schema?.$ref ? doc.components.schemas[nameOf(schema)] : schema;
  const fields = Object.entries(known?.properties ?? {});
  return html`
    ${schema?.$ref && html`<p><${Type} schema=${schema} /> <span class="quiet"><${Doc} text=${known?.description} /></span></p>`}
    ${!schema?.$ref && fields.length === 0 && html`<p><${Type} schema=${known} /></p>`}
    ${known?.enum && html`<${Values} values=${known.enum} />`}
    ${known?.oneOf && html`<${Values} values=${known.oneOf.flatMap((/** @type {any} */ one) => one.enum ?? one.const ?? [])} />`}
    ${fields.length > 0 && html`
      <dl class="fields">
        ${fields.map(([name, /** @type {any} */ field]) => html`
          <div key=${name}>
            <dt><code class="wrap-anywhere">${name}</code> <span class="quiet"><${Type} schema=${field} />${known.required?.includes(name) ? "" : ", optional"}</span></dt>
            <dd>
              <${Doc} text=${field.description} />
              ${(field.enum ?? field.items?.enum) && html`<${Values} values=${field.enum ?? field.items.enum} />`}
              ${field.default !== undefined && field.default !== null && html` <span class="quiet">Default: <code>${JSON.stringify(field.default)}</code></span>`}
            </dd>
          </div>
        `)}
      </dl>
    `}
  `;
}

/** @param {{ values: unknown[] }} props */
function Values({ values }) {
  if (values.length === 0) return null;
  return html`<span class="enum-values">${values.map((value) => html`<code key=${value}>${String(value)}</code> `)}</span>`;
}

/**
 * A value that fits a schema.
 * @param {any} doc
 * @param {any} schema
 * @returns {any}
 */
export function exampleOf(doc, schema, depth = 0) {
  if (!schema || depth > DEPTH_MAX) return undefined;
  if (schema.example !== undefined) return schema.example;
  if (schema.examples?.[0] !== undefined) return schema.examples[0];
  if (schema.$ref) return exampleOf(doc, doc.components.schemas[nameOf(schema)], depth + 1);
  if (schema.const !== undefined) return schema.const;
  if (schema.default !== undefined && schema.default !== null) return schema.default;
  if (schema.enum) return schema.enum[0];
  if (schema.allOf) return Object.assign({}, ...schema.allOf.map((/** @type {any} */ one) => exampleOf(doc, one, depth + 1)));
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) return exampleOf(doc, choices.find((/** @type {any} */ one) => one.type !== "null"), depth + 1);
  const type = [schema.type].flat().find((one) => one !== "null");
  if (type === "object" || schema.properties) {
    const pairs = Object.entries(schema.properties ?? {}).map(([name, field]) => [name, exampleOf(doc, field, depth + 1)]);
    return Object.fromEntries(pairs.filter(([, value]) => value !== undefined));
  }
  if (type === "array") return [exampleOf(doc, schema.items, depth + 1)].filter((one) => one !== undefined);
  if (type === "integer" || type === "number") return schema.minimum ?? 1;
  if (type === "boolean") return true;
  return schema.format === "date-time" ? "2026-01-31T12:00:00Z" : "text";
}
