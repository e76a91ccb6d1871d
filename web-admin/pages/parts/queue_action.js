// Something done to entries of the queue: first a dry run that says how many and which, then a job with its progress,
// then what was refused.
import { html, useEffect, useState } from "../../vendor/preact.js";
import { post } from "../../api.js";
import { isWhole } from "../../session.js";
import { ConfirmDialog, Dialog } from "../../ui/dialog.js";
import { count, plural } from "../../ui/format.js";
import { JobProgress } from "../../ui/progress.js";
import { ErrorBox, Loading } from "../../ui/state.js";
import { toast } from "../../ui/toast.js";

/** @typedef {"retry" | "hold" | "release" | "redirect" | "bounce" | "delete"} Action */
/** @typedef {{ ids: string[] } | { selector: Record<string, string> } | { all: true }} Chosen */

/** @type {Record<Action, { verb: string, done: string, danger?: boolean, reason?: string, whole?: boolean, told: string }>} whole: not for who is restricted to some domains */
export const ACTIONS = {
  retry: { verb: "Retry", done: "due now", told: "They are tried at once, whatever their next time was." },
  hold: { verb: "Hold", done: "held", reason: "Why they are held", told: "They are not tried and do not expire until somebody releases them." },
  release: { verb: "Release", done: "released", told: "Held no more, they are tried at once. What nobody holds is left alone." },
  redirect: { verb: "Reroute", done: "sent by another way", whole: true, told: "They go out by another way, as when a provider blocks this server, and are tried at once." },
  bounce: { verb: "Bounce", done: "bounced", danger: true, reason: "The reason, as the senders will read it", told: "They are given up, and each sender is told so by a bounce." },
  delete: { verb: "Remove", done: "removed", danger: true, told: "They are removed, and nobody is told. Only the trace will know." },
};

/** @param {{ action: Action, chosen: Chosen, onClose: () => void, onDone: () => void }} props */
export function QueueAction({ action, chosen, onClose, onDone }) {
  const { verb, done, danger, reason, told } = ACTIONS[action];
  const [preview, setPreview] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [job, setJob] = useState(/** @type {any} */ (null));
  const [ended, setEnded] = useState(/** @type {any} */ (null));
  const [why, setWhy] = useState("");
  const [until, setUntil] = useState("");
  const [route, setRoute] = useState("");
  const isRouted = action === "redirect";
  const order = { action, ...chosen, ...(isRouted ? { route: route.trim() } : {}), ...(reason ? { reason: why.trim() || "-" } : {}), ...(until ? { until: new Date(until).toISOString() } : {}) };

  useEffect(() => {
    // How many it is about does not depend on the way, which is not known yet.
    const counted = isRouted ? { action: "retry", ...chosen } : order;
    post("/queue/actions", { ...counted, dry_run: true }).then(({ body }) => setPreview(body), setError);
  }, []);
  const run = async () => {
    const { body } = await post("/queue/actions", order, { once: true });
    setJob(body);
  };
  const end = (/** @type {any} */ job) => {
    onDone();
    setEnded(job);
    if (job.state === "succeeded" && !job.result?.refused) {
      toast(`${plural(job.result.done, "recipient")} ${done}`);
      onClose();
    }
  };

  if (job) {
    const refusals = ended?.result?.refusals ?? [];
    return html`<${Dialog} open title=${ended ? `${verb}: done for ${count(ended.result?.done ?? 0)}` : `${verb}…`} onClose=${onClose}
      footer=${html`<button type="button" class="primary" onClick=${onClose}>Close</button>`}>
      <${JobProgress} job=${job} onEnd=${end} label=${verb} />
      ${refusals.length > 0 && html`<p>${plural(ended.result.refused, "recipient was", "recipients were")} left alone:</p>
        <ul class="plain-list">${refusals.map((/** @type {any} */ one) => html`<li><code>${one.id}</code> ${one.problem}</li>`)}</ul>`}
    <//>`;
  }
  const number = preview ? preview.count : 0;
  const title = preview ? `${verb} ${plural(number, "recipient")}?` : `${verb}?`;
  const confirm = { title, verb: `${verb} ${preview ? count(number) : ""}`, danger, disabled: number === 0 || (reason && !why.trim()) || (isRouted && !route.trim()) };
  return html`<${ConfirmDialog} open ...${confirm} onConfirm=${run} onClose=${onClose} keep
    loses=${danger && preview && `${plural(number, "recipient")} will not get the message`}>
    <p>${told}</p>
    ${error && html`<${ErrorBox} error=${error} />`}
    ${!preview && !error && html`<${Loading} what="Counting" />`}
    ${preview && html`<${Preview} preview=${preview} />`}
    ${reason && html`<div class="field"><label for="queue-reason">${reason} <span class="required">required</span></label>
      <input id="queue-reason" data-focus maxlength="500" value=${why} onInput=${(/** @type {any} */ event) => setWhy(event.currentTarget.value)} /></div>`}
    ${isRouted && html`<div class="field"><label for="queue-route">By which way <span class="required">required</span></label>
      <input id="queue-route" data-focus placeholder="relay.example.org:587" spellcheck=${false} value=${route} aria-describedby="queue-route-hint" onInput=${(/** @type {any} */ event) => setRoute(event.currentTarget.value)} />
      <p class="hint" id="queue-route-hint">A route's name, or a server that takes them, for these alone.</p></div>`}
    ${action === "hold" && html`<div class="field"><label for="queue-until">Until</label>
      <input id="queue-until" type="datetime-local" value=${until} aria-describedby="queue-until-hint" onInput=${(/** @type {any} */ event) => setUntil(event.currentTarget.value)} />
      <p class="hint" id="queue-until-hint">Empty: until somebody releases them.</p></div>`}
  <//>`;
}

/** What may be done to many by who is logged in. @type {() => [string, { verb: string, danger?: boolean }][]} */
export const actionsForMany = () => Object.entries(ACTIONS).filter(([, { whole }]) => !whole || isWhole());

/** The first of those that it would be about. @param {{ preview: { count: number, items: any[] } }} props */
export function Preview({ preview }) {
  if (preview.count === 0) return html`<p>Nothing fits: there is nothing to do.</p>`;
  const rest = preview.count - preview.items.length;
  return html`<ul class="plain-list small">${preview.items.map((entry) => html`<li key=${entry.id} class="wrap-anywhere">
    ${entry.recipient} <span class="quiet">from ${entry.sender ?? "the null sender"}</span></li>`)}
    ${rest > 0 && html`<li class="quiet">and ${count(rest)} more</li>`}</ul>`;
}
