import { html, useState } from "../vendor/preact.js";
import { at, patch, put, remove } from "../api.js";
import { setQuery } from "../router.js";
import { can } from "../session.js";
import { Address } from "../ui/address.js";
import { Badge } from "../ui/badge.js";
import { ConfirmDialog, Dialog } from "../ui/dialog.js";
import { DomainSelect } from "../ui/domains.js";
import { Field, Form } from "../ui/form.js";
import { plural } from "../ui/format.js";
import { Kept, KeptToo, useLock } from "../ui/kept.js";
import { Loaded, useGet, useList } from "../ui/load.js";
import { Page } from "../ui/page.js";
import { Resolver } from "../ui/resolver.js";
import { SearchBox } from "../ui/search.js";
import { EmptyState, ErrorBox } from "../ui/state.js";
import { toast } from "../ui/toast.js";

const EXPN = /** @type {[string, string][]} */ ([["private", "nobody"], ["domain", "the accounts of its domain"], ["public", "everybody, as far as smtp.vrfy allows"]]);

/**
 * Where does this address go?
 * @param {{ query: Record<string, string> }} props
 */
export default function Aliases({ query }) {
  const list = useList("/aliases", { query: { q: query.q, domain: query.domain } });
  const [edited, setEdited] = useState("");
  const [doomed, setDoomed] = useState(/** @type {any} */ (null));
  const [isNew, setIsNew] = useState(false);
  const isFiltered = Boolean(query.q || query.domain);
  const button = can("accounts:write")
    && html`<button type="button" class="primary" onClick=${() => setIsNew(true)}>New alias</button>`;
  const done = () => {
    setEdited("");
    setIsNew(false);
    list.reload();
  };
  const erase = async () => {
    await remove(at`/aliases/${doomed.address}`);
    toast(`Deleted ${doomed.address}.`);
    list.reload();
  };
  return html`
    <${Page} title="Aliases" lead="Addresses that lead to others: one target, or a group." actions=${button}>
      <${Resolver} address=${query.resolve} turn=${list.items} />
      <div class="narrow">
        <${SearchBox} label="Find an alias or a target" value=${query.q} onSearch=${(/** @type {string} */ q) => setQuery({ q })} />
        <${DomainSelect} value=${query.domain} onChange=${(/** @type {string} */ domain) => setQuery({ domain })} />
      </div>
      ${list.error ? html`<${ErrorBox} error=${list.error} retry=${list.reload} />` : html`
        <ul class="aliases" aria-label="Aliases">
          ${list.items?.map((/** @type {any} */ alias) => html`
            <li key=${alias.address}>
              ${edited === alias.address
                ? html`<${EditAlias} alias=${alias} onDone=${done} onCancel=${() => setEdited("")} />`
                : html`<${AliasLine} alias=${alias} onEdit=${() => setEdited(alias.address)} onDelete=${() => setDoomed(alias)} />`}
            </li>
          `)}
        </ul>
        ${list.hasMore && html`<p class="row"><button type="button" onClick=${list.more}>More</button></p>`}
        ${!list.loading && list.items?.length === 0 && (isFiltered
          ? html`<${EmptyState} title="No alias fits"><button type="button" onClick=${() => setQuery({ q: "", domain: "" })}>Show all</button><//>`
          : html`<${EmptyState} title="No alias yet">An alias is an address without a mailbox of its own. ${button}<//>`)}
      `}
      <${Dialog} title="New alias" open=${isNew} onClose=${() => setIsNew(false)}>
        ${isNew && html`<${NewAlias} onDone=${done} onCancel=${() => setIsNew(false)} />`}
      <//>
      <${ConfirmDialog} open=${doomed !== null} title=${`Delete ${doomed?.address}`} verb="Delete the alias" danger onConfirm=${erase} onClose=${() => setDoomed(null)}
        loses=${`1 alias with ${plural(doomed?.targets.length ?? 0, "target")}`}>
        <p>No mail is lost. Mail for it is refused from then on, unless the domain has an address for unknown names.</p>
        <${KeptToo} row=${doomed} />
      <//>
    <//>
  `;
}

/** @param {{ alias: any, onEdit: () => void, onDelete: () => void }} props */
function AliasLine({ alias, onEdit, onDelete }) {
  return html`
    <article class="alias" aria-label=${alias.address}>
      <div class="alias-way">
        <div>
          <strong><${Address} of=${alias.address} /></strong><${Kept} row=${alias} />
          ${(!alias.enabled || alias.internal_only || alias.note) && html`
            <p class="alias-note">
              ${!alias.enabled && html`<${Badge} kind="warn">off<//> `}
              ${alias.internal_only && html`<${Badge} kind="info">only from accounts here<//> `}
              <span class="quiet wrap-anywhere">${alias.note}</span>
            </p>
          `}
        </div>
        <span class="alias-arrow"><span aria-hidden="true">→</span><span class="visually-hidden">leads to</span></span>
        <ul class="alias-targets">
          ${alias.targets.slice(0, 8).map((/** @type {string} */ target) => html`<li key=${target}><${Address} of=${target} /></li>`)}
          ${alias.targets.length > 8 && html`<li class="quiet">and ${alias.targets.length - 8} more</li>`}
        </ul>
      </div>
      <div class="alias-actions">
        <button type="button" class="quiet small" aria-label=${`Follow ${alias.address}`} onClick=${() => setQuery({ resolve: alias.address })}>Follow</button>
        ${can("accounts:write") && html`
          <button type="button" class="quiet small" aria-label=${`Edit ${alias.address}`} onClick=${onEdit}>Edit</button>
          <button type="button" class="quiet danger small" aria-label=${`Delete ${alias.address}`} onClick=${onDelete}>Delete…</button>
        `}
      </div>
    </article>
  `;
}

/** @param {{ alias: any, onDone: () => void, onCancel: () => void }} props */
function EditAlias({ alias, onDone, onCancel }) {
  const one = useGet(at`/aliases/${alias.address}`);
  const { isLocked, notice } = useLock(one.data);
  const save = async (/** @type {any} */ values) => {
    await patch(at`/aliases/${alias.address}`, values, { etag: one.etag });
    toast(`Saved ${alias.address}.`);
    onDone();
  };
  return html`
    <div class="card stack">
      <h2 class="wrap-anywhere">${alias.address}</h2>
      ${notice}
      <${Loaded} of=${one}>${(/** @type {any} */ now) => html`
        <${Form} key=${one.etag} onSubmit=${save} submit="Save" onCancel=${onCancel} reload=${one.reload} readOnly=${isLocked}><${AliasFields} alias=${now} /><//>`}<//>
    </div>
  `;
}

/** @param {{ onDone: () => void, onCancel: () => void }} props */
function NewAlias({ onDone, onCancel }) {
  const create = async (/** @type {any} */ { address, ...body }) => {
    const { body: made } = await put(at`/aliases/${address.trim()}`, body, { create: true });
    toast(`${made.address} leads to ${plural(made.targets.length, "target")}.`);
    onDone();
  };
  return html`
    <${Form} onSubmit=${create} submit="Create" onCancel=${onCancel}>
      <${Field} label="Address" name="address" parameter="address" type="email" required autofocus autocomplete="off" />
      <${AliasFields} alias=${{ targets: [], enabled: true, internal_only: false, expn: "private", note: "" }} />
    <//>
  `;
}

/** @param {{ alias: any }} props */
function AliasFields({ alias }) {
  return html`
    <${Field} label="Leads to" name="targets" type="lines" value=${alias.targets} required hint="One address a line: accounts, other aliases, addresses elsewhere." />
    <${Field} label="Takes mail" name="enabled" type="checkbox" value=${alias.enabled} />
    <${Field} label="Only from accounts here" name="internal_only" type="checkbox" value=${alias.internal_only} hint="Others are told that the address takes no mail from outside." />
    <${Field} label="EXPN tells its targets to" name="expn" type="select" options=${EXPN} value=${alias.expn} hint="Besides administrators, and the accounts that it leads to." />
    <${Field} label="Note" name="note" value=${alias.note} hint="For people." />
  `;
}
