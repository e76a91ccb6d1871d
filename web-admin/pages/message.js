// What happened to it? One queued message: its recipients with all that can be done to them, its story, its header, and
// the message as it is sent.
import { html, useState } from "../vendor/preact.js";
import { at, get, post } from "../api.js";
import { link } from "../router.js";
import { can, isWhole } from "../session.js";
import { Address } from "../ui/address.js";
import { Dialog } from "../ui/dialog.js";
import { Field, Form } from "../ui/form.js";
import { bytes, count, plural } from "../ui/format.js";
import { Icon } from "../ui/icon.js";
import { Loaded, useGet } from "../ui/load.js";
import { Facts, Page, Section } from "../ui/page.js";
import { EmptyState, ErrorBox, Loading } from "../ui/state.js";
import { Time } from "../ui/time.js";
import { toast } from "../ui/toast.js";
import { QueueAction, actionsForMany } from "./parts/queue_action.js";
import { Last, Next, Route, State, WayField } from "./parts/queue_state.js";
import { Story } from "./parts/story.js";

/** What of a long message is shown; the whole is one click away. */
const RAW_SHOWN = 64 * 1024;

/** @param {{ parts: string[] }} props */
export default function Message({ parts }) {
  const id = parts[0] ?? "";
  const message = useGet(at`/queue/messages/${id}`, { live: "queue" });
  const story = useGet(can("trace:read") ? at`/trace/${id}` : null, { live: "delivery queue" });
  const reload = () => {
    message.reload();
    story.reload();
  };
  const isGone = message.error?.status === 404;
  const from = message.data && (message.data.sender ?? "the null sender");
  return html`<${Page} title=${`Message ${id}`} name=${from ? html`Message from <${Address} of=${from} />` : html`Message <span class="mono">${id}</span>`} trail=${[["Queue", link("/queue")]]}>
    ${isGone ? html`<${EmptyState} title="It is not in the queue any more">${story.data ? "Below is what became of it." : "It was sent, bounced or removed."}<//>`
      : html`<${Loaded} of=${message}>${(/** @type {any} */ data) => html`<${Queued} message=${data} reload=${reload} />`}<//>`}
    ${story.data && html`<${Story} story=${story.data} reload=${reload} inQueue=${!isGone} />`}
    ${story.error && story.error.status !== 404 && html`<${ErrorBox} error=${story.error} retry=${story.reload} />`}
    ${message.data && can("messages:read") && html`<${Content} id=${id} size_bytes=${message.data.size_bytes} />`}
  <//>`;
}

/** @param {{ message: any, reload: () => void }} props */
function Queued({ message, reload }) {
  const [asked, setAsked] = useState(/** @type {any} */ (null));
  const [moved, setMoved] = useState(/** @type {any} */ (null));
  const ask = (/** @type {any} */ action, /** @type {any[]} */ entries) => setAsked({ action, chosen: { ids: entries.map((entry) => entry.id) } });
  const retry = async (/** @type {any} */ entry) => {
    try {
      await post(at`/queue/${entry.id}/retry`, undefined, { once: true });
      toast(`${entry.recipient} is tried now`);
      reload();
    } catch (error) {
      toast.error(error);
    }
  };
  const all = message.recipients;
  return html`
    <${Facts} of=${[
      ["Id", html`<span class="mono">${message.id}</span>`],
      ["Size", bytes(message.size_bytes)],
      ["Came in", html`<${Time} at=${message.queued_at} />`],
      ["Needs", [message.smtputf8 && "SMTPUTF8", message.eight_bit && "8BITMIME"].filter(Boolean).join(", ")],
    ]} />
    <${Section} title=${`${plural(all.length, "recipient")} in the queue`} actions=${can("queue:write") && all.length > 1 && html`
      ${actionsForMany().map(([action, { verb, danger }]) => html`<button type="button" key=${action} class=${danger ? "danger small" : "small"} onClick=${() => ask(action, all)}>${verb} all ${count(all.length)}…</button>`)}`}>
      <ul class="recipients">${all.map((/** @type {any} */ entry) => html`<li key=${entry.id} class="card">
        <p class="row"><strong><${Address} of=${entry.recipient} /></strong> <${State} entry=${entry} />
          ${entry.original_recipient && html`<span class="quiet">for ${entry.original_recipient}</span>`}</p>
        <p class="wrap-anywhere"><span class="visually-hidden">Said last:</span> <${Last} entry=${entry} /></p>
        <${Facts} of=${[
          [entry.state === "held" ? "Held" : "Next try", html`<${Next} entry=${entry} />`],
          ["Tries", count(entry.attempts)],
          ["Given up", entry.expires_at ? html`<${Time} at=${entry.expires_at} />` : "not while it is held"],
          ["Goes out", html`<${Route} route=${entry.route} />`],
          ["Id", html`<span class="mono">${entry.id}</span>`],
        ]} />
        ${can("queue:write") && html`<div class="row">
          ${entry.state !== "held" && html`<button type="button" class="small" disabled=${entry.state === "in_flight"} onClick=${() => retry(entry)}>Retry now</button>
            <button type="button" class="small" onClick=${() => ask("hold", [entry])}>Hold…</button>`}
          ${entry.state === "held" && html`<button type="button" class="small" onClick=${() => ask("release", [entry])}>Release…</button>`}
          <button type="button" class="small" onClick=${() => setMoved(entry)}>Redirect…</button>
          <button type="button" class="small danger" onClick=${() => ask("bounce", [entry])}>Bounce…</button>
          <button type="button" class="small danger" onClick=${() => ask("delete", [entry])}>Remove…</button>
        </div>`}</li>`)}</ul>
    <//>
    ${asked && html`<${QueueAction} key=${asked.action} ...${asked} onClose=${() => setAsked(null)} onDone=${reload} />`}
    ${moved && html`<${Redirect} entry=${moved} onClose=${() => setMoved(null)} onDone=${reload} />`}`;
}

/** @param {{ entry: any, onClose: () => void, onDone: () => void }} props */
function Redirect({ entry, onClose, onDone }) {
  const send = async (/** @type {any} */ { recipient, route }) => {
    await post(at`/queue/${entry.id}/redirect`, { ...(recipient && { recipient }), ...(route && { route }) }, { once: true });
    toast(recipient ? `It goes to ${recipient} now, instead of ${entry.recipient}` : `The message for ${entry.recipient} goes out by ${route} now`);
    onDone();
    onClose();
  };
  return html`<${Dialog} open title="Send it elsewhere, or by another way" onClose=${onClose}>
    <p>To another address elsewhere, instead of <strong class="wrap-anywhere">${entry.recipient}</strong>. For an address of this server use Redeliver.</p>
    <${Form} onSubmit=${send} submit="Redirect" onCancel=${onClose}>
      <${Field} label="Address" name="recipient" type="email" placeholder="someone@example.net" hint=${isWhole() ? "Empty: the recipient stays." : undefined} required=${!isWhole()} />
      ${isWhole() && html`<${WayField} />`}
    <//>
  <//>`;
}

/** The header and the whole message: content, which is noted in the audit when it is read. @param {{ id: string, size_bytes: number }} props */
function Content({ id, size_bytes }) {
  const [shown, setShown] = useState(/** @type {any} */ ({}));
  const [error, setError] = useState(/** @type {any} */ (null));
  const show = async (/** @type {"headers" | "raw"} */ what) => {
    setShown({ ...shown, [what]: "loading" });
    setError(null);
    try {
      const content = await get(at`/queue/messages/${id}/${what}`);
      setShown({ ...shown, [what]: content });
    } catch (fault) {
      setShown({ ...shown, [what]: undefined });
      setError(fault);
    }
  };
  const { headers, raw } = shown;
  return html`<${Section} title="Content">
    <p class="quiet">It is the sender's: who reads it is noted.</p>
    <div class="row">
      <button type="button" onClick=${() => show("headers")}>Show the header</button>
      <button type="button" onClick=${() => show("raw")}>Show all as it is sent</button>
      <a class="button" href=${`/api/v1/queue/messages/${encodeURIComponent(id)}/raw`} download=${`${id}.eml`}><${Icon} name="mailbox" /> Save, ${bytes(size_bytes)}</a>
    </div>
    ${error && html`<${ErrorBox} error=${error} />`}
    ${(headers === "loading" || raw === "loading") && html`<${Loading} />`}
    ${headers?.headers && html`<dl class="headers" tabindex="0" role="region" aria-label="Header">${headers.headers.map((/** @type {any} */ { name, value }, /** @type {number} */ place) => html`<div key=${place}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`}
    ${typeof raw === "string" && raw !== "loading" && html`<pre class="raw" tabindex="0" role="region" aria-label="The message as it is sent">${raw.slice(0, RAW_SHOWN)}</pre>
      ${raw.length > RAW_SHOWN && html`<p class="quiet">These are the first ${bytes(RAW_SHOWN)}.</p>`}`}
  <//>`;
}
