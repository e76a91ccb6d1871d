import { html, useState } from "../vendor/preact.js";
import { at, post, remove } from "../api.js";
import { link } from "../router.js";
import { can } from "../session.js";
import { Badge } from "../ui/badge.js";
import { ConfirmDialog } from "../ui/dialog.js";
import { bytes } from "../ui/format.js";
import { useGet, useList } from "../ui/load.js";
import { Page, Section } from "../ui/page.js";
import { JobProgress } from "../ui/progress.js";
import { EmptyState, ErrorBox } from "../ui/state.js";
import { Table } from "../ui/table.js";
import { Time, absolute } from "../ui/time.js";
import { toast } from "../ui/toast.js";
import { Contents } from "./backup-contents.js";
import { RestoreDialog } from "./parts/restore.js";

/**
 * Is there a good copy of everything, how old is it, and how do I get it back? Or: what is in one?
 * @param {{ parts: string[], query: Record<string, string> }} props
 */
export default function Backups({ parts, query }) {
  return parts.length > 0 ? html`<${Contents} key=${parts.join("/")} parts=${parts} query=${query} />` : html`<${Copies} />`;
}

function Copies() {
  // A job that ends has made one, or checked one.
  const list = useList("/backups", { live: "job" });
  const restore = useGet("/restore", { live: "job" });
  const [job, setJob] = useState(/** @type {any} */ (null));
  const [doomed, setDoomed] = useState(/** @type {any} */ (null));
  const [chosen, setChosen] = useState(/** @type {{ backup?: any } | null} */ (null));
  const begin = async (/** @type {string} */ path) => {
    try {
      setJob((await post(path, {})).body);
    } catch (error) {
      toast.error(error);
    }
  };
  const erase = async () => {
    await remove(at`/backups/${doomed.id}`);
    toast(`The backup of ${absolute(doomed.made_at)} is gone.`);
    list.reload();
  };
  const end = (/** @type {any} */ ended) => {
    list.reload();
    if (ended.state !== "succeeded") return;
    toast(ended.kind === "backup" ? "The backup is made, and all of it was checked." : "All of it was checked: it is good.");
    setJob(null);
  };
  const make = html`<button type="button" class="primary" onClick=${() => begin("/backups")}>Make a backup</button>`;
  const actions = html`${can("admin") && html`<button type="button" onClick=${() => setChosen({})}>Restore from a file…</button>`} ${make}`;
  const columns = [...COLUMNS, { id: "act", title: "Actions", hideTitle: true, kind: "tight", cell: (/** @type {any} */ row) => html`
    <span class="row">
      <a class="button small" aria-label=${`Contents of ${row.id}`} href=${link("/backups", row.id)}>Contents</a>
      <a class="button small" aria-label=${`Download ${row.id}`} href=${`/api/v1${at`/backups/${row.id}`}/file`} download=${`${row.id}.redb`}>Download</a>
      <button type="button" class="small" aria-label=${`Check ${row.id}`} onClick=${() => begin(`${at`/backups/${row.id}`}/verify`)}>Check</button>
      ${can("restore:write") && html`
        <button type="button" class="small" aria-label=${`Restore ${row.id}`} onClick=${() => setChosen({ backup: row })}>Restore…</button>
        <button type="button" class="quiet danger small" aria-label=${`Delete ${row.id}`} onClick=${() => setDoomed(row)}>Delete…</button>`}
    </span>` }];
  return html`
    <${Page} title="Backups" lead="Copies of the whole data file. Each was opened, and all of it was checked, before it got its name." actions=${actions}>
      ${restore.data?.staged && html`<${Waiting} staged=${restore.data.staged} onDropped=${restore.reload} />`}
      ${job && html`<${Section} title=${job.kind === "backup" ? "A backup is being made" : `${job.target} is being checked`}>
        <${JobProgress} key=${job.id} job=${job} onEnd=${end} /><//>`}
      ${list.error ? html`<${ErrorBox} error=${list.error} retry=${list.reload} />` : html`
        <${Table} label="Backups, the newest first" rows=${list.items} list=${list} rowKey=${(/** @type {any} */ row) => row.id} name=${(/** @type {any} */ row) => row.id} columns=${columns}
          empty=${html`<${EmptyState} title="No backup yet">One is made each day at the time that the setting backup.daily_at says (UTC). ${make}<//>`} />
      `}
      <p class="quiet">Take them off this machine with whatever copies files: they lie beside the data file. A copy of the running data file itself does not open.</p>
      <${ConfirmDialog} open=${doomed !== null} title="Delete this backup" verb="Delete the backup" danger onConfirm=${erase} onClose=${() => setDoomed(null)} loses="1 backup">
        <p>It holds everything as it was at ${doomed && absolute(doomed.made_at)}.</p>
      <//>
      ${chosen && html`<${RestoreDialog} backup=${chosen.backup} onStaged=${restore.reload} onClose=${() => setChosen(null)} />`}
    <//>
  `;
}

/** @param {{ staged: any, onDropped: () => void }} props */
function Waiting({ staged, onDropped }) {
  const drop = async () => {
    try {
      await remove("/restore");
      toast("The backup is not put in place.");
    } catch (error) {
      toast.error(error);
    }
    onDropped();
  };
  return html`<${Section} title="A backup waits to be put in place" actions=${can("restore:write") && html`<button type="button" onClick=${drop}>Drop it</button>`}>
    <p>It was staged <${Time} at=${staged.staged_at} /> and takes the place of the data file at the next start of the server; the old file stays beside it.</p>
    <p class="quiet mono wrap-anywhere">${staged.path}</p>
  <//>`;
}

const COLUMNS = [
  { id: "made_at", title: "Holds everything as of", kind: "main", cell: (/** @type {any} */ row) => html`
    <${Time} at=${row.made_at} /><div class="quiet mono wrap-anywhere">${row.path}</div>` },
  { id: "origin", title: "Made", cell: (/** @type {any} */ row) => html`<${Badge} kind="quiet">${row.origin === "daily" ? "by the schedule" : "by hand"}<//>` },
  { id: "verified_at", title: "Checked", cell: (/** @type {any} */ row) => row.is_damaged
    ? html`<${Badge} kind="bad">damaged<//>` : html`<${Badge} kind="ok">good<//> <${Time} at=${row.verified_at} />` },
  { id: "disk_bytes", title: "Takes", kind: "tight", cell: (/** @type {any} */ row) => bytes(row.disk_bytes) },
];
