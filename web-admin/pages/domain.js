import { html, useEffect, useState } from "../vendor/preact.js";
import { at, get, patch, remove } from "../api.js";
import { go, link } from "../router.js";
import { can } from "../session.js";
import { CopyButton } from "../ui/copy.js";
import { ConfirmDialog } from "../ui/dialog.js";
import { Field, Form } from "../ui/form.js";
import { plural } from "../ui/format.js";
import { KeptToo, useLock } from "../ui/kept.js";
import { Loaded, useGet } from "../ui/load.js";
import { Facts, Page, Section } from "../ui/page.js";
import { Records, recordsOf, wanted, zoneLine } from "../ui/records.js";
import { SizeField } from "../ui/size.js";
import { Time } from "../ui/time.js";
import { toast } from "../ui/toast.js";
import { State } from "./domains.js";
import { Dkim } from "./parts/dkim.js";

/** @type {[string, string][]} */
const POLICIES = [
  ["", "None is published"],
  ["testing", "Testing: others report what would fail"],
  ["enforce", "Enforce: no mail without a proved connection"],
  ["none", "None any more: others forget older ones"],
];

/** @param {{ name: string }} props */
export function Domain({ name }) {
  const domain = useGet(at`/domains/${name}`);
  const dns = useGet(at`/domains/${name}/dns`);
  const [isDeleting, setIsDeleting] = useState(false);
  // Another name of it has records of its own.
  const reload = () => {
    domain.reload();
    dns.reload();
  };
  const actions = can("domains:write") && domain.data
    && html`<button type="button" class="danger" onClick=${() => setIsDeleting(true)}>Delete…</button>`;
  return html`
    <${Page} title=${name} trail=${[["Domains", link("/domains")]]} actions=${actions}>
      <${Loaded} of=${domain}>
        ${(/** @type {any} */ row) => html`
          <${Summary} row=${row} />
          <${Settings} row=${row} etag=${domain.etag} onSaved=${reload} />
          <${Dkim} domain=${row.name} onChanged=${dns.reload} />
          <${Dns} row=${row} dns=${dns} />
          <${Delete} row=${row} open=${isDeleting} onClose=${() => setIsDeleting(false)} />
        `}
      <//>
    <//>
  `;
}

/** @param {{ row: any }} props */
function Summary({ row }) {
  const users = useUsers(row.name);
  return html`
    <${Facts} of=${[
      ["State", html`<${State} domain=${row} />`],
      ["Accounts", html`<a href=${usersOf("/accounts", row.name)}>${users ? users.accountsText : "…"}</a>`],
      ["Aliases", html`<a href=${usersOf("/aliases", row.name)}>${users ? users.aliasesText : "…"}</a>`],
      ["Made", html`<${Time} at=${row.created_at} />`],
      ["Changed", html`<${Time} at=${row.changed_at} />`],
    ]} />
  `;
}

/** @param {{ row: any, etag: string, onSaved: () => void }} props */
function Settings({ row, etag, onSaved }) {
  const { isLocked, notice } = useLock(row, can("domains:write"));
  const save = async (/** @type {any} */ values) => {
    const body = { ...values, catch_all: values.catch_all.trim() || null, mta_sts_mode: values.mta_sts_mode || null };
    await patch(at`/domains/${row.name}`, body, { etag });
    toast(`Saved ${row.name}.`);
    onSaved();
  };
  return html`
    <${Section} title="How its mail is taken">
      ${notice}
      <${Form} key=${etag} onSubmit=${save} submit="Save" reload=${onSaved} readOnly=${isLocked || !can("domains:write")}>
        <${Field} label="Takes mail" name="enabled" type="checkbox" value=${row.enabled}
          hint="Off: mail for it is refused, and what is there stays." />
        <div class="pair">
          <${Field} label="Unknown names go to" name="catch_all" type="email" value=${row.catch_all ?? ""}
            hint="An address that gets the mail for every name that nobody has. Empty: such mail is refused, which is what most want." />
          <${Field} label="Separates a name from its tag" name="subaddress_sep" value=${row.subaddress_sep}
            hint="With +, mail for alice+shop goes to alice. Empty: there are no tags." />
        </div>
        <${Field} label="Other names of the domain" name="aliases" type="lines" value=${row.aliases}
          hint="One a line: each address in them is the same address here." />
        <div class="pair">
          <${SizeField} label="Quota of an account" name="default_quota_bytes" value=${row.default_quota_bytes}
            hint="For accounts that have none of their own." />
          <${Field} label="Accounts at most" name="max_accounts" type="number" min="0" value=${row.max_accounts} hint="Empty: no limit." />
        </div>
        <${Field} label="TLS policy for those who send to it" name="mta_sts_mode" type="select" value=${row.mta_sts_mode ?? ""} options=${POLICIES}
          hint="MTA-STS. It counts when the two records below are there, and others reach this server at mta-sts. and the domain's name by HTTPS, with a certificate for that name from a public authority." />
      <//>
    <//>
  `;
}

/** @param {{ row: any, dns: import("../ui/load.js").Resource }} props */
function Dns({ row, dns }) {
  const version = useGet("/version");
  return html`
    <${Section} title="What the DNS has to say"
      actions=${html`<button type="button" onClick=${dns.reload} disabled=${dns.loading}>Look again</button>`}>
      <p class="quiet">To enter where the domain is registered. What is there is remembered for some minutes.</p>
      <${Loaded} of=${version}>
        ${(/** @type {any} */ { hostname }) => {
          const programs = recordsOf(row.name, hostname);
          return html`
            <${Loaded} of=${dns}>
              ${(/** @type {any} */ seen) => {
                const records = [...seen.records.map(wanted), ...programs];
                const all = records.map(zoneLine).join("\n");
                return html`
                  <${Records} records=${records} />
                  <div class="row"><${CopyButton} text=${`${all}\n`} label="Copy all as a zone file" words /></div>`;
              }}
            <//>
            <h3>The server's own name</h3>
            <p>
              <code class="wrap-anywhere">${hostname}</code> needs an A record (and AAAA, if it has IPv6) with this machine's address. Whoever gives you the
              address (the hosting provider) has to set its reverse name, PTR, to the same name; this can be sent to them:
            </p>
            <div class="record-line">
              <span class="wrap-anywhere">${ptrText(hostname)}</span>
              <${CopyButton} text=${ptrText(hostname)} label="Copy the request for the PTR record" />
            </div>
          `;
        }}
      <//>
    <//>
  `;
}

/** @param {string} hostname */
function ptrText(hostname) {
  return `Please set the reverse DNS (PTR) of our server's IPv4 and IPv6 address to ${hostname}`;
}

/** @param {{ row: any, open: boolean, onClose: () => void }} props */
function Delete({ row, open, onClose }) {
  const users = useUsers(open ? row.name : null);
  const isEmpty = users !== null && users.accounts === 0 && users.aliases === 0;
  const erase = async () => {
    await remove(at`/domains/${row.name}`);
    toast(`Deleted ${row.name}.`);
    go("/domains");
  };
  const names = row.aliases.length > 0 ? ` and its ${plural(row.aliases.length, "other name")}` : "";
  return html`
    <${ConfirmDialog} open=${open} title=${`Delete ${row.name}`} loses=${isEmpty && `1 domain with its settings${names}`} verb="Delete the domain" danger
      disabled=${users !== null && !isEmpty} onConfirm=${erase} onClose=${onClose}>
      ${isEmpty && html`<p>It has no account and no alias, so no mail is lost. Mail for it is refused from then on.</p><${KeptToo} row=${row} />`}
      ${users !== null && !isEmpty && html`
        <p>
          It still has <a href=${usersOf("/accounts", row.name)}>${users.accountsText}</a> and <a href=${usersOf("/aliases", row.name)}>${users.aliasesText}</a>.
          The server deletes only an empty domain: delete those first.
        </p>
      `}
    <//>
  `;
}

/**
 * The list of accounts or aliases of a domain.
 * @param {string} page
 * @param {string} domain
 */
function usersOf(page, domain) {
  return `${link(page)}?domain=${encodeURIComponent(domain)}`;
}

/**
 * How many accounts and aliases a domain has.
 * @param {string|null} domain
 */
function useUsers(domain) {
  const [users, setUsers] = useState(/** @type {null | { accounts: number, aliases: number, accountsText: string, aliasesText: string }} */ (null));
  useEffect(() => {
    if (!domain || !can("accounts:read")) return undefined;
    let isCurrent = true;
    const query = { domain, count: "true", limit: "1" };
    Promise.all([get("/accounts", query), get("/aliases", query)]).then(([accounts, aliases]) => {
      if (!isCurrent) return;
      setUsers({ accounts: accounts.count, aliases: aliases.count, accountsText: counted(accounts, "account"), aliasesText: counted(aliases, "alias", "aliases") });
    }).catch(() => undefined);
    return () => { isCurrent = false; };
  }, [domain]);
  return users;
}

/**
 * @param {{ count: number, count_exact: boolean }} page
 * @param {string} one
 * @param {string} [many]
 */
function counted(page, one, many) {
  return `${page.count_exact ? "" : "more than "}${plural(page.count, one, many)}`;
}
