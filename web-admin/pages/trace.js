// Where is my mail? One search box; the answer is a sentence, what happened, what was said, and the next step.
import { html, useEffect, useRef } from "../vendor/preact.js";
import { at } from "../api.js";
import { go, link, setQuery } from "../router.js";
import { Address } from "../ui/address.js";
import { bytes, count } from "../ui/format.js";
import { Icon } from "../ui/icon.js";
import { Loaded, useGet, useList } from "../ui/load.js";
import { Facts, Page } from "../ui/page.js";
import { EmptyState } from "../ui/state.js";
import { Table } from "../ui/table.js";
import { keysOn } from "../ui/keys.js";
import { Time } from "../ui/time.js";
import { useTyped } from "../ui/typed.js";
import { Story } from "./parts/story.js";
import { spoken } from "./parts/timeline.js";
import { OUTCOME_LIST, Outcome, outcomeWord } from "./parts/words.js";

const SHOWN_RECIPIENTS = 2;
/** @type {[string, string][]} */
const DIRECTIONS = [["", "any direction"], ["in", "from outside"], ["out", "to outside"], ["local", "inside"]];

/** @type {import("../ui/table.js").Column[]} */
const COLUMNS = [
  { id: "to", title: "Recipient", kind: "main", cell: (row) => {
    const rest = row.recipient_count - Math.min(row.recipients.length, SHOWN_RECIPIENTS);
    return html`<a href=${link("/trace", row.id)}>${row.recipients.length === 0 ? "no recipient was named"
      : row.recipients.slice(0, SHOWN_RECIPIENTS).map((/** @type {string} */ one) => html`<div><${Address} of=${one} /></div>`)}</a>
      ${rest > 0 && html`<span class="under">and ${count(rest)} more</span>`}
      ${row.sender !== null && html`<span class="under">from <${Address} of=${row.sender} /></span>`}`;
  } },
  { id: "outcome", title: "Outcome", kind: "tight", cell: (row) => html`<${Outcome} outcome=${row.outcome} />` },
  { id: "sentence", title: "What became of it", kind: "wide", cell: (row) => spoken(row.sentence) },
  { id: "at", title: "When", kind: "tight", cell: (row) => html`<${Time} at=${row.at} />` },
];

/** @param {{ parts: string[], query: Record<string, string> }} props */
export default function Trace({ parts, query }) {
  return parts[0] ? html`<${One} id=${parts[0]} />` : html`<${Search} query=${query} />`;
}

/** @param {{ query: Record<string, string> }} props */
function Search({ query }) {
  const { q, outcome, direction, after, before } = query;
  const list = useList("/trace", { query: { q, outcome, direction, after, before }, live: "delivery", limit: 50 });
  const [text, type] = useTyped(q ?? "");
  const box = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => keysOn((event) => {
    if (event.key !== "/") return false;
    box.current?.focus();
    return true;
  }), []);
  const search = (/** @type {Event} */ event) => {
    event.preventDefault();
    setQuery({ q: box.current?.value.trim() });
  };
  const isNarrowed = q || outcome || direction;
  return html`<${Page} title="Trace" lead="Where is my mail? Refused, waiting, handed over, delivered or removed: every message is told of here.">
    <form class="ask" role="search" onSubmit=${search}>
      <label for="trace-q" class="visually-hidden">An address, a Message-ID, an id of ours, an IP address, or words that a server said</label>
      <input id="trace-q" type="search" ref=${box} value=${text} placeholder="Address, Message-ID, id, IP address, or words of a reply" spellcheck=${false} autocomplete="off"
        onInput=${(/** @type {any} */ event) => type(event.currentTarget.value)} onSearch=${search} />
      <button type="submit" class="primary"><${Icon} name="search" /> Find</button>
    </form>
    <div class="row trace-filters">
      <label>Outcome <select value=${outcome ?? ""} onChange=${(/** @type {any} */ event) => setQuery({ outcome: event.currentTarget.value })}>
        <option value="">any</option>${OUTCOME_LIST.map((one) => html`<option value=${one}>${outcomeWord(one)}</option>`)}</select></label>
      <label>Direction <select value=${direction ?? ""} onChange=${(/** @type {any} */ event) => setQuery({ direction: event.currentTarget.value })}>
        ${DIRECTIONS.map(([value, word]) => html`<option value=${value}>${word}</option>`)}</select></label>
    </div>
    <${Table} label="Messages, the newest first" rows=${list.items} rowKey=${(/** @type {any} */ row) => row.id} columns=${COLUMNS} list=${list}
      name=${(/** @type {any} */ row) => row.sentence} onOpen=${(/** @type {any} */ row) => go(link("/trace", row.id))}
      empty=${isNarrowed ? html`<${EmptyState} title="Never seen here">No message fits. Either it never reached this server, or it was here longer ago than the trace is kept. Ask the sender for the reply that their server got, or for the Message-ID.<//>`
        : html`<${EmptyState} title="No mail yet">As soon as a message comes, or is refused, it is told of here.<//>`} />
  <//>`;
}

/** @param {{ id: string }} props */
function One({ id }) {
  const story = useGet(at`/trace/${id}`, { live: "delivery queue" });
  const { data } = story;
  const from = data?.sender ?? "";
  return html`<${Page} title=${`Trace ${id}`} name=${from ? html`Where is the message from <${Address} of=${from} />?` : html`Where is <span class="mono">${id}</span>?`}
    trail=${[["Trace", link("/trace")]]}>
    <${Loaded} of=${story}>${(/** @type {any} */ data) => html`<${Story} story=${data} reload=${story.reload} facts=${html`<${Facts} of=${[
        ["Id", html`<span class="mono">${id}</span>`],
        ["First seen", html`<${Time} at=${data.at} /> <span class="quiet"><${Time} at=${data.at} clock /></span>`],
        ["From", data.sender === "" && html`<${Address} of="" />`],
        ["To", data.recipients.length > 0 && html`${data.recipients.slice(0, SHOWN_RECIPIENTS).map((/** @type {any} */ one) => html`<div><${Address} of=${one.address} /></div>`)}
          ${data.recipients.length > SHOWN_RECIPIENTS && html`<span class="quiet">and ${data.recipients.length - SHOWN_RECIPIENTS} more</span>`}`],
        ["Message-ID", data.message_id && html`<span class="mono">${data.message_id}</span>`],
        ["Size", data.size_bytes !== null && bytes(data.size_bytes)],
      ]} />`} />`}<//>
  <//>`;
}
