import { html, useState } from "../vendor/preact.js";
import { link, setQuery } from "../router.js";
import { Diff, differences } from "../ui/diff.js";
import { Filters } from "../ui/filters.js";
import { plural } from "../ui/format.js";
import { useList } from "../ui/load.js";
import { Page } from "../ui/page.js";
import { EmptyState, ErrorBox, Loading } from "../ui/state.js";
import { Time, absolute } from "../ui/time.js";

const FIELDS = [
  { name: "actor", label: "Who", placeholder: "admin@example.org" },
  { name: "action", label: "What", placeholder: "put_account" },
  { name: "target", label: "On what", placeholder: "info@example.org" },
  { name: "after", label: "From", type: "datetime" },
  { name: "before", label: "Until", type: "datetime" },
];

/**
 * Who changed what, and who looked at content?
 * @param {{ query: Record<string, string> }} props
 */
export default function Audit({ query }) {
  const asked = Object.fromEntries(FIELDS.map(({ name }) => [name, query[name]]));
  const list = useList("/audit", { query: asked, live: "audit", limit: 50 });
  const isFiltered = Object.values(asked).some(Boolean);
  return html`
    <${Page} title="Audit" lead="Every change, and every look at content: who, when, from where, and what it was before.">
      <${Filters} fields=${FIELDS} values=${query} onChange=${setQuery} />
      ${list.error && html`<${ErrorBox} error=${list.error} retry=${list.reload} />`}
      ${list.loading && list.items.length === 0 && html`<${Loading} />`}
      ${!list.loading && !list.error && list.items.length === 0 && (isFiltered
        ? html`<${EmptyState} title="Nothing fits the filter"><//>`
        : html`<${EmptyState} title="Nothing has been changed yet"><//>`)}
      <ol class="audit" aria-label="Changes, the newest first">
        ${list.items.map((row) => html`<${Entry} key=${row.id} row=${row} />`)}
      </ol>
      ${list.hasMore && html`<p class="row"><button type="button" onClick=${list.more}>Earlier changes</button></p>`}
    <//>
  `;
}

/** @param {{ row: any }} props */
function Entry({ row }) {
  const [isOpen, setIsOpen] = useState(false);
  const changed = differences(row.before, row.after).filter((change) => change.kind !== "same");
  const place = placeOf(row);
  return html`
    <li class="audit-entry">
      <div class="audit-line">
        <${Time} at=${row.at} />
        <span class="audit-what">
          <bdi class="wrap-anywhere"><strong>${row.actor}</strong></bdi> ${words(row.action)} <bdi class="wrap-anywhere">${place ? html`<a href=${place}>${row.target}</a>` : row.target}</bdi>
        </span>
      </div>
      <details onToggle=${(/** @type {any} */ event) => setIsOpen(event.currentTarget.open)}>
        <summary class="quiet">${summary(row, changed)}</summary>
        ${isOpen && html`
          <${Diff} before=${row.before} after=${row.after} />
          <p class="quiet small wrap-anywhere">
            ${absolute(row.at)} · <code>${row.action}</code>${row.ip && ` · from ${row.ip}`}${row.token_id && html` · token <code>${row.token_id}</code>`}${row.request_id && html` · request <code>${row.request_id}</code>`}
          </p>
        `}
      </details>
    </li>
  `;
}

/**
 * @param {any} row
 * @param {import("../ui/diff.js").Change[]} changed
 */
function summary(row, changed) {
  if (row.before === null && row.after === null) return "details";
  // A look at content changes nothing.
  if (row.action.startsWith("get_")) return "what was looked at";
  if (row.before === null) return `made, with ${plural(changed.length, "field")}`;
  if (row.after === null) return `deleted, with ${plural(changed.length, "field")}`;
  const names = changed.map((change) => change.name);
  return names.length === 0 ? "no field changed" : `changed: ${names.slice(0, 4).join(", ")}${names.length > 4 ? ` and ${names.length - 4} more` : ""}`;
}

/** @param {string} action an operationId: put_account */
function words(action) {
  return action.replaceAll("_", " ");
}

/**
 * The page of what was changed, where it has one and is still there.
 * @param {any} row
 */
function placeOf(row) {
  if (row.after === null && row.before !== null) return null;
  if (/(^|_)account$/.test(row.action)) return link("/accounts", row.target);
  if (/(^|_)domain$/.test(row.action)) return link("/domains", row.target);
  return null;
}
