import { html, useEffect, useId, useState } from "../vendor/preact.js";
import { at, post } from "../api.js";
import { go, link, setQuery } from "../router.js";
import { can } from "../session.js";
import { Address } from "../ui/address.js";
import { Badge } from "../ui/badge.js";
import { Dialog } from "../ui/dialog.js";
import { bytes, count, plural } from "../ui/format.js";
import { Loaded, useGet, useList } from "../ui/load.js";
import { Page } from "../ui/page.js";
import { JobProgress } from "../ui/progress.js";
import { Reading } from "../ui/reading.js";
import { SearchBox } from "../ui/search.js";
import { EmptyState, ErrorBox, Loading } from "../ui/state.js";
import { Table } from "../ui/table.js";
import { Time } from "../ui/time.js";

/** @typedef {{ selector: any, what: string }} Choice what is to come back, and how it is called */

/**
 * What is in a backup? Its accounts, the mailboxes of one, the messages of one of those; and bringing some of it back.
 * @param {{ parts: string[], query: Record<string, string> }} props
 */
export function Contents({ parts, query }) {
  const [id, address, mailbox] = parts;
  const [choice, setChoice] = useState(/** @type {Choice | null} */ (null));
  const props = { id, address, mailbox, query, onChoose: setChoice };
  return html`
    ${mailbox ? html`<${Messages} ...${props} />` : address ? html`<${Mailboxes} ...${props} />` : html`<${Accounts} ...${props} />`}
    ${choice && html`<${Restore} id=${id} choice=${choice} onClose=${() => setChoice(null)} />`}
  `;
}

/** @param {any} props */
function Accounts({ id, onChoose }) {
  const list = useList(at`/backups/${id}/accounts`, { live: "job" });
  const columns = [
    { id: "address", title: "Account", kind: "main", cell: (/** @type {any} */ row) => html`
      <a href=${link("/backups", id, row.address)}><${Address} of=${row.address} /></a>
      ${row.display_name && html`<div class="quiet wrap-anywhere"><bdi>${row.display_name}</bdi></div>`}` },
    ...COUNTS,
    here("There is one now", "Deleted since"),
    ...back((row) => ({ selector: { account: row.address }, what: `all that is missing of ${row.address}` }), (row) => row.address, onChoose),
  ];
  return html`
    <${Page} title="Contents" lead=${id} trail=${[["Backups", link("/backups")]]}>
      ${list.error ? html`<${ErrorBox} error=${list.error} retry=${list.reload} />` : html`
        <${Table} label="Accounts in the backup" rows=${list.items} list=${list} rowKey=${(/** @type {any} */ row) => row.address} columns=${columns}
          onOpen=${(/** @type {any} */ row) => go(link("/backups", id, row.address))} empty=${html`<${EmptyState} title="There was no account"><//>`} />
      `}
    <//>
  `;
}

/** @param {any} props */
function Mailboxes({ id, address, onChoose }) {
  const list = useGet(at`/backups/${id}/accounts/${address}/mailboxes`, { live: "job" });
  const columns = [
    { id: "name", title: "Mailbox", kind: "main", cell: (/** @type {any} */ row) => html`
      <a class="wrap-anywhere" href=${link("/backups", id, address, row.name)}><bdi>${row.name}</bdi></a>
      ${row.special_use && html` <span class="quiet">${row.special_use}</span>`}` },
    ...COUNTS,
    here("There is one now", "Deleted since"),
    ...back((row) => ({ selector: { account: address, mailbox: row.name }, what: `all that is missing of ${row.name}` }), (row) => row.name, onChoose),
  ];
  const all = can("restore:write") && html`
    <button type="button" onClick=${() => onChoose({ selector: { account: address }, what: `all that is missing of ${address}` })}>Bring the account back…</button>`;
  return html`
    <${Page} title=${address} lead=${id} trail=${[["Backups", link("/backups")], ["Contents", link("/backups", id)]]} actions=${all}>
      <${Loaded} of=${list}>
        ${(/** @type {any} */ { items }) => html`
          <${Table} label=${`Mailboxes of ${address} in the backup`} rows=${items} rowKey=${(/** @type {any} */ row) => row.name} columns=${columns}
            onOpen=${(/** @type {any} */ row) => go(link("/backups", id, address, row.name))} empty=${html`<${EmptyState} title="There was no mailbox"><//>`} />`}
      <//>
    <//>
  `;
}

/** @param {any} props */
function Messages({ id, address, mailbox, ...props }) {
  return html`
    <${Page} title=${mailbox} lead=${`${address}, ${id}`}
      trail=${[["Backups", link("/backups")], ["Contents", link("/backups", id)], [address, link("/backups", id, address)]]}>
      <${Reading} address=${address}><${List} id=${id} address=${address} mailbox=${mailbox} ...${props} /><//>
    <//>
  `;
}

/** @param {any} props */
function List({ id, address, mailbox, query, onChoose }) {
  const list = useList(at`/backups/${id}/accounts/${address}/mailboxes/${mailbox}/messages`, { query: { q: query.q }, limit: 50, live: "job" });
  const [selected, setSelected] = useState(/** @type {Set<string>} */ (new Set()));
  const there = new Set(list.items.map((row) => String(row.uid)));
  const chosen = [...selected].filter((uid) => there.has(uid));
  const columns = [
    { id: "subject", title: "Subject", kind: "main", cell: (/** @type {any} */ row) => html`
      <bdi class="wrap-anywhere">${row.subject || "(no subject)"}</bdi>
      ${row.preview && html`<div class="quiet preview"><bdi>${row.preview}</bdi></div>`}` },
    { id: "from", title: "From", cell: (/** @type {any} */ row) => html`<div class="from-cell"><bdi class="wrap-anywhere">${row.from}</bdi></div>` },
    { id: "size", title: "Size", kind: "number", cell: (/** @type {any} */ row) => bytes(row.size_bytes) },
    { id: "at", title: "Received", kind: "tight", cell: (/** @type {any} */ row) => html`<${Time} at=${row.at} />` },
    here("Still there", "Gone"),
  ];
  const choose = () => onChoose({ selector: { account: address, mailbox, uids: chosen.map(Number) }, what: plural(chosen.length, "message") });
  return html`
    <${SearchBox} label="Find a sender, a recipient or a subject" value=${query.q} onSearch=${(/** @type {string} */ q) => setQuery({ q })} />
    ${can("restore:write") && html`<p class="row"><button type="button" class="primary" disabled=${chosen.length === 0} onClick=${choose}>Bring the selected back…</button></p>`}
    ${list.error ? html`<${ErrorBox} error=${list.error} retry=${list.reload} />` : html`
      <${Table} label=${`Messages in ${mailbox} in the backup`} rows=${list.items} list=${list} rowKey=${(/** @type {any} */ row) => String(row.uid)} columns=${columns}
        name=${(/** @type {any} */ row) => row.subject || row.id} selected=${can("restore:write") ? new Set(chosen) : undefined} onSelect=${setSelected}
        empty=${html`<${EmptyState} title=${query.q ? "No message fits" : "There was no message"}><//>`} />
    `}
  `;
}

/**
 * Shows what would come back, and brings it back.
 * @param {{ id: string, choice: Choice, onClose: () => void }} props
 */
function Restore({ id, choice, onClose }) {
  const field = useId();
  const [into, setInto] = useState("");
  const [preview, setPreview] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [job, setJob] = useState(/** @type {any} */ (null));
  const [ended, setEnded] = useState(/** @type {any} */ (null));
  const body = (/** @type {boolean} */ dry_run) => ({ backup: id, selector: choice.selector, dry_run, ...(into.trim() ? { into: into.trim() } : {}) });
  useEffect(() => {
    let isWanted = true;
    post("/restore/items", body(true)).then(
      ({ body: seen }) => {
        if (!isWanted) return;
        setPreview(seen);
        setError(null);
      },
      (fault) => {
        if (!isWanted) return;
        setPreview(null);
        setError(fault);
      },
    );
    return () => {
      isWanted = false;
    };
  }, [into]);
  const begin = async () => {
    try {
      setJob((await post("/restore/items", body(false))).body);
    } catch (fault) {
      setError(fault);
    }
  };
  const makes = preview && (preview.account_made || preview.mailboxes.some((/** @type {any} */ one) => one.made));
  const isReady = preview && !preview.obstacle && (preview.count > 0 || makes);
  const footer = job
    ? html`<button type="button" onClick=${onClose}>${ended ? "Close" : "Let it run"}</button>`
    : html`<button type="button" onClick=${onClose}>Cancel</button>
      <button type="button" class="primary" disabled=${!isReady} onClick=${begin}>Bring back</button>`;
  return html`<${Dialog} open title=${`Bring back ${choice.what}`} onClose=${onClose} footer=${footer}>
    ${job ? html`
      <${JobProgress} job=${job} onEnd=${setEnded} label="How far it is" />
      ${ended?.result && html`<p><strong>${plural(ended.result.restored, "message")}</strong> came back (${bytes(ended.result.size_bytes)}); ${stays(ended.result.still_there)}.
        ${ended.result.account_made && " The account is there again, with the password that it had."}</p>`}
    ` : html`
      <div class="field"><label for=${field}>Into this mailbox</label>
        <input id=${field} aria-describedby=${`${field}-hint`} placeholder="where it was" autocomplete="off" spellcheck=${false} onChange=${(/** @type {any} */ event) => setInto(event.currentTarget.value)} />
        <p class="hint" id=${`${field}-hint`}>Left empty: into the mailbox that it was in. As in Restored/2026-11-20: made where it is missing.</p></div>
      ${error ? html`<${ErrorBox} error=${error} />` : preview ? html`<${Preview} of=${preview} />` : html`<${Loading} what="Looking what is missing" />`}
    `}
  <//>`;
}

/** @param {{ of: any }} props */
function Preview({ of }) {
  const made = of.mailboxes.filter((/** @type {any} */ one) => one.made).map((/** @type {any} */ one) => one.into);
  return html`
    <p><strong>${plural(of.count, "message")}</strong> would come back (${bytes(of.size_bytes)}); ${stays(of.still_there)}.</p>
    ${of.account_made && html`<p>The account is here no more: it would be made again, with its settings, its password and its own aliases.</p>`}
    ${of.obstacle && html`<p class="fault">It can't be made again. ${of.obstacle}</p>`}
    ${of.account_another && html`<p class="fault">The account that has this address is not the one in the backup: it was made since, by a restore or for somebody else, who would get this mail.</p>`}
    ${!of.account_made && made.length > 0 && html`<p>Made again: <bdi class="wrap-anywhere">${made.join(", ")}</bdi></p>`}
    ${of.over_quota && html`<p class="fault">Its mail would take ${bytes(of.used_bytes)} then, and may take ${bytes(of.quota_bytes)}. That does not stop it.</p>`}
    ${of.items.length > 0 && html`<ul class="plain-list">
      ${of.items.slice(0, SHOWN).map((/** @type {any} */ one) => html`<li key=${`${one.mailbox}/${one.uid}`} class="wrap-anywhere"><bdi>${one.subject || one.id}</bdi> <span class="quiet">${one.mailbox}</span></li>`)}
      ${of.count > SHOWN && html`<li class="quiet">and ${count(of.count - SHOWN)} more</li>`}
    </ul>`}
  `;
}

/** Messages of a preview that are shown. */
const SHOWN = 5;

/** @param {number} many */
const stays = (many) => (many === 0 ? "none of it is still there" : `${many === 1 ? "1 is" : `${count(many)} are`} still there and ${many === 1 ? "stays" : "stay"} as ${many === 1 ? "it is" : "they are"}`);

const COUNTS = [
  { id: "messages", title: "Messages", kind: /** @type {"number"} */ ("number"), cell: (/** @type {any} */ row) => count(row.messages) },
  { id: "size", title: "Size", kind: /** @type {"number"} */ ("number"), cell: (/** @type {any} */ row) => bytes(row.size_bytes) },
];

/**
 * Whether a thing is here now.
 * @param {string} yes
 * @param {string} no
 */
const here = (yes, no) => ({ id: "is_there", title: "Now", kind: /** @type {"tight"} */ ("tight"),
  cell: (/** @type {any} */ row) => (row.is_there ? html`<${Badge} kind="ok">${yes}<//>` : html`<${Badge} kind="warn">${no}<//>`) });

/**
 * The button that brings a row's thing back.
 * @param {(row: any) => Choice} choice
 * @param {(row: any) => string} name
 * @param {(choice: Choice) => void} onChoose
 */
const back = (choice, name, onChoose) => (can("restore:write") ? [{ id: "back", title: "Bring back", hideTitle: true, kind: /** @type {"tight"} */ ("tight"),
  cell: (/** @type {any} */ row) => html`<button type="button" class="small" aria-label=${`Bring back ${name(row)}`} onClick=${() => onChoose(choice(row))}>Bring back…</button>` }] : []);
