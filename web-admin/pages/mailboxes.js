import { html, useState } from "../vendor/preact.js";
import { at, put, remove } from "../api.js";
import { go, link, setQuery } from "../router.js";
import { can } from "../session.js";
import { Address } from "../ui/address.js";
import { ConfirmDialog, Dialog } from "../ui/dialog.js";
import { Field, Form } from "../ui/form.js";
import { bytes, count, plural } from "../ui/format.js";
import { Loaded, useGet, useList } from "../ui/load.js";
import { Page } from "../ui/page.js";
import { Quota } from "../ui/quota.js";
import { SearchBox } from "../ui/search.js";
import { EmptyState, ErrorBox } from "../ui/state.js";
import { Table } from "../ui/table.js";
import { toast } from "../ui/toast.js";
import { MailboxMessage } from "./mailbox-message.js";
import { Messages } from "./mailbox-messages.js";

/**
 * What is in it? Of all accounts, of one, of one of its mailboxes, of one message there.
 * @param {{ parts: string[], query: Record<string, string> }} props
 */
export default function Mailboxes({ parts, query }) {
  const [address, mailbox, uid] = parts;
  if (uid) return html`<${MailboxMessage} key=${parts.join("/")} address=${address} mailbox=${mailbox} uid=${uid} />`;
  if (mailbox) return html`<${Messages} key=${parts.join("/")} address=${address} mailbox=${mailbox} />`;
  if (address) return html`<${Folders} key=${address} address=${address} />`;
  return html`<${Owners} query=${query} />`;
}

/** @param {{ query: Record<string, string> }} props */
function Owners({ query }) {
  const list = useList("/accounts", { query: { q: query.q } });
  const columns = [
    { id: "address", title: "Account", kind: "main", sort: (/** @type {any} */ row) => row.address,
      cell: (/** @type {any} */ row) => html`
        <a href=${link("/mailboxes", row.address)}><${Address} of=${row.address} /></a>
        ${row.display_name && html`<div class="quiet wrap-anywhere">${row.display_name}</div>`}
      ` },
    { id: "messages", title: "Messages", kind: "number", sort: (/** @type {any} */ row) => row.message_count, cell: (/** @type {any} */ row) => count(row.message_count) },
    { id: "used", title: "Used", sort: (/** @type {any} */ row) => row.used_bytes,
      cell: (/** @type {any} */ row) => html`<${Quota} used=${row.used_bytes} quota=${row.quota_bytes} label=${`Space used by ${row.address}`} />` },
  ];
  return html`
    <${Page} title="Mailboxes" lead="Whose mailboxes do you want to see?">
      <${SearchBox} label="Find an account" value=${query.q} onSearch=${(/** @type {string} */ q) => setQuery({ q })} />
      ${list.error ? html`<${ErrorBox} error=${list.error} retry=${list.reload} />` : html`
        <${Table} label="Accounts" rows=${list.items} list=${list} rowKey=${(/** @type {any} */ row) => row.address} columns=${columns}
          onOpen=${(/** @type {any} */ row) => go(link("/mailboxes", row.address))}
          empty=${query.q ? html`<${EmptyState} title="No account fits"><//>`
            : html`<${EmptyState} title="No account yet"><a href=${`${link("/accounts")}?new=yes`}>Make one</a><//>`} />
      `}
    <//>
  `;
}

/** @param {{ address: string }} props */
function Folders({ address }) {
  const list = useGet(at`/accounts/${address}/mailboxes`);
  const [isNew, setIsNew] = useState(false);
  const [doomed, setDoomed] = useState(/** @type {any} */ (null));
  const mayWrite = can("accounts:write");
  const create = async (/** @type {any} */ { name }) => {
    await put(at`/accounts/${address}/mailboxes/${name.trim()}`, {}, { create: true });
    toast(`Created the mailbox ${name.trim()}.`);
    setIsNew(false);
    list.reload();
  };
  const erase = async () => {
    await remove(at`/accounts/${address}/mailboxes/${doomed.name}`);
    toast(`Deleted the mailbox ${doomed.name}.`);
    list.reload();
  };
  const columns = [
    { id: "name", title: "Mailbox", kind: "main", sort: (/** @type {any} */ row) => row.name,
      cell: (/** @type {any} */ row) => html`
        <a class="wrap-anywhere" href=${link("/mailboxes", address, row.name)}>${row.name}</a>
        ${row.special_use && html` <span class="quiet">${useName(row.special_use)}</span>`}
      ` },
    { id: "exists", title: "Messages", kind: "number", sort: (/** @type {any} */ row) => row.exists, cell: (/** @type {any} */ row) => count(row.exists) },
    { id: "unseen", title: "Unread", kind: "number", sort: (/** @type {any} */ row) => row.unseen, cell: (/** @type {any} */ row) => count(row.unseen) },
    { id: "size", title: "Size", kind: "number", sort: (/** @type {any} */ row) => row.size_bytes, cell: (/** @type {any} */ row) => bytes(row.size_bytes) },
    { id: "subscribed", title: "Subscribed", cell: (/** @type {any} */ row) => (row.subscribed ? "yes" : html`<span class="quiet">no</span>`) },
    ...(mayWrite ? [{ id: "delete", title: "Delete", hideTitle: true, kind: "tight", cell: (/** @type {any} */ row) => row.name !== "INBOX" && html`
      <button type="button" class="quiet danger small" aria-label=${`Delete ${row.name}`} onClick=${() => setDoomed(row)}>Delete…</button>` }] : []),
  ];
  const button = mayWrite && html`<button type="button" class="primary" onClick=${() => setIsNew(true)}>New mailbox</button>`;
  return html`
    <${Page} title=${`Mailboxes of ${address}`} trail=${[["Mailboxes", link("/mailboxes")]]}
      actions=${html`<a class="button" href=${link("/accounts", address)}>The account</a>${button}`}>
      <${Loaded} of=${list}>
        ${(/** @type {any} */ { items }) => html`
          <${Table} label=${`Mailboxes of ${address}`} rows=${items} rowKey=${(/** @type {any} */ row) => row.name} columns=${columns}
            onOpen=${(/** @type {any} */ row) => go(link("/mailboxes", address, row.name))} empty=${html`<${EmptyState} title="No mailbox"><//>`} />
        `}
      <//>
      <${Dialog} title="New mailbox" open=${isNew} onClose=${() => setIsNew(false)}>
        ${isNew && html`
          <${Form} onSubmit=${create} submit="Create" onCancel=${() => setIsNew(false)}>
            <${Field} label="Name" name="name" parameter="name" required autofocus hint="A slash makes a mailbox inside another, as in Projects/2026" />
          <//>
        `}
      <//>
      <${ConfirmDialog} open=${doomed !== null} title=${`Delete the mailbox “${doomed?.name}”`} verb="Delete the mailbox" danger onConfirm=${erase} onClose=${() => setDoomed(null)}
        typed=${doomed?.exists > 0 ? doomed.name : undefined}
        loses=${`${plural(doomed?.exists ?? 0, "message")} (${bytes(doomed?.size_bytes ?? 0)}), ${count(doomed?.unseen ?? 0)} of them unread`}>
        <p>They do not go to a bin.</p>
      <//>
    <//>
  `;
}

/** @param {string} use as in `\\Sent` */
function useName(use) {
  return use.replace(/^\\/, "").toLowerCase();
}
