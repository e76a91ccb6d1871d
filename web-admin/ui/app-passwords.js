import { html, useState } from "../vendor/preact.js";
import { at, post, remove } from "../api.js";
import { can, session } from "../session.js";
import { ChecksField } from "./checks.js";
import { ConfirmDialog, Dialog } from "./dialog.js";
import { EXPIRY, expiryOf } from "./expiry.js";
import { Field, Form } from "./form.js";
import { Loaded, useGet } from "./load.js";
import { Section } from "./page.js";
import { Secret } from "./secret.js";
import { Table } from "./table.js";
import { Time } from "./time.js";
import { toast } from "./toast.js";

/** Where an account may log in. */
export const PROTOCOLS = [["submission", "Sending (SMTP)"], ["imap", "Reading (IMAP)"], ["pop3", "Fetching (POP3)"], ["http", "This page and the REST interface"]];
const NAMES = new Map(/** @type {[string, string][]} */ (PROTOCOLS.map(([id, text]) => [id, text.replace(/ \(.*|This page and the /g, "")])));

/**
 * Passwords for single programs: each can be taken back alone.
 * @param {{ address: string }} props
 */
export function AppPasswords({ address }) {
  const list = useGet(at`/accounts/${address}/app-passwords`);
  const [isNew, setIsNew] = useState(false);
  const [made, setMade] = useState(/** @type {any} */ (null));
  const [doomed, setDoomed] = useState(/** @type {any} */ (null));
  const mayWrite = can("accounts:write");
  // A password that reads another's mail is content.
  const mayRead = can("messages:read") || session.value?.account === address;
  const options = PROTOCOLS.filter(([id]) => (mayRead ? id !== "http" : id === "submission"));
  const create = async (/** @type {any} */ { name, protocols, expiry }) => {
    const { body } = await post(at`/accounts/${address}/app-passwords`, { name: name.trim(), protocols, expires_at: expiryOf(expiry) });
    setMade(body);
    setIsNew(false);
    list.reload();
  };
  const erase = async () => {
    await remove(at`/accounts/${address}/app-passwords/${doomed.id}`);
    toast(`“${doomed.name}” can't log in any more.`);
    list.reload();
  };
  const columns = [
    { id: "name", title: "For", kind: "main", cell: (/** @type {any} */ row) => html`<span class="wrap-anywhere">${row.name}</span>` },
    { id: "protocols", title: "Logs in by", cell: (/** @type {any} */ row) => row.protocols.map((/** @type {string} */ id) => NAMES.get(id) ?? id).join(", ") },
    { id: "used", title: "Last used", kind: "tight", cell: (/** @type {any} */ row) => row.last_used_at ? html`<${Time} at=${row.last_used_at} />` : html`<span class="quiet">never</span>` },
    { id: "ends", title: "Ends", kind: "tight", cell: (/** @type {any} */ row) => row.expires_at ? html`<${Time} at=${row.expires_at} />` : html`<span class="quiet">never</span>` },
    ...(mayWrite ? [{ id: "delete", title: "Delete", hideTitle: true, kind: "tight",
      cell: (/** @type {any} */ row) => html`<button type="button" class="quiet danger small" aria-label=${`Delete ${row.name}`} onClick=${() => setDoomed(row)}>Delete…</button>` }] : []),
  ];
  const button = mayWrite && html`<button type="button" onClick=${() => { setMade(null); setIsNew(true); }}>New app password</button>`;
  return html`
    <${Section} title="App passwords" actions=${button}>
      ${made && html`<${Secret} value=${made.secret} what=${`App password for “${made.name}”`} onDone=${() => setMade(null)} />`}
      <${Loaded} of=${list}>
        ${(/** @type {any} */ { items }) => html`<${Table} label="App passwords" rows=${items} rowKey=${(/** @type {any} */ row) => row.id} columns=${columns}
          empty=${html`<p class="quiet">None. A password for one phone or program, which can be taken back without changing the main one.</p>`} />`}
      <//>
      <${Dialog} title="New app password" open=${isNew} onClose=${() => setIsNew(false)}>
        ${isNew && html`
          <${Form} onSubmit=${create} submit="Create" onCancel=${() => setIsNew(false)}>
            <${Field} label="For what" name="name" required autofocus hint="For people, as in: phone, scanner" />
            <${ChecksField} label="Logs in by" name="protocols" value=${options.map(([id]) => id)} options=${options} />
            ${!mayRead && html`<p class="hint">One that reads the mail is made by its owner, or by somebody who may read messages.</p>`}
            <${Field} label="Ends" name="expiry" pointer="/expires_at" type="select" value="never" options=${EXPIRY} />
          <//>
        `}
      <//>
      <${ConfirmDialog} open=${doomed !== null} title=${`Delete the app password “${doomed?.name}”`} verb="Delete" danger onConfirm=${erase} onClose=${() => setDoomed(null)}
        loses="1 app password"><p>The program that uses it can't log in any more. No mail is lost.</p><//>
    <//>
  `;
}
