import { html, useState } from "../vendor/preact.js";
import { at, remove } from "../api.js";
import { go, link, setQuery } from "../router.js";
import { can } from "../session.js";
import { Badge } from "../ui/badge.js";
import { ConfirmDialog } from "../ui/dialog.js";
import { Filters } from "../ui/filters.js";
import { count, words } from "../ui/format.js";
import { Json } from "../ui/json.js";
import { Loaded, useGet, useList } from "../ui/load.js";
import { Facts, Page, Section } from "../ui/page.js";
import { EmptyState, ErrorBox } from "../ui/state.js";
import { Table } from "../ui/table.js";
import { Time } from "../ui/time.js";
import { toast } from "../ui/toast.js";

/** How a job stands: kind of badge. */
const STATES = /** @type {Record<string, string>} */ ({ queued: "quiet", running: "busy", succeeded: "ok", failed: "bad", cancelled: "warn" });
const FIELDS = [{ name: "state", label: "State", type: "select", options: [["", "All"], ...Object.keys(STATES).map((state) => [state, state])] }];

/**
 * What long work is there, and how far is it? With an id behind it: that job.
 * @param {{ parts: string[], query: Record<string, string> }} props
 */
export default function Jobs({ parts, query }) {
  if (parts[0]) return html`<${Job} key=${parts[0]} id=${parts[0]} />`;
  return html`<${List} query=${query} />`;
}

/** @param {{ query: Record<string, string> }} props */
function List({ query }) {
  const list = useList("/jobs", { query: { state: query.state }, live: "job" });
  return html`
    <${Page} title="Jobs" lead="Long work: actions on many queue entries, sessions with peers.">
      <${Filters} fields=${FIELDS} values=${query} onChange=${setQuery} />
      ${list.error ? html`<${ErrorBox} error=${list.error} retry=${list.reload} />` : html`
        <${Table} label="Jobs, the newest first" rows=${list.items} list=${list} rowKey=${(/** @type {any} */ row) => row.id} columns=${COLUMNS}
          onOpen=${(/** @type {any} */ row) => go(link("/jobs", row.id))} empty=${query.state
            ? html`<${EmptyState} title=${`No job is ${query.state}`}><//>` : html`<${EmptyState} title="No job yet">They begin where something takes longer than a moment.<//>`} />
      `}
    <//>
  `;
}

const COLUMNS = [
  { id: "kind", title: "What", kind: "main", cell: (/** @type {any} */ row) => html`
    <a href=${link("/jobs", row.id)}>${words(row.kind)}</a> <bdi class="quiet wrap-anywhere">${row.target}</bdi>` },
  { id: "state", title: "State", cell: (/** @type {any} */ row) => html`<${State} job=${row} />` },
  { id: "progress", title: "Progress", cell: (/** @type {any} */ row) => html`<${Progress} job=${row} />` },
  { id: "actor", title: "By", cell: (/** @type {any} */ row) => html`<bdi class="wrap-anywhere">${row.actor}</bdi>` },
  { id: "created_at", title: "Asked for", kind: "tight", cell: (/** @type {any} */ row) => html`<${Time} at=${row.created_at} />` },
];

/** @param {{ job: any }} props */
function State({ job }) {
  return html`<${Badge} kind=${STATES[job.state] ?? "info"}>${job.state}<//>`;
}

/** @param {{ job: any }} props */
function Progress({ job }) {
  const { done, total, unit } = job.progress;
  if (total === null || total === undefined) return `${count(done)} ${unit}`;
  return html`
    <span class="job-progress">
      ${job.state === "running" && html`<progress value=${done} max=${Math.max(total, 1)} aria-label="Progress"></progress>`}
      <span>${count(done)} of ${count(total)} ${unit}</span>
    </span>
  `;
}

/** @param {{ id: string }} props */
function Job({ id }) {
  const job = useGet(at`/jobs/${id}`, { live: "job" });
  const [isCancelling, setIsCancelling] = useState(false);
  const cancel = async () => {
    await remove(at`/jobs/${id}`);
    toast("The job ends as soon as it can.");
    job.reload();
  };
  const isOpen = job.data && (job.data.state === "queued" || job.data.state === "running");
  const actions = isOpen && can("jobs:write") && html`<button type="button" class="danger" onClick=${() => setIsCancelling(true)}>Cancel the job…</button>`;
  return html`
    <${Page} title=${job.data ? `${words(job.data.kind)} ${job.data.target}`.trim() : id} trail=${[["Jobs", link("/jobs")]]} actions=${actions}>
      <${Loaded} of=${job}>
        ${(/** @type {any} */ row) => html`
          <${Facts} of=${[
            ["State", html`<${State} job=${row} />`],
            ["Progress", html`<${Progress} job=${row} />`],
            ["By", html`<bdi class="wrap-anywhere">${row.actor}</bdi>`],
            ["Asked for", html`<${Time} at=${row.created_at} />`],
            ["Began", html`<${Time} at=${row.started_at} />`],
            ["Ended", html`<${Time} at=${row.ended_at} />`],
            ["Id", html`<code>${row.id}</code>`],
            ...(row.session ? [["Session", html`<a class="mono" href=${link("/turn", "sessions", row.session)}>${row.session}</a>`]] : []),
          ]} />
          ${row.problem && html`<${Section} title="What went wrong"><p role="alert" class="wrap-anywhere">${row.problem.detail}</p><//>`}
          ${row.result && html`<${Section} title="Result"><${Json} value=${row.result} label="Result" /><//>`}
          ${row.dialogue && html`<${Section} title="Dialogue"><pre class="wrap" tabindex="0" role="region" aria-label="Dialogue">${row.dialogue}</pre><//>`}
          <${ConfirmDialog} open=${isCancelling} title="Cancel the job" verb="Cancel the job" onConfirm=${cancel} onClose=${() => setIsCancelling(false)}>
            <p>${count(row.progress.done)} ${row.progress.unit} are done and stay done; the rest is left as it is.</p>
          <//>
        `}
      <//>
    <//>
  `;
}
