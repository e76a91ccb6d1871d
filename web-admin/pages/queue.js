// What is waiting, and why? A live table of recipients with filters in the URL, and everything that can be done to one,
// to a selection, or to all that fit the filters.
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { at, post } from "../api.js";
import { go, link, setQuery } from "../router.js";
import { can, session } from "../session.js";
import { Address } from "../ui/address.js";
import { ConfirmDialog, Dialog } from "../ui/dialog.js";
import { bytes, count, plural } from "../ui/format.js";
import { Icon } from "../ui/icon.js";
import { keysAreOn, keysOn, switchKeys } from "../ui/keys.js";
import { useGet, useList } from "../ui/load.js";
import { Page } from "../ui/page.js";
import { EmptyState, ErrorBox, Loading } from "../ui/state.js";
import { Table } from "../ui/table.js";
import { Time } from "../ui/time.js";
import { toast } from "../ui/toast.js";
import { useTyped } from "../ui/typed.js";
import { Preview, QueueAction, actionsForMany } from "./parts/queue_action.js";
import { Pause, Rules } from "./parts/queue_rules.js";
import { Last, Next, State } from "./parts/queue_state.js";

/** @type {[string, string, string | null][]} state, word, icon */
const VIEWS = [["", "All", null], ["due", "Due", "due"], ["in_flight", "Sending", "flight"], ["waiting", "Waiting", "clock"], ["held", "Held", "held"]];
/** @type {[string, string, string][]} key, label, example */
const FILTERS = [
  ["recipient", "Recipient", "dora@example.net"], ["domain", "Domain", "example.net"], ["sender", "Sender", "alice@example.org or <>"],
];
/** @type {[string, string][]} */
const KEYS = [
  ["j k", "down, up"], ["Enter", "open the message"], ["x", "select"], ["Shift x", "select from the last one to here"], ["r", "retry"], ["h", "hold"],
  ["u", "release"], ["b", "bounce"], ["Del", "remove, nobody is told"], ["Esc", "select nothing"], ["/", "filter"], ["?", "this help"],
];
const IDS_MAX = 10_000;
/** So many of the domains with the most recipients are one click away. */
const DOMAINS_SHOWN = 6;
/** @type {Record<string, import("./parts/queue_action.js").Action>} */
const ACTION_KEYS = { h: "hold", u: "release", b: "bounce", Delete: "delete" };

/** @type {import("../ui/table.js").Column[]} */
const COLUMNS = [
  { id: "recipient", title: "Recipient", kind: "main", sort: (row) => row.recipient, cell: (row) => html`<a href=${link("/message", row.message_id)}><${Address} of=${row.recipient} /></a>
    ${row.original_recipient && html`<span class="under">for <${Address} of=${row.original_recipient} /></span>`}
    <span class="under">from <${Address} of=${row.sender} /></span>` },
  { id: "state", title: "State", kind: "tight", sort: (row) => row.state, cell: (row) => html`<${State} entry=${row} />` },
  { id: "last", title: "Said last", kind: "wide", cell: (row) => html`<span class="clamp"><${Last} entry=${row} /></span>` },
  { id: "next", title: "Next try", kind: "when", sort: (row) => row.next_attempt_at ?? "~", cell: (row) => html`<div><${Next} entry=${row} /></div>` },
  { id: "attempts", title: "Tries", kind: "number", sort: (row) => row.attempts, cell: (row) => count(row.attempts) },
  { id: "queued", title: "Came in", kind: "tight", sort: (row) => row.queued_at, cell: (row) => html`<div><${Time} at=${row.queued_at} /><span class="under">${bytes(row.size_bytes)}</span></div>` },
];

/** @param {{ query: Record<string, string> }} props */
export default function Queue({ query }) {
  const { state, domain, sender, recipient } = query;
  const filters = { state, domain, sender, recipient };
  const isFiltered = Object.values(filters).some(Boolean);
  const list = useList("/queue", { query: filters, live: "queue" });
  const isWhole = session.value?.restrict_domains.length === 0;
  const summary = useGet(isWhole ? "/queue/summary" : null, { live: "queue" });
  const [selected, setSelected] = useState(/** @type {Set<string>} */ (new Set()));
  const [asked, setAsked] = useState(/** @type {{ action: import("./parts/queue_action.js").Action, chosen: any } | null} */ (null));
  const [isFlushing, setFlushing] = useState(false);
  const [isHelping, setHelping] = useState(false);
  const [showsFilters, setShowsFilters] = useState(matchMedia("(min-width: 40rem)").matches);
  const mayWrite = can("queue:write");
  const first = useRef(/** @type {HTMLFormElement | null} */ (null));

  // What is gone from the queue can't be selected any more.
  const there = new Set(list.items.map((row) => row.id));
  const chosen = new Set([...selected].filter((id) => there.has(id)));
  useEffect(() => setSelected(new Set()), [JSON.stringify(filters)]);
  useEffect(() => keysOn((event) => {
    if (event.key === "?") setHelping(true);
    else if (event.key === "/") /** @type {HTMLElement | null} */ (first.current?.querySelector("input"))?.focus();
    else return false;
    return true;
  }), []);

  const ask = (/** @type {any} */ action, /** @type {any[]} */ rows) =>
    mayWrite && rows.length > 0 && setAsked({ action, chosen: { ids: rows.map((row) => row.id) } });
  const retry = async (/** @type {any[]} */ rows) => {
    if (!mayWrite || rows.length !== 1) return ask("retry", rows);
    try {
      await post(at`/queue/${rows[0].id}/retry`, undefined, { once: true });
      toast(`${rows[0].recipient} is tried now`);
      list.reload();
    } catch (error) {
      toast.error(error);
    }
  };
  const keys = { r: retry, ...Object.fromEntries(Object.entries(ACTION_KEYS).map(([key, action]) => [key, (/** @type {any[]} */ rows) => ask(action, rows)])) };
  const done = () => {
    setSelected(new Set());
    list.reload();
    summary.reload();
  };
  const numbers = summary.data;
  const waiting = numbers ? numbers.due + numbers.waiting : null;

  return html`<${Page} title="Queue" lead="Mail on its way to other servers: one line for each recipient."
    actions=${html`
      ${mayWrite && html`<button type="button" class="primary" onClick=${() => setFlushing(true)}><${Icon} name="due" />
        ${domain ? `Flush ${domain}` : sender ? `Flush from ${sender}` : waiting === null ? "Flush…" : `Flush all ${count(waiting)}`}</button>`}
      <button type="button" class="quiet" onClick=${() => setHelping(true)}>Keys <kbd>?</kbd></button>`}>
    ${isWhole && html`<${Pause} pause=${numbers?.pause} mayWrite=${mayWrite} onDone=${done} />`}
    <nav class="views" aria-label="By state">${VIEWS.map(([key, word, icon]) => html`<a key=${key} href=${`${link("/queue")}${key && `?state=${key}`}`}
      onClick=${(/** @type {Event} */ event) => { event.preventDefault(); setQuery({ state: key }); }} aria-current=${(state ?? "") === key ? "true" : undefined}>
      ${icon && html`<${Icon} name=${icon} />`}${word}${numbers && html` <span class="views-count">${count(key ? numbers[key] : numbers.due + numbers.waiting + numbers.in_flight + numbers.held)}</span>`}</a>`)}
    </nav>
    ${numbers?.domains.length > 1 && !domain && !sender && !recipient && html`<ul class="waits" aria-label="Where most is for">${numbers.domains.slice(0, DOMAINS_SHOWN).map((/** @type {any} */ one) => html`<li key=${one.domain}>
      <a href=${`${link("/queue")}?domain=${encodeURIComponent(one.domain)}`}><${Address} of=${one.domain} /></a> <span class="views-count">${count(one.count)}</span></li>`)}</ul>`}
    ${!showsFilters && !isFiltered && html`<div><button type="button" onClick=${() => setShowsFilters(true)}><${Icon} name="search" /> Filter</button></div>`}
    <form class="queue-filters" hidden=${!showsFilters && !isFiltered} role="search" aria-label="Filter the queue" ref=${first} onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
      ${FILTERS.map(([key, label, example]) => html`<${FilterBox} key=${key} name=${key} label=${label} example=${example} value=${query[key] ?? ""} />`)}
      ${isFiltered && html`<button type="button" class="quiet" onClick=${() => setQuery({ state: "", domain: "", sender: "", recipient: "" })}>Clear filters</button>`}
    </form>
    <${Table} label="Recipients that wait" rows=${list.items} rowKey=${(/** @type {any} */ row) => row.id} name=${(/** @type {any} */ row) => row.recipient}
      columns=${COLUMNS} list=${list} selected=${mayWrite ? chosen : undefined} onSelect=${setSelected} keys=${keys}
      onOpen=${(/** @type {any} */ row) => go(link("/message", row.message_id))}
      empty=${isFiltered ? html`<${EmptyState} title="Nothing fits">No recipient in the queue fits these filters. An address or a domain has to be whole.<//>`
        : html`<${EmptyState} title="The queue is empty">All mail for other servers has gone out. Where a message went is told by <a href=${link("/trace")}>Trace</a>.<//>`} />
    ${chosen.size > 0 && html`<${BulkBar} selected=${chosen} list=${list} filters=${filters} isFiltered=${isFiltered}
      onAction=${(/** @type {any} */ action, /** @type {any} */ chosen) => setAsked({ action, chosen })} onClear=${() => setSelected(new Set())} />`}
    ${asked && html`<${QueueAction} key=${asked.action} ...${asked} onClose=${() => setAsked(null)} onDone=${done} />`}
    ${isFlushing && html`<${Flush} domain=${domain} sender=${sender} onClose=${() => setFlushing(false)} onDone=${done} />`}
    ${isWhole && html`<${Rules} mayWrite=${mayWrite} onDone=${done} />`}
    <${Help} open=${isHelping} onClose=${() => setHelping(false)} />
  <//>`;
}

/** @param {{ name: string, label: string, example: string, value: string }} props */
function FilterBox({ name, label, example, value }) {
  const [text, type] = useTyped(value);
  return html`<label><span>${label}</span><input type="search" name=${name} placeholder=${example} value=${text} spellcheck=${false} autocomplete="off"
    onInput=${(/** @type {any} */ event) => type(event.currentTarget.value)} onChange=${() => setQuery({ [name]: text.trim() })} /></label>`;
}

/** What can be done to the selection, or to all that fit. @param {any} props */
function BulkBar({ selected, list, filters, isFiltered, onAction, onClear }) {
  const [isAll, setAll] = useState(false);
  const isShownAll = selected.size === list.items.length;
  const isEverything = list.hasMore && isShownAll;
  const selector = Object.fromEntries(Object.entries(filters).filter(([, value]) => value));
  // So many at most can be named one by one; where all that fit are shown, they are those.
  const isFit = (isAll && isEverything) || (isShownAll && !list.hasMore && selected.size > IDS_MAX);
  const isTooMany = !isFit && selected.size > IDS_MAX;
  const chosen = isFit ? (isFiltered ? { selector } : { all: true }) : { ids: [...selected] };
  return html`<div class="bulk" role="region" aria-label="Selection">
    <strong role="status">${isAll && isEverything ? "All that fit are selected" : `${plural(selected.size, "recipient")} selected`}</strong>
    ${isEverything && html`<label class="row"><input type="checkbox" checked=${isAll} onChange=${() => setAll(!isAll)} /> also those not shown yet</label>`}
    ${isTooMany && html`<span>More than ${count(IDS_MAX)} can't be named one by one: choose fewer, or all that fit.</span>`}
    <div class="row">${actionsForMany().map(([action, { verb, danger }]) => html`<button type="button" key=${action} class=${danger ? "danger" : ""} disabled=${isTooMany}
      onClick=${() => onAction(action, chosen)}>${verb}…</button>`)}
      <button type="button" class="quiet" onClick=${onClear}>Clear</button></div>
  </div>`;
}

/** Makes everything due, or what goes to the domain or comes from the sender that is filtered for. @param {any} props */
function Flush({ domain, sender, onClose, onDone }) {
  const body = domain ? { selector: { domain } } : sender ? { selector: { sender } } : { all: true };
  const [preview, setPreview] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  useEffect(() => {
    post("/queue/flush", { ...body, dry_run: true }).then(({ body }) => setPreview(body), setError);
  }, []);
  const run = async () => {
    const { body: flushed } = await post("/queue/flush", body, { once: true });
    toast(`${plural(flushed.count, "recipient")} due now`);
    onDone();
  };
  const what = domain ? `to ${domain}` : sender ? `from ${sender}` : "";
  return html`<${ConfirmDialog} open title=${preview ? `Flush ${plural(preview.count, "recipient")} ${what}?` : `Flush ${what || "the queue"}?`}
    verb=${preview ? `Flush ${count(preview.count)}` : "Flush"} disabled=${!preview || preview.count === 0} onConfirm=${run} onClose=${onClose}>
    <p>They are tried at once, whatever their next time was. What somebody holds stays held${domain ? "." : ", and what waits for a peer goes on waiting."}</p>
    ${error && html`<${ErrorBox} error=${error} />`}
    ${!preview && !error && html`<${Loading} what="Counting" />`}
    ${preview && html`<${Preview} preview=${preview} />`}
  <//>`;
}

/** @param {{ open: boolean, onClose: () => void }} props */
function Help({ open, onClose }) {
  return html`<${Dialog} open=${open} title="Keys" onClose=${onClose}>
    <p>They act on the selected rows, or on the row with the focus when none is selected.</p>
    <dl class="key-list">${KEYS.map(([keys, what]) => html`<div key=${keys}><dt>${keys.split(" ").map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${what}</dd></div>`)}</dl>
    <label class="row"><input type="checkbox" checked=${keysAreOn.value} onChange=${(/** @type {any} */ event) => switchKeys(event.currentTarget.checked)} /> Single keys are commands</label>
  <//>`;
}
