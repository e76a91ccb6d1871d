import { html, useState } from "../vendor/preact.js";
import { at, put } from "../api.js";
import { go, link, setQuery } from "../router.js";
import { can } from "../session.js";
import { Address } from "../ui/address.js";
import { Badge } from "../ui/badge.js";
import { Dialog } from "../ui/dialog.js";
import { Field, Form } from "../ui/form.js";
import { Kept } from "../ui/kept.js";
import { useList } from "../ui/load.js";
import { Page } from "../ui/page.js";
import { SearchBox } from "../ui/search.js";
import { EmptyState, ErrorBox } from "../ui/state.js";
import { Table } from "../ui/table.js";
import { Time } from "../ui/time.js";
import { toast } from "../ui/toast.js";
import { Domain } from "./domain.js";

/**
 * Which domains is mail taken for? With a name behind it: that domain.
 * @param {{ parts: string[], query: Record<string, string> }} props
 */
export default function Domains({ parts, query }) {
  if (parts[0]) return html`<${Domain} key=${parts[0]} name=${parts[0]} />`;
  return html`<${List} query=${query} />`;
}

/** @param {{ query: Record<string, string> }} props */
function List({ query }) {
  const list = useList("/domains", { query: { q: query.q } });
  const [isNew, setIsNew] = useState(false);
  const button = can("domains:write")
    && html`<button type="button" class="primary" onClick=${() => setIsNew(true)}>New domain</button>`;
  return html`
    <${Page} title="Domains" lead="Mail for these domains is taken in." actions=${button}>
      <${SearchBox} label="Find a domain" value=${query.q} onSearch=${(/** @type {string} */ q) => setQuery({ q })} />
      ${list.error && html`<${ErrorBox} error=${list.error} retry=${list.reload} />`}
      ${!list.error && html`
        <${Table} label="Domains" rows=${list.items} list=${list} rowKey=${(/** @type {any} */ row) => row.name} columns=${columns}
          onOpen=${(/** @type {any} */ row) => go(`/domains/${encodeURIComponent(row.name)}`)} empty=${query.q
            ? html`<${EmptyState} title="No domain has that in its name"><button type="button" onClick=${() => setQuery({ q: "" })}>Show all</button><//>`
            : html`<${EmptyState} title="No domain yet">Mail is taken in for no address until there is one. ${button}<//>`} />
      `}
      <${NewDomain} open=${isNew} onClose=${() => setIsNew(false)} />
    <//>
  `;
}

const columns = [
  { id: "name", title: "Domain", kind: "main", sort: (/** @type {any} */ row) => row.name,
    cell: (/** @type {any} */ row) => html`
      <a href=${link("/domains", row.name)}><${Address} of=${row.name} /></a><${Kept} row=${row} />
      ${row.aliases.length > 0 && html`<div class="quiet wrap-anywhere">also ${row.aliases.join(", ")}</div>`}
    ` },
  { id: "state", title: "State", cell: (/** @type {any} */ row) => html`<${State} domain=${row} />` },
  { id: "catch_all", title: "Unknown names go to",
    cell: (/** @type {any} */ row) => row.catch_all
      ? html`<span class="wrap-anywhere">${row.catch_all}</span>` : html`<span class="quiet">nobody: refused</span>` },
  { id: "max_accounts", title: "Accounts at most", kind: "number", cell: (/** @type {any} */ row) => row.max_accounts ?? "no limit" },
  { id: "created_at", title: "Made", kind: "tight", sort: (/** @type {any} */ row) => row.created_at,
    cell: (/** @type {any} */ row) => html`<${Time} at=${row.created_at} />` },
];

/** @param {{ domain: any }} props */
export function State({ domain }) {
  return domain.enabled ? html`<${Badge} kind="ok">on<//>` : html`<${Badge} kind="warn">off: takes no mail<//>`;
}

/** @param {{ open: boolean, onClose: () => void }} props */
function NewDomain({ open, onClose }) {
  const create = async (/** @type {any} */ { name }) => {
    const path = at`/domains/${name.trim().toLowerCase()}`;
    const { body } = await put(path, {}, { create: true });
    toast(`${body.name} takes mail now.`);
    go(`/domains/${encodeURIComponent(body.name)}`);
  };
  return html`
    <${Dialog} title="New domain" open=${open} onClose=${onClose}>
      <${Form} onSubmit=${create} submit="Create" onCancel=${onClose}>
        <${Field} label="Domain" name="name" parameter="domain" required autofocus hint="What stands behind the @, as in example.org" />
      <//>
    <//>
  `;
}
