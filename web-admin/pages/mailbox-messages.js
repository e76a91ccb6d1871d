import { html } from "../vendor/preact.js";
import { at } from "../api.js";
import { go, link } from "../router.js";
import { bytes } from "../ui/format.js";
import { useList } from "../ui/load.js";
import { Page } from "../ui/page.js";
import { Reading } from "../ui/reading.js";
import { EmptyState, ErrorBox } from "../ui/state.js";
import { Table } from "../ui/table.js";
import { Time } from "../ui/time.js";

/**
 * The messages of a mailbox, the newest first.
 * @param {{ address: string, mailbox: string }} props
 */
export function Messages({ address, mailbox }) {
  return html`
    <${Page} title=${mailbox} lead=${address} trail=${[["Mailboxes", link("/mailboxes")], [address, link("/mailboxes", address)]]}>
      <${Reading} address=${address}><${List} address=${address} mailbox=${mailbox} /><//>
    <//>
  `;
}

/** @param {{ address: string, mailbox: string }} props */
function List({ address, mailbox }) {
  const list = useList(at`/accounts/${address}/mailboxes/${mailbox}/messages`, { limit: 50 });
  const columns = [
    { id: "subject", title: "Subject", kind: "main", cell: (/** @type {any} */ row) => html`
      <a class=${`wrap-anywhere ${isSeen(row) ? "" : "unread"}`} href=${link("/mailboxes", address, mailbox, String(row.uid))}>
        <bdi>${row.subject || "(no subject)"}</bdi>${!isSeen(row) && html`<span class="visually-hidden"> (unread)</span>`}
      </a>
      ${otherFlags(row).length > 0 && html` <span class="quiet small">${otherFlags(row).map(flagName).join(", ")}</span>`}
      ${row.preview && html`<div class="quiet preview"><bdi>${row.preview}</bdi></div>`}
    ` },
    { id: "from", title: "From", cell: (/** @type {any} */ row) => html`<div class="from-cell"><bdi class="wrap-anywhere">${people(row.from)}</bdi></div>` },
    { id: "size", title: "Size", kind: "number", cell: (/** @type {any} */ row) => bytes(row.size_bytes) },
    { id: "at", title: "Received", kind: "tight", cell: (/** @type {any} */ row) => html`<${Time} at=${row.at} />` },
  ];
  if (list.error) return html`<${ErrorBox} error=${list.error} retry=${list.reload} />`;
  return html`
    <${Table} label=${`Messages in ${mailbox}`} rows=${list.items} list=${list} rowKey=${(/** @type {any} */ row) => row.uid} columns=${columns}
      onOpen=${(/** @type {any} */ row) => go(link("/mailboxes", address, mailbox, String(row.uid)))} empty=${html`<${EmptyState} title="No message here"><//>`} />
  `;
}

/** @param {any} row */
const isSeen = (row) => row.flags.some((/** @type {string} */ flag) => flag.toLowerCase() === "\\seen");

/**
 * Whether it was seen is shown by its weight; these are the rest.
 * @param {any} row
 * @returns {string[]}
 */
const otherFlags = (row) => row.flags.filter((/** @type {string} */ flag) => flag.toLowerCase() !== "\\seen");

/** @param {string} flag as in `\\Answered` */
export function flagName(flag) {
  return flag.replace(/^[\\$]/, "").toLowerCase();
}

/**
 * Addresses as the interface gives them: one text, or a list.
 * @param {string | string[] | null} value
 */
export function people(value) {
  return Array.isArray(value) ? value.join(", ") : value ?? "";
}
