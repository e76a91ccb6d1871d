import { html } from "../vendor/preact.js";
import { can, isWhole } from "../session.js";
import { CopyButton } from "./copy.js";
import { Loaded, useGet } from "./load.js";
import { Section } from "./page.js";
import { Table } from "./table.js";

/** What a mail program can use, best first: listener, protocol of an account, words, usual port. */
const WAYS = [
  { listener: "imaps", protocol: "imap", use: "Reading", name: "IMAP", port: 993, security: "TLS (SSL/TLS)" },
  { listener: "imap", protocol: "imap", use: "Reading", name: "IMAP", port: 143, security: "STARTTLS" },
  { listener: "pop3s", protocol: "pop3", use: "Fetching", name: "POP3", port: 995, security: "TLS (SSL/TLS)" },
  { listener: "pop3", protocol: "pop3", use: "Fetching", name: "POP3", port: 110, security: "STARTTLS" },
  { listener: "submissions", protocol: "submission", use: "Sending", name: "SMTP", port: 465, security: "TLS (SSL/TLS)" },
  { listener: "submission", protocol: "submission", use: "Sending", name: "SMTP", port: 587, security: "STARTTLS" },
];

/**
 * What to enter in a mail program.
 * @param {{ account: any }} props
 */
export function ClientSetup({ account }) {
  const version = useGet("/version");
  // Who may not see the overview is shown the usual ports.
  const overview = useGet(can("queue:read") && isWhole() ? "/overview" : null);
  const listeners = overview.data?.listeners;
  return html`
    <${Section} title="In a mail program">
      <${Loaded} of=${version}>
        ${(/** @type {any} */ { hostname }) => {
          const ways = WAYS.filter((way) => account.protocols.includes(way.protocol))
            .map((way) => ({ ...way, bound: /** @type {any[] | undefined} */ (listeners)?.find((one) => one.name === way.listener) }))
            .filter((way) => !listeners || way.bound);
          return html`
            <p>
              User name: <code class="wrap-anywhere">${account.address}</code> (the whole address). Password: the account's, or better an app password.
            </p>
            <${Ways} label="Servers to enter in a mail program" ways=${ways.filter((way) => way.security !== "STARTTLS")} hostname=${hostname} />
            ${ways.some((way) => way.security === "STARTTLS") && html`
              <details>
                <summary>For programs that know only STARTTLS</summary>
                <${Ways} label="Servers for programs that know only STARTTLS" ways=${ways.filter((way) => way.security === "STARTTLS")} hostname=${hostname} />
              </details>
            `}
            ${ways.length === 0 && html`<p class="quiet">It may log in by no protocol of mail programs.</p>`}
            <div class="row">
              <${CopyButton} text=${asText(account.address, hostname, ways)} label="Copy as text" words />
              ${!listeners && html`<span class="quiet">These are the usual ports; whoever runs this server may have chosen others.</span>`}
            </div>
          `;
        }}
      <//>
    <//>
  `;
}

/** @param {{ label: string, ways: any[], hostname: string }} props */
function Ways({ label, ways, hostname }) {
  if (ways.length === 0) return null;
  const columns = /** @type {import("./table.js").Column[]} */ ([
    { id: "use", title: "For", kind: "main", cell: (way) => html`${way.use} <span class="quiet">${way.name}</span>` },
    { id: "server", title: "Server", cell: () => html`<span class="wrap-anywhere">${hostname}</span>` },
    { id: "port", title: "Port", cell: (way) => way.bound?.port ?? way.port },
    { id: "security", title: "Security", cell: (way) => way.security },
  ]);
  return html`<${Table} label=${label} rows=${ways} rowKey=${(/** @type {any} */ way) => way.listener} columns=${columns} />`;
}

/**
 * The table for a letter to whom the account is for.
 * @param {string} address
 * @param {string} hostname
 * @param {any[]} ways
 */
function asText(address, hostname, ways) {
  const lines = ways.map((way) => `${way.use} (${way.name}): ${hostname}, port ${way.bound?.port ?? way.port}, ${way.security}`);
  return [`User name: ${address}`, ...lines, ""].join("\n");
}
