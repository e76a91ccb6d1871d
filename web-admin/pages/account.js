import { html, useState } from "../vendor/preact.js";
import { at, patch, post, remove } from "../api.js";
import { go, link } from "../router.js";
import { can } from "../session.js";
import { ChecksField } from "../ui/checks.js";
import { ConfirmDialog } from "../ui/dialog.js";
import { useDomains } from "../ui/domains.js";
import { Field, Form } from "../ui/form.js";
import { bytes, plural } from "../ui/format.js";
import { KeptToo, useLock } from "../ui/kept.js";
import { Loaded, useGet } from "../ui/load.js";
import { Facts, Page, Section } from "../ui/page.js";
import { PasswordField } from "../ui/password.js";
import { Quota } from "../ui/quota.js";
import { SizeField } from "../ui/size.js";
import { Time } from "../ui/time.js";
import { toast } from "../ui/toast.js";
import { AppPasswords, PROTOCOLS } from "../ui/app-passwords.js";
import { ClientSetup } from "../ui/client-setup.js";
import { Compromised } from "../ui/compromised.js";
import { State, roleName } from "./accounts.js";

/** @param {{ address: string }} props */
export function Account({ address }) {
  const account = useGet(at`/accounts/${address}`);
  return html`
    <${Page} title=${address} trail=${[["Accounts", link("/accounts")]]} actions=${account.data && html`<${Actions} row=${account.data} onChanged=${account.reload} />`}>
      <${Loaded} of=${account}>
        ${(/** @type {any} */ row) => html`
          <${Summary} row=${row} />
          <${ClientSetup} account=${row} />
          <${Settings} row=${row} etag=${account.etag} onSaved=${account.reload} />
          ${can("accounts:write") && html`<${NewPassword} row=${row} onSaved=${account.reload} />`}
          <${AppPasswords} address=${row.address} />
        `}
      <//>
    <//>
  `;
}

/** @param {{ row: any }} props */
function Summary({ row }) {
  return html`
    <${Facts} of=${[
      ["State", html`<${State} account=${row} />`],
      ["Whose it is", row.display_name || html`<span class="quiet">not said</span>`],
      ["Role", row.roles.map(roleName).join(", ") || "user"],
      ["Space", html`<${Quota} used=${row.used_bytes} quota=${row.quota_bytes} label="Space used" />`],
      ["Messages", html`<a href=${link("/mailboxes", row.address)}>${plural(row.message_count, "message")}</a>`],
      ["Last login", row.last_login ? html`<${Time} at=${row.last_login.at} /> by ${row.last_login.protocol}` : "never"],
      ["Password", row.password.set ? (row.password.changed_at ? html`set <${Time} at=${row.password.changed_at} />` : "set") : "none: nobody can log in"],
      ["Made", html`<${Time} at=${row.created_at} />`],
    ]} />
  `;
}

/** @param {{ row: any, onChanged: () => void }} props */
function Actions({ row, onChanged }) {
  const [asked, setAsked] = useState(/** @type {""|"disable"|"logout"|"compromised"|"delete"} */ (""));
  const close = () => setAsked("");
  if (!can("accounts:write")) return html`<a class="button" href=${link("/mailboxes", row.address)}>Mailboxes</a>`;
  const act = (/** @type {string} */ verb, /** @type {string} */ said) => async () => {
    await post(`${at`/accounts/${row.address}`}/${verb}`);
    toast(said);
    onChanged();
  };
  const enable = () => act("enable", `${row.address} is on again.`)().catch(toast.error);
  const erase = async () => {
    await remove(at`/accounts/${row.address}`);
    toast(`Deleted ${row.address}.`);
    go("/accounts");
  };
  return html`
    <a class="button" href=${link("/mailboxes", row.address)}>Mailboxes</a>
    ${row.enabled
      ? html`<button type="button" onClick=${() => setAsked("disable")}>Disable…</button>`
      : html`<button type="button" onClick=${enable}>Enable</button>`}
    <button type="button" onClick=${() => setAsked("logout")}>Log out…</button>
    <button type="button" class="danger" onClick=${() => setAsked("compromised")}>Compromised…</button>
    <button type="button" class="danger" onClick=${() => setAsked("delete")}>Delete…</button>
    <${ConfirmDialog} open=${asked === "disable"} title=${`Disable ${row.address}`} verb="Disable" onClose=${close} onConfirm=${act("disable", `${row.address} is off.`)}>
      <p>No mail is lost. While it is off, mail for it is refused and nobody can log in.</p>
    <//>
    <${ConfirmDialog} open=${asked === "logout"} title=${`Log out ${row.address}`} verb="Log out" onClose=${close}
      onConfirm=${act("logout", `${row.address} is logged out.`)}>
      <p>Its sessions end, of this page and of mail programs, and every password is verified anew. Who knows the password logs in again: disable the account to stop them.</p>
    <//>
    <${Compromised} row=${row} open=${asked === "compromised"} onClose=${close} onChanged=${onChanged} />
    <${ConfirmDialog} open=${asked === "delete"} title=${`Delete ${row.address}`} verb="Delete the account" danger typed=${row.address} onClose=${close}
      loses=${`${plural(row.message_count, "message")} (${bytes(row.used_bytes)}) in all its mailboxes, its password and its app passwords`} onConfirm=${erase}>
      <p>Mail for it is refused from then on, unless the domain has an address for unknown names.</p>
      <${KeptToo} row=${row} />
    <//>
  `;
}

/** @param {{ row: any, etag: string, onSaved: () => void }} props */
function Settings({ row, etag, onSaved }) {
  const domains = useDomains();
  const { isLocked, notice } = useLock(row, can("accounts:write"));
  const save = async (/** @type {any} */ values) => {
    const { forward_to, forward_keep, ...body } = values;
    if ("forward" in row) body.forward = forward_to.length > 0 ? { to: forward_to, keep: forward_keep } : null;
    await patch(at`/accounts/${row.address}`, body, { etag });
    toast(`Saved ${row.address}.`);
    onSaved();
  };
  const roles = [["user", "user: has mail"], ["operator", "operator: runs the server, reads no content"], ["admin", "admin: everything"],
    ...domainRoles(domains.items ?? [], row.roles)];
  return html`
    <${Section} title="What it may do">
      ${notice}
      <${Form} key=${etag} onSubmit=${save} submit="Save" reload=${onSaved} readOnly=${isLocked || !can("accounts:write")}>
        <div class="pair">
          <${Field} label="Whose it is" name="display_name" value=${row.display_name} hint="For people." />
          <${SizeField} label="Quota" name="quota_bytes" value=${row.quota_bytes} none="the domain's default" />
        </div>
        <div class="pair">
          <${ChecksField} label="Logs in by" name="protocols" value=${row.protocols} options=${PROTOCOLS} />
          <${ChecksField} label="Roles" name="roles" value=${row.roles} options=${roles} />
        </div>
        <${Field} label="Sends as, besides its own address" name="send_as" type="lines" value=${row.send_as}
          hint="One address a line; @example.org stands for every address of a domain." />
        ${"forward" in row && html`
          <${Field} label="Forwards to" name="forward_to" pointer="/forward/to" type="lines" value=${row.forward?.to ?? []} hint="One address a line. Empty: no forwarding." />
          <${Field} label="Keeps a copy here" name="forward_keep" pointer="/forward/keep" type="checkbox" value=${row.forward?.keep ?? true} />
        `}
      <//>
    <//>
  `;
}

/**
 * The roles that go with a domain: those of the account's own domain and those that it has.
 * @param {any[]} domains
 * @param {string[]} has
 */
function domainRoles(domains, has) {
  const names = [...domains.map((row) => `domain_admin:${row.name}`).slice(0, 20), ...has.filter((role) => role.startsWith("domain_admin"))];
  return [...new Set(names)].map((role) => [role, roleName(role)]);
}

/** @param {{ row: any, onSaved: () => void }} props */
function NewPassword({ row, onSaved }) {
  const [turn, setTurn] = useState(0);
  const save = async (/** @type {any} */ { password }) => {
    await patch(at`/accounts/${row.address}`, { password });
    toast(`${row.address} has a new password.`);
    setTurn(turn + 1);
    onSaved();
  };
  return html`
    <${Section} title="Password">
      <${Form} key=${turn} onSubmit=${save} submit=${row.password.set ? "Change the password" : "Set the password"}>
        <${PasswordField} label="New password" name="password" autocomplete="new-password" required measured makes known=${[row.address.split("@")[0]]}
          hint="The old one stops working at once. App passwords go on working." />
      <//>
    <//>
  `;
}
