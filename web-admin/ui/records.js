import { html } from "../vendor/preact.js";
import { Badge } from "./badge.js";
import { CopyButton } from "./copy.js";

/**
 * @typedef {{ type: string, name: string, value: string, why: string, need: "needed" | "advised", state?: string, seen?: string[], fix?: string }} DnsRecord
 */

/** @type {Record<string, [string, string]>} */
const STATES = { ok: ["ok", "there"], missing: ["warn", "not there"], wrong: ["bad", "something else"], unknown: ["quiet", "not known"] };

/**
 * A record as the server says that it should be, and what it has found.
 * @param {any} record
 * @returns {DnsRecord}
 */
export function wanted(record) {
  const { type, value, why, state, seen, fix } = record;
  return { type, value, why, state, seen, fix, name: `${record.name}.`, need: record.requirement === "required" ? "needed" : "advised" };
}

/**
 * What programs find the server by. The server does not look for these.
 * @param {string} domain
 * @param {string} hostname
 * @returns {DnsRecord[]}
 */
export function recordsOf(domain, hostname) {
  const host = `${hostname}.`;
  return [
    { type: "SRV", name: `_submissions._tcp.${domain}.`, value: `0 1 465 ${host}`, need: "advised", why: "Mail programs find where to send (RFC 8314)." },
    { type: "SRV", name: `_imaps._tcp.${domain}.`, value: `0 1 993 ${host}`, need: "advised", why: "Mail programs find where to read (RFC 6186)." },
    { type: "SRV", name: `_pop3s._tcp.${domain}.`, value: `10 1 995 ${host}`, need: "advised", why: "The same for POP3." },
  ];
}

/**
 * A record in the form of a zone file.
 * @param {DnsRecord} record
 */
export function zoneLine(record) {
  return `${record.name} 3600 IN ${record.type} ${record.value}`;
}

/** @param {{ records: DnsRecord[] }} props */
export function Records({ records }) {
  return html`
    <ul class="records">
      ${records.map((record) => html`
        <li key=${zoneLine(record)}>
          <div class="record-head">
            <strong>${record.type}</strong>
            <span class="quiet">${record.need}</span>
            ${record.state && html`<${Badge} kind=${(STATES[record.state] ?? ["quiet"])[0]}>${(STATES[record.state] ?? ["", record.state])[1]}<//>`}
          </div>
          <p>${record.why}${record.fix && html` <strong>${record.fix}</strong>`}</p>
          ${record.state !== "ok" && record.seen?.map((text) => html`<p key=${text} class="quiet">There is: <code class="wrap-anywhere">${text}</code></p>`)}
          <div class="record-line">
            <code class="mono wrap-anywhere">${zoneLine(record)}</code>
            <${CopyButton} text=${zoneLine(record)} label=${`Copy the ${record.type} record of ${record.name}`} />
          </div>
        </li>
      `)}
    </ul>
  `;
}
