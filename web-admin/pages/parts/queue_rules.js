// What an operator has decided for mail on its way out: a pause of everything, and rules that hold or suspend some.
import { html, useState } from "../../vendor/preact.js";
import { at, put, remove } from "../../api.js";
import { ConfirmDialog } from "../../ui/dialog.js";
import { useList } from "../../ui/load.js";
import { ErrorBox } from "../../ui/state.js";
import { Time } from "../../ui/time.js";
import { toast } from "../../ui/toast.js";

/** @type {[string, string, string][]} key, label, example */
const MATCHES = [
  ["domain", "Mail to the domain", "example.net"], ["sender", "Mail from", "bulk@example.org or @example.org"],
  ["recipient", "Mail to", "dora@example.net"], ["server", "Mail for the server (suspend only)", "mx.example.net"],
];

/** Says that nothing goes out, and ends that; or offers it. @param {{ pause: any, mayWrite: boolean, onDone: () => void }} props */
export function Pause({ pause, mayWrite, onDone }) {
  const [isAsking, setAsking] = useState(false);
  const [error, setError] = useState(/** @type {any} */ (null));
  const resume = () => remove("/queue/pause").then(() => {
    toast("Mail goes out again");
    setError(null);
    onDone();
  }, setError);
  if (pause) {
    return html`<div class="notice" role="status"><strong>Nothing goes out.</strong> Paused since <${Time} at=${pause.since_at} />: ${pause.reason}
      ${pause.until && html` (until <${Time} at=${pause.until} />)`}
      ${mayWrite && html` <button type="button" onClick=${resume}>Resume</button>`}
      ${error && html`<${ErrorBox} error=${error} />`}</div>`;
  }
  return mayWrite && html`<div><button type="button" class="quiet" onClick=${() => setAsking(true)}>Pause all…</button>
    ${isAsking && html`<${AskPause} onClose=${() => setAsking(false)} onDone=${onDone} />`}</div>`;
}

/** @param {{ onClose: () => void, onDone: () => void }} props */
function AskPause({ onClose, onDone }) {
  const [reason, setReason] = useState("");
  const [until, setUntil] = useState("");
  const run = async () => {
    await put("/queue/pause", { reason: reason.trim(), ...ends("until", until) });
    toast("Nothing goes out now");
    onDone();
  };
  return html`<${ConfirmDialog} open title="Pause all mail that goes out?" verb="Pause" disabled=${!reason.trim()} onConfirm=${run} onClose=${onClose}>
    <p>Nobody is dialled, and no peer gets its mail. What is being sent goes on to its end; what comes in waits.</p>
    <${Why} reason=${reason} setReason=${setReason} until=${until} setUntil=${setUntil} />
  <//>`;
}

/** The rules, and a way to add and delete some. @param {{ mayWrite: boolean, onDone: () => void }} props */
export function Rules({ mayWrite, onDone }) {
  const list = useList("/queue/rules");
  const [isAdding, setAdding] = useState(false);
  const [deleted, setDeleted] = useState(/** @type {any} */ (null));
  const done = () => {
    list.reload();
    onDone();
  };
  if (list.items.length === 0 && !mayWrite) return null;
  return html`<section aria-labelledby="queue-rules">
    <h2 id="queue-rules">Rules</h2>
    ${list.items.length > 0 && html`<ul>${list.items.map((/** @type {any} */ rule) => html`<li key=${rule.id}>
      <strong>${rule.id}</strong>: ${rule.action === "hold" ? "holds" : "suspends"} ${named(rule.match)}: ${rule.reason}
      ${rule.expires_at && html` (${rule.expired ? "ended" : "until"} <${Time} at=${rule.expires_at} />)`}
      ${mayWrite && html` <button type="button" class="quiet" onClick=${() => setDeleted(rule)}>Delete…</button>`}</li>`)}</ul>`}
    ${mayWrite && html`<button type="button" onClick=${() => setAdding(true)}>Add a rule…</button>`}
    ${isAdding && html`<${AddRule} onClose=${() => setAdding(false)} onDone=${done} />`}
    ${deleted && html`<${ConfirmDialog} open title=${`Delete the rule ${deleted.id}?`} verb="Delete" onClose=${() => setDeleted(null)}
      onConfirm=${() => remove(at`/queue/rules/${deleted.id}`).then(done)}><p>What it has suspended goes out. What it holds stays held until somebody releases it.</p><//>`}
  </section>`;
}

/** @param {{ onClose: () => void, onDone: () => void }} props */
function AddRule({ onClose, onDone }) {
  const [id, setId] = useState("");
  const [action, setAction] = useState("hold");
  const [match, setMatch] = useState("domain");
  const [value, setValue] = useState("");
  const [reason, setReason] = useState("");
  const [until, setUntil] = useState("");
  const example = MATCHES.find(([key]) => key === match)?.[2];
  const isWhole = id.trim() && value.trim() && reason.trim();
  const run = async () => {
    await put(at`/queue/rules/${id.trim()}`, { match: { [match]: value.trim() }, action, reason: reason.trim(), ...ends("expires_at", until) });
    toast(`The rule ${id.trim()} is on`);
    onDone();
  };
  return html`<${ConfirmDialog} open title="Hold or suspend some mail" verb="Add" disabled=${!isWhole} onConfirm=${run} onClose=${onClose}>
    <label><span>Name</span><input value=${id} placeholder="spree" onInput=${(/** @type {any} */ event) => setId(event.currentTarget.value)} /></label>
    <label><span>Which mail</span><select value=${match} onChange=${(/** @type {any} */ event) => setMatch(event.currentTarget.value)}>
      ${MATCHES.map(([key, label]) => html`<option key=${key} value=${key}>${label}</option>`)}</select></label>
    <label><span>Address, domain or server</span><input value=${value} placeholder=${example} spellcheck=${false} onInput=${(/** @type {any} */ event) => setValue(event.currentTarget.value)} /></label>
    <label><span>What becomes of it</span><select value=${action} onChange=${(/** @type {any} */ event) => setAction(event.currentTarget.value)}>
      <option value="hold">It is held, and does not expire</option><option value="suspend">It waits where it is, and nobody is dialled</option></select></label>
    <${Why} reason=${reason} setReason=${setReason} until=${until} setUntil=${setUntil} />
  <//>`;
}

/** @param {any} props */
function Why({ reason, setReason, until, setUntil }) {
  return html`<label><span>Why</span><input value=${reason} maxlength="500" onInput=${(/** @type {any} */ event) => setReason(event.currentTarget.value)} /></label>
    <label><span>Until (never, where it is left empty)</span><input type="datetime-local" value=${until} onInput=${(/** @type {any} */ event) => setUntil(event.currentTarget.value)} /></label>`;
}

/** @param {string} name @param {string} until */
const ends = (name, until) => (until ? { [name]: new Date(until).toISOString() } : {});

/** @param {Record<string, string>} match */
function named(match) {
  const [key, value] = Object.entries(match)[0] ?? ["", ""];
  return { domain: `mail to ${value}`, sender: `mail from ${value}`, recipient: `mail to ${value}`, server: `mail for the server ${value}` }[key] ?? value;
}
