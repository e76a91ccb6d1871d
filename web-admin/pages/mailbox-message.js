import { html, useState } from "../vendor/preact.js";
import { at, patch, remove } from "../api.js";
import { go, link } from "../router.js";
import { can } from "../session.js";
import { Address } from "../ui/address.js";
import { ConfirmDialog } from "../ui/dialog.js";
import { bytes } from "../ui/format.js";
import { Loaded, useGet } from "../ui/load.js";
import { Facts, Page, Section } from "../ui/page.js";
import { Reading } from "../ui/reading.js";
import { Time } from "../ui/time.js";
import { toast } from "../ui/toast.js";
import { flagName, people } from "./mailbox-messages.js";

/**
 * One message of a mailbox.
 * @param {{ address: string, mailbox: string, uid: string }} props
 */
export function MailboxMessage({ address, mailbox, uid }) {
  const trail = [["Mailboxes", link("/mailboxes")], [address, link("/mailboxes", address)], [mailbox, link("/mailboxes", address, mailbox)]];
  return html`
    <${Page} title="Message" trail=${trail}>
      <${Reading} address=${address}><${Content} address=${address} mailbox=${mailbox} uid=${uid} /><//>
    <//>
  `;
}

/** @param {{ address: string, mailbox: string, uid: string }} props */
function Content({ address, mailbox, uid }) {
  const path = at`/accounts/${address}/mailboxes/${mailbox}/messages/${uid}`;
  const message = useGet(path);
  return html`
    <${Loaded} of=${message}>
      ${(/** @type {any} */ row) => html`
        <${Head} row=${row} path=${path} back=${link("/mailboxes", address, mailbox)} onChanged=${message.reload} />
        <${Body} row=${row} path=${path} />
        <${Structure} row=${row} path=${path} />
        <${Header} headers=${row.headers} />
      `}
    <//>
  `;
}

/** @param {{ row: any, path: string, back: string, onChanged: () => void }} props */
function Head({ row, path, back, onChanged }) {
  const [isDeleting, setIsDeleting] = useState(false);
  const isSeen = row.flags.some((/** @type {string} */ flag) => flag.toLowerCase() === "\\seen");
  const mark = async () => {
    await patch(path, isSeen ? { flags_remove: ["\\Seen"] } : { flags_add: ["\\Seen"] });
    onChanged();
  };
  const erase = async () => {
    await remove(path);
    toast("Deleted the message.");
    go(back);
  };
  return html`
    <h2 class="subject wrap-anywhere"><bdi>${row.subject || "(no subject)"}</bdi></h2>
    <${Facts} of=${[
      ["From", html`<bdi><${Address} of=${people(row.from)} /></bdi>`],
      ["To", html`<bdi><${Address} of=${people(row.to)} none="nobody is named" /></bdi>`],
      ["Cc", row.cc && html`<bdi class="wrap-anywhere">${people(row.cc)}</bdi>`],
      ["Received", html`<${Time} at=${row.at} />`],
      ["Size", bytes(row.size_bytes)],
      ["Flags", row.flags.length > 0 ? row.flags.map(flagName).join(", ") : html`<span class="quiet">none</span>`],
      ["Where it has been", html`<a class="mono" href=${link("/trace", row.id)}>${row.id}</a>`],
    ]} />
    <div class="row">
      <a class="button" href=${`/api/v1${path}/raw`} download=${`${row.id}.eml`}>Download</a>
      ${can("messages:write") && html`
        <button type="button" onClick=${() => mark().catch(toast.error)}>${isSeen ? "Mark as unread" : "Mark as read"}</button>
        <button type="button" class="danger" onClick=${() => setIsDeleting(true)}>Delete…</button>
      `}
    </div>
    <${ConfirmDialog} open=${isDeleting} title="Delete this message" verb="Delete the message" danger onConfirm=${erase} onClose=${() => setIsDeleting(false)}
      loses=${html`1 message, “<bdi>${row.subject || "no subject"}</bdi>” (${bytes(row.size_bytes)})`}>
      <p>It does not go to a bin.</p>
    <//>
  `;
}

/** @param {{ row: any, path: string }} props */
function Body({ row, path }) {
  const page = leaves(row.structure).find((part) => part.content_type === "text/html");
  const [isFramed, setIsFramed] = useState(false);
  const button = page && html`
    <button type="button" aria-pressed=${isFramed} onClick=${() => setIsFramed(!isFramed)}>${isFramed ? "Show as text" : "Show as HTML"}</button>`;
  return html`
    <${Section} title="Text" actions=${button}>
      ${isFramed
        ? html`
          <p class="quiet">Shown in a closed frame: no script, no picture from elsewhere, no form. Links go nowhere.</p>
          <iframe class="letter" sandbox="" referrerpolicy="no-referrer" title="The message as HTML" src=${`/api/v1${path}/parts/${page.number}?render=true`}></iframe>`
        : row.text
          ? html`
            ${page && row.text_part === page.number && html`<p class="quiet">The message has no plain text: this is its HTML as it stands.</p>`}
            <pre class="letter" tabindex="0" role="region" aria-label="Text of the message">${row.text}</pre>
            ${row.text_truncated && html`<p class="quiet">It goes on: the part ${row.text_part} below has all of it.</p>`}`
          : html`<p class="quiet">The message has no text.</p>`}
    <//>
  `;
}

/** @param {{ row: any, path: string }} props */
function Structure({ row, path }) {
  return html`
    <${Section} title="Parts">
      <ul class="tree"><${Part} part=${row.structure} path=${path} /></ul>
    <//>
  `;
}

/** @param {{ part: any, path: string }} props */
function Part({ part, path }) {
  const isLeaf = part.parts.length === 0;
  const name = part.filename || part.content_type;
  return html`
    <li>
      <div class="tree-line">
        <span class="mono quiet">${part.number ?? "–"}</span>
        ${isLeaf
          ? html`<a class="wrap-anywhere" href=${`/api/v1${path}/parts/${part.number}`} download=${part.filename ?? ""}><bdi>${name}</bdi></a>`
          : html`<span class="wrap-anywhere">${part.content_type}</span>`}
        ${isLeaf && part.filename && html`<span class="quiet wrap-anywhere">${part.content_type}</span>`}
        ${isLeaf && html`<span class="quiet">${bytes(part.size_bytes)}</span>`}
      </div>
      ${!isLeaf && html`<ul>${part.parts.map((/** @type {any} */ child) => html`<${Part} key=${child.number} part=${child} path=${path} />`)}</ul>`}
    </li>
  `;
}

/** @param {{ headers: { name: string, value: string }[] }} props */
function Header({ headers }) {
  return html`
    <${Section} title="Header">
      <details>
        <summary>${headers.length} fields</summary>
        <dl class="header-fields">
          ${headers.map(({ name, value }, i) => html`<div key=${i}><dt class="wrap-anywhere">${name}</dt><dd class="wrap-anywhere"><bdi>${value}</bdi></dd></div>`)}
        </dl>
      </details>
    <//>
  `;
}

/**
 * All parts that have no parts, in their order.
 * @param {any} part
 * @returns {any[]}
 */
function leaves(part) {
  return part.parts.length > 0 ? part.parts.flatMap(leaves) : [part];
}
