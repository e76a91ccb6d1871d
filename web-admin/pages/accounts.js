import { html } from "../vendor/preact.js";
import { at, put } from "../api.js";
import { go, link, setQuery } from "../router.js";
import { can } from "../session.js";
import { Address } from "../ui/address.js";
import { Badge } from "../ui/badge.js";
import { Dialog } from "../ui/dialog.js";
import { DomainSelect, useDomains } from "../ui/domains.js";
import { Field, Form } from "../ui/form.js";
import { Kept } from "../ui/kept.js";
import { useList } from "../ui/load.js";
import { Page } from "../ui/page.js";
import { PasswordField } from "../ui/password.js";
import { Quota } from "../ui/quota.js";
import { SearchBox } from "../ui/search.js";
import { EmptyState, ErrorBox } from "../ui/state.js";
import { Table } from "../ui/table.js";
import { Time } from "../ui/time.js";
import { toast } from "../ui/toast.js";
import { Account } from "./account.js";

/**
 * Who has mail here? With an address behind it: that account.
 * @param {{ parts: string[], query: Record<string, string> }} props
 */
export default function Accounts({ parts, query }) {
  if (parts[0]) return html`<${Account} key=${parts[0]} address=${parts[0]} />`;
  return html`<${List} query=${query} />`;
}

/** @param {{ query: Record<string, string> }} props */
function List({ query }) {
  const list = useList("/accounts", { query: { q: query.q, domain: query.domain } });
  const isFiltered = Boolean(query.q || query.domain);
  const button = can("accounts:write")
    && html`<button type="button" class="primary" onClick=${() => setQuery({ new: "yes" })}>New account</button>`;
  return html`
    <${Page} title="Accounts" lead="People and services that log in and have mail here." actions=${button}>
      <div class="narrow">
        <${SearchBox} label="Find an account" value=${query.q} onSearch=${(/** @type {string} */ q) => setQuery({ q })} />
        <${DomainSelect} value=${query.domain} onChange=${(/** @type {string} */ domain) => setQuery({ domain })} />
      </div>
      ${list.error && html`<${ErrorBox} error=${list.error} retry=${list.reload} />`}
      ${!list.error && html`
        <${Table} label="Accounts" rows=${list.items} list=${list} rowKey=${(/** @type {any} */ row) => row.address} columns=${columns}
          onOpen=${(/** @type {any} */ row) => go(link("/accounts", row.address))} empty=${isFiltered
            ? html`<${EmptyState} title="No account fits"><button type="button" onClick=${() => setQuery({ q: "", domain: "" })}>Show all</button><//>`
            : html`<${EmptyState} title="No account yet">An account is an address with a mailbox and a password. ${button}<//>`} />
      `}
      <${NewAccount} open=${query.new === "yes" && can("accounts:write")} domain=${query.domain} onClose=${() => setQuery({ new: "" })} />
    <//>
  `;
}

const columns = [
  { id: "address", title: "Address", kind: "main", sort: (/** @type {any} */ row) => row.address,
    cell: (/** @type {any} */ row) => html`
      <a href=${link("/accounts", row.address)}><${Address} of=${row.address} /></a><${Kept} row=${row} />
      ${row.display_name && html`<div class="quiet wrap-anywhere">${row.display_name}</div>`}
    ` },
  { id: "state", title: "State", cell: (/** @type {any} */ row) => html`<${State} account=${row} />` },
  { id: "roles", title: "Role", cell: (/** @type {any} */ row) => html`<${Roles} roles=${row.roles} />` },
  { id: "used", title: "Used", sort: (/** @type {any} */ row) => row.used_bytes,
    cell: (/** @type {any} */ row) => html`<${Quota} used=${row.used_bytes} quota=${row.quota_bytes} label=${`Space used by ${row.address}`} />` },
  { id: "messages", title: "Messages", kind: "number", sort: (/** @type {any} */ row) => row.message_count,
    cell: (/** @type {any} */ row) => row.message_count.toLocaleString("en") },
  { id: "last", title: "Last login", kind: "tight", sort: (/** @type {any} */ row) => row.last_login?.at ?? "",
    cell: (/** @type {any} */ row) => row.last_login ? html`<${Time} at=${row.last_login.at} />` : html`<span class="quiet">never</span>` },
];

/** @param {{ account: any }} props */
export function State({ account }) {
  if (!account.enabled) return html`<${Badge} kind="warn">disabled<//>`;
  return account.password.set ? html`<${Badge} kind="ok">on<//>` : html`<${Badge} kind="info">no password<//>`;
}

/** @param {{ roles: string[] }} props */
function Roles({ roles }) {
  const special = roles.filter((role) => role !== "user");
  if (special.length === 0) return html`<span class="quiet">user</span>`;
  return html`<span class="wrap-anywhere">${special.map(roleName).join(", ")}</span>`;
}

/** @param {string} role as the interface names it */
export function roleName(role) {
  const [kind, domain] = role.split(":");
  return kind === "domain_admin" ? `admin of ${domain ?? "a domain"}` : kind;
}

/** @param {{ open: boolean, domain?: string, onClose: () => void }} props */
function NewAccount({ open, domain, onClose }) {
  return html`
    <${Dialog} title="New account" open=${open} onClose=${onClose}>
      ${open && html`<${NewAccountForm} domain=${domain} onClose=${onClose} />`}
    <//>
  `;
}

/** @param {{ domain?: string, onClose: () => void }} props */
function NewAccountForm({ domain, onClose }) {
  const domains = useDomains();
  const create = async (/** @type {any} */ { name, domain: at_domain, display_name, password }) => {
    const typed = name.trim();
    const address = typed.includes("@") ? typed : `${typed}@${at_domain}`;
    const body = { display_name: display_name.trim(), ...(password && { password }) };
    const { body: made } = await put(at`/accounts/${address}`, body, { create: true });
    toast(`Created ${made.address}.`);
    go(link("/accounts", made.address));
  };
  if (domains.items && domains.items.length === 0) {
    return html`<p>An account belongs to a domain, and there is none yet.</p><p><a class="button primary" href=${link("/domains")}>To the domains</a></p>`;
  }
  const choices = (domains.items ?? []).map((/** @type {any} */ row) => [row.name, `@${row.name}`]);
  return html`
    <${Form} onSubmit=${create} submit="Create" onCancel=${onClose}>
      <div class="pair">
        <${Field} label="Name" name="name" parameter="address" required autofocus autocomplete="off" spellcheck=${false}
          hint="What stands before the @" />
        <${Field} label="Domain" name="domain" type="select" value=${domain ?? choices[0]?.[0]} options=${choices} />
      </div>
      <${Field} label="Whose it is" name="display_name" hint="For people; may stay empty." />
      <${PasswordField} label="Password" name="password" autocomplete="new-password" measured makes
        hint="Without one nobody can log in; mail is taken in all the same." />
    <//>
  `;
}
