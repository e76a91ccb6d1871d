import { html, useState } from "../vendor/preact.js";
import { at, post, remove } from "../api.js";
import { can } from "../session.js";
import { Badge } from "../ui/badge.js";
import { ConfirmDialog, Dialog } from "../ui/dialog.js";
import { CopyButton } from "../ui/copy.js";
import { EXPIRY, expiryOf } from "../ui/expiry.js";
import { Field, Form } from "../ui/form.js";
import { useGet, useList } from "../ui/load.js";
import { Page } from "../ui/page.js";
import { ScopesField } from "../ui/scopes.js";
import { Secret } from "../ui/secret.js";
import { EmptyState, ErrorBox } from "../ui/state.js";
import { Table } from "../ui/table.js";
import { Time, absolute } from "../ui/time.js";
import { toast } from "../ui/toast.js";

/** Which programs may use the REST interface, and for what? */
export default function Tokens() {
  const list = useList("/tokens");
  const [isNew, setIsNew] = useState(false);
  const [made, setMade] = useState(/** @type {any} */ (null));
  const [doomed, setDoomed] = useState(/** @type {any} */ (null));
  const create = async (/** @type {any} */ { expiry, domains, ...body }) => {
    const { body: token } = await post("/tokens", { ...body, expires_at: expiryOf(expiry), restrict: { domains } });
    setMade(token);
    setIsNew(false);
    list.reload();
  };
  const erase = async () => {
    await remove(at`/tokens/${doomed.id}`);
    toast(`“${doomed.name}” opens nothing any more.`);
    if (made?.id === doomed.id) setMade(null);
    list.reload();
  };
  const button = can("tokens:write")
    && html`<button type="button" class="primary" onClick=${() => setIsNew(true)}>New token</button>`;
  const columns = [...COLUMNS, { id: "delete", title: "Delete", hideTitle: true, kind: "tight",
    cell: (/** @type {any} */ row) => html`<button type="button" class="quiet danger small" aria-label=${`Delete ${row.name}`} onClick=${() => setDoomed(row)}>Delete…</button>` }];
  return html`
    <${Page} title="Tokens" lead="Programs use the REST interface with a token, and may do only what it allows." actions=${button}>
      ${made && html`
        <${Secret} value=${made.secret} what=${`Token “${made.name}”`} onDone=${() => setMade(null)}><${Example} secret=${made.secret} /><//>
      `}
      ${list.error ? html`<${ErrorBox} error=${list.error} retry=${list.reload} />` : html`
        <${Table} label="Tokens" rows=${list.items} list=${list} rowKey=${(/** @type {any} */ row) => row.id} name=${(/** @type {any} */ row) => row.name} columns=${columns}
          empty=${html`<${EmptyState} title="No token yet">A script, a monitor or a provisioning tool gets one of its own, which can be taken back alone. ${button}<//>`} />
      `}
      <${Dialog} title="New token" open=${isNew} onClose=${() => setIsNew(false)} wide>
        <${NewToken} onSubmit=${create} onCancel=${() => setIsNew(false)} />
      <//>
      <${ConfirmDialog} open=${doomed !== null} title=${`Delete the token “${doomed?.name}”`} verb="Delete the token" danger onConfirm=${erase} onClose=${() => setDoomed(null)}
        loses="1 token">
        <p>What was done with it stays. The program that uses it is refused from then on. ${doomed?.last_used_at
          ? html`It was last used ${absolute(doomed.last_used_at)}${doomed.last_used_ip ? ` from ${doomed.last_used_ip}` : ""}.` : "It was never used."}</p>
      <//>
    <//>
  `;
}

const COLUMNS = [
  { id: "name", title: "Name", kind: "main", sort: (/** @type {any} */ row) => row.name, cell: (/** @type {any} */ row) => html`
    <bdi class="wrap-anywhere">${row.name || "(no name)"}</bdi><div class="quiet mono wrap-anywhere">pbx_${row.id}_…</div>` },
  { id: "scopes", title: "May", cell: (/** @type {any} */ row) => html`<${Scopes} scopes=${row.scopes} />` },
  { id: "where", title: "Only", cell: (/** @type {any} */ row) => html`<${Limits} row=${row} />` },
  { id: "ends", title: "Ends", kind: "tight", sort: (/** @type {any} */ row) => row.expires_at ?? "9999", cell: (/** @type {any} */ row) => html`<${Ends} at=${row.expires_at} />` },
  { id: "used", title: "Last used", kind: "tight", sort: (/** @type {any} */ row) => row.last_used_at ?? "", cell: (/** @type {any} */ row) => row.last_used_at
    ? html`<div><${Time} at=${row.last_used_at} />${row.last_used_ip && html`<div class="quiet">${row.last_used_ip}</div>`}</div>` : html`<span class="quiet">never</span>` },
];

/** @param {{ scopes: string[] }} props */
function Scopes({ scopes }) {
  if (scopes.includes("admin")) return html`<${Badge} kind="warn">everything<//>`;
  return html`<span class="scope-list">${scopes.map((scope) => html`<code key=${scope}>${scope}</code> `)}</span>`;
}

/** @param {{ row: any }} props */
function Limits({ row }) {
  const limits = [...(row.restrict.domains ?? []), ...row.allow_ips.map((/** @type {string} */ net) => `from ${net}`)];
  return limits.length > 0 ? html`<span class="wrap-anywhere">${limits.join(", ")}</span>` : html`<span class="quiet">no limit</span>`;
}

/** @param {{ at: string | null }} props */
function Ends({ at }) {
  if (!at) return html`<span class="quiet">never</span>`;
  return Date.parse(at) < Date.now() ? html`<${Badge} kind="bad">has ended<//>` : html`<${Time} at=${at} />`;
}

/** @param {{ onSubmit: (values: any) => Promise<void>, onCancel: () => void }} props */
function NewToken({ onSubmit, onCancel }) {
  const document = useGet("/openapi.json");
  const scopes = document.data?.components.schemas.Token.properties.scopes.items.enum ?? [];
  return html`
    <${Form} onSubmit=${onSubmit} submit="Create" onCancel=${onCancel}>
      <${Field} label="Name" name="name" required hint="For people: which program it is for." />
      <${ScopesField} name="scopes" all=${scopes} />
      <${Field} label="Only these domains" name="domains" pointer="/restrict/domains" type="lines" rows=${2} hint="One a line. Empty: all." />
      <${Field} label="Only from these networks" name="allow_ips" type="lines" rows=${2} hint="One a line, as in 192.0.2.0/24. Empty: from anywhere." />
      <${Field} label="Ends" name="expiry" pointer="/expires_at" type="select" value="365" options=${EXPIRY} />
    <//>
  `;
}

/** @param {{ secret: string }} props */
function Example({ secret }) {
  const line = `curl -H 'Authorization: Bearer ${secret}' ${location.origin}/api/v1/version`;
  return html`
    <details>
      <summary>How a program uses it</summary>
      <div class="record-line"><code class="wrap-anywhere">${line}</code><${CopyButton} text=${line} label="Copy the example" /></div>
    </details>
  `;
}
