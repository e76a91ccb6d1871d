import { html, useState } from "../vendor/preact.js";
import { link, setQuery } from "../router.js";
import { CopyButton } from "../ui/copy.js";
import { Doc } from "../ui/doc.js";
import { Loaded, useGet } from "../ui/load.js";
import { Page, Section } from "../ui/page.js";
import { SearchBox } from "../ui/search.js";
import { SchemaTable, exampleOf, typeName } from "../ui/schema.js";
import { EmptyState } from "../ui/state.js";
import { TryIt } from "../ui/try-it.js";

const METHODS = ["get", "put", "post", "patch", "delete"];

/** @typedef {{ method: string, path: string, op: any }} Operation */

/**
 * What can programs ask of this server? The document that it makes of itself, to read and to try.
 * @param {{ parts: string[], query: Record<string, string> }} props
 */
export default function Api({ parts, query }) {
  const document = useGet("/openapi.json");
  const lead = html`Everything on this page is done with it. The document itself: <a href="/api/v1/openapi.json">openapi.json</a>.`;
  const [kind, name] = parts;
  return html`
    <${Page} title=${name ?? "API"} lead=${name ? undefined : lead} trail=${name ? [["API", link("/api")]] : undefined}>
      <${Loaded} of=${document}>
        ${(/** @type {any} */ doc) => kind === "schema" ? html`<${Schema} doc=${doc} name=${name} />`
          : kind === "operation" ? html`<${OneOperation} doc=${doc} id=${name} />` : html`<${Index} doc=${doc} query=${query} />`}
      <//>
    <//>
  `;
}

/**
 * Every operation of the document.
 * @param {any} doc
 * @returns {Operation[]}
 */
function operations(doc) {
  return Object.entries(doc.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ method, path, op: item[method] })));
}

/** @param {{ doc: any, query: Record<string, string> }} props */
function Index({ doc, query }) {
  const wanted = (query.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const found = operations(doc).filter(({ method, path, op }) =>
    wanted.every((word) => `${method} ${path} ${op.operationId} ${op.summary ?? ""} ${op.description ?? ""}`.toLowerCase().includes(word)));
  const groups = new Map(/** @type {[string, Operation[]][]} */ ([]));
  for (const one of found) {
    const tag = one.op.tags?.[0] ?? "other";
    groups.set(tag, [...(groups.get(tag) ?? []), one]);
  }
  return html`
    <${SearchBox} label="Find an operation" value=${query.q} onSearch=${(/** @type {string} */ q) => setQuery({ q })} />
    ${found.length === 0 && html`<${EmptyState} title="No operation fits"><button type="button" onClick=${() => setQuery({ q: "" })}>Show all</button><//>`}
    ${[...groups].map(([tag, ops]) => html`
      <${Section} key=${tag} title=${tag}>
        <ul class="operations">
          ${ops.map(({ method, path, op }) => html`
            <li key=${op.operationId}>
              <a href=${link("/api", "operation", op.operationId)}>
                <span class=${`method method-${method}`}>${method.toUpperCase()}</span>
                <code class="wrap-anywhere">${path.replace("/api/v1", "")}</code>
              </a>
              <span class="quiet"><${Doc} text=${firstSentence(op.summary ?? op.description ?? "")} /></span>
            </li>
          `)}
        </ul>
      <//>
    `)}
    ${wanted.length === 0 && html`
      <${Section} title="Schemas">
        <ul class="schema-names">
          ${Object.keys(doc.components.schemas).sort().map((name) => html`<li key=${name}><a href=${link("/api", "schema", name)}>${name}</a></li>`)}
        </ul>
      <//>
    `}
  `;
}

/** @param {{ doc: any, id: string }} props */
function OneOperation({ doc, id }) {
  const found = operations(doc).find(({ op }) => op.operationId === id);
  if (!found) return html`<${EmptyState} title="There is no such operation"><a href=${link("/api")}>All operations</a><//>`;
  const { method, path, op } = found;
  const parameters = (op.parameters ?? []).map((/** @type {any} */ one) => resolved(doc, one));
  const bodies = Object.entries(op.requestBody?.content ?? {});
  return html`
    <div class="operation-line">
      <span class=${`method method-${method}`}>${method.toUpperCase()}</span>
      <code class="wrap-anywhere">${path}</code>
      <${CopyButton} text=${curl(doc, found)} label="Copy as a curl command" />
    </div>
    ${[op.summary, op.description].filter(Boolean).map((text) => html`<p key=${text} class="operation-doc"><${Doc} text=${text} /></p>`)}
    ${parameters.length > 0 && html`<${Section} title="Parameters"><${Parameters} parameters=${parameters} /><//>`}
    ${bodies.map(([type, content]) => html`
      <${Section} key=${type} title="Body">
        <p><code>${type}</code></p>
        <${SchemaTable} doc=${doc} schema=${/** @type {any} */ (content).schema} />
        <${Example} doc=${doc} content=${content} />
      <//>
    `)}
    <${Section} title="Answers"><${Answers} doc=${doc} op=${op} /><//>
    ${method === "get" && html`<${TryIt} path=${path} parameters=${parameters} />`}
  `;
}

/** @param {{ parameters: any[] }} props */
function Parameters({ parameters }) {
  return html`
    <dl class="fields">
      ${parameters.map((one) => html`
        <div key=${one.name}>
          <dt><code>${one.name}</code> <span class="quiet">${one.in}, ${typeName(one.schema)}${one.required ? ", required" : ""}</span></dt>
          <dd><${Doc} text=${one.description} /></dd>
        </div>
      `)}
    </dl>
  `;
}

/** @param {{ doc: any, op: any }} props */
function Answers({ doc, op }) {
  const [open, setOpen] = useState(() => Object.keys(op.responses).find((code) => code.startsWith("2")) ?? "");
  return html`
    <ul class="answers">
      ${Object.entries(op.responses).sort().map(([code, one]) => {
        const answer = resolved(doc, one);
        const contents = Object.entries(answer.content ?? {});
        return html`
          <li key=${code}>
            <details open=${open === code} onToggle=${(/** @type {any} */ event) => event.currentTarget.open && setOpen(code)}>
              <summary><code>${code}</code> <${Doc} text=${answer.description} /></summary>
              ${open === code && contents.map(([type, content]) => html`
                <div key=${type}>
                  <p><code>${type}</code></p>
                  <${SchemaTable} doc=${doc} schema=${/** @type {any} */ (content).schema} />
                  <${Example} doc=${doc} content=${content} />
                </div>
              `)}
              ${open === code && contents.length === 0 && html`<p class="quiet">No body.</p>`}
            </details>
          </li>
        `;
      })}
    </ul>
  `;
}

/** @param {{ doc: any, content: any }} props */
function Example({ doc, content }) {
  const example = content.example ?? exampleOf(doc, content.schema);
  if (example === undefined || typeof example !== "object") return null;
  const text = JSON.stringify(example, null, 2);
  return html`
    <details>
      <summary>Example</summary>
      <div class="record-line"><pre tabindex="0" role="region" aria-label="Example">${text}</pre><${CopyButton} text=${text} label="Copy the example" /></div>
    </details>
  `;
}

/** @param {{ doc: any, name: string }} props */
function Schema({ doc, name }) {
  const schema = doc.components.schemas[name];
  if (!schema) return html`<${EmptyState} title="There is no such schema"><a href=${link("/api")}>All of the API</a><//>`;
  return html`
    <p class="operation-doc"><${Doc} text=${schema.description} /></p>
    <${SchemaTable} doc=${doc} schema=${schema} />
    <${Example} doc=${doc} content=${{ schema }} />
  `;
}

/**
 * What a reference in the document stands for.
 * @param {any} doc
 * @param {any} thing
 */
function resolved(doc, thing) {
  const way = thing?.$ref?.split("/").slice(1);
  return way ? way.reduce((/** @type {any} */ at, /** @type {string} */ step) => at?.[step], doc) : thing;
}

/**
 * @param {any} doc
 * @param {Operation} operation
 */
function curl(doc, { method, path, op }) {
  const [type, content] = Object.entries(op.requestBody?.content ?? {})[0] ?? [];
  const example = content && exampleOf(doc, /** @type {any} */ (content).schema);
  const body = example ? ` -H 'Content-Type: ${type}' --data '${JSON.stringify(example)}'` : "";
  return `curl -X ${method.toUpperCase()} -H "Authorization: Bearer $PILLARBOX_TOKEN"${body} ${location.origin}${path}`;
}

/** @param {string} text */
function firstSentence(text) {
  return text.split(/(?<=\.)\s/)[0];
}
