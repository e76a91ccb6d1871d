import { html } from "../vendor/preact.js";
import { CopyButton } from "./copy.js";

/**
 * @typedef {{ type: string, name: string, value: string, why: string, need: "needed" | "advised" }} DnsRecord
 */

/**
 * What the DNS of a domain has to say so that mail finds its way here.
 * @param {string} domain
 * @param {string} hostname
 * @returns {DnsRecord[]}
 */
export function recordsOf(domain, hostname) {
  const host = `${hostname}.`;
  return [
    { type: "MX", name: `${domain}.`, value: `10 ${host}`, need: "needed", why: "Leads mail for the domain to this server." },
    { type: "TXT", name: `${domain}.`, value: `"v=spf1 mx -all"`, need: "needed",
      why: "SPF: only this server sends mail of the domain. If others send too, put their include: before -all." },
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
          </div>
          <p>${record.why}</p>
          <div class="record-line">
            <code class="mono wrap-anywhere">${zoneLine(record)}</code>
            <${CopyButton} text=${zoneLine(record)} label=${`Copy the ${record.type} record of ${record.name}`} />
          </div>
        </li>
      `)}
    </ul>
  `;
}
