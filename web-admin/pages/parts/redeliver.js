// Sends a message once more, from the body that is kept: to all of its recipients, to some, or to somebody else.
import { html, useState } from "../../vendor/preact.js";
import { at, post } from "../../api.js";
import { Dialog } from "../../ui/dialog.js";
import { Field, Form } from "../../ui/form.js";
import { plural } from "../../ui/format.js";
import { Badge } from "../../ui/badge.js";
import { Until } from "../../ui/time.js";
import { link } from "../../router.js";
import { isWhole } from "../../session.js";
import { WayField } from "./queue_state.js";

/** @type {Record<string, [string, string]>} */
const OUTCOMES = { delivered: ["ok", "delivered"], queued: ["info", "queued"], rejected: ["bad", "rejected"] };

/** @param {{ story: any, onClose: () => void, onDone: () => void }} props */
export function Redeliver({ story, onClose, onDone }) {
  const [order, setOrder] = useState(/** @type {any} */ (null));
  const [seen, setSeen] = useState(/** @type {any} */ (null));
  const addresses = story.recipients.map((/** @type {any} */ recipient) => recipient.address);
  const send = async (/** @type {any} */ body) => {
    const { body: answer } = await post(at`/trace/${story.id}/redeliver`, body, { once: true });
    setSeen(answer);
    setOrder(body);
    if (!answer.dry_run) onDone();
  };
  const look = (/** @type {any} */ { recipients, route }) => send({ recipients, ...(route && { route }), dry_run: true });
  const isDone = seen && !seen.dry_run;
  return html`<${Dialog} open title="Send this message once more" onClose=${onClose}>
    ${story.body_kept_until_at && html`<p class="quiet">Its content is kept <${Until} at=${story.body_kept_until_at} />.</p>`}
    ${!seen && html`<${Form} onSubmit=${look} submit="See what would happen" onCancel=${onClose}>
      <${Field} label="To" name="recipients" type="lines" value=${addresses} required hint="One address a line: those it was for, or others. Who has it already gets it twice." />
      ${isWhole() && html`<${WayField} />`}
    <//>`}
    ${seen && html`<ul class="plain-list">${seen.recipients.map((/** @type {any} */ one) => {
      const [kind, word] = OUTCOMES[one.outcome] ?? ["quiet", one.outcome];
      return html`<li key=${one.address} class="wrap-anywhere"><${Badge} kind=${kind}>${isDone ? word : `would be ${word}`}<//> ${one.address} <span class="quiet">${one.text}</span></li>`;
    })}</ul>`}
    ${seen && !isDone && html`<${Form} onSubmit=${() => send({ ...order, dry_run: false })} submit=${`Send to ${plural(seen.recipients.length, "recipient")}`} onCancel=${() => setSeen(null)} />`}
    ${isDone && html`<div class="row">${seen.id && html`<a class="button" href=${link("/trace", seen.id)} onClick=${onClose}>Follow it</a>`}
      <button type="button" class="primary" onClick=${onClose}>Close</button></div>`}
  <//>`;
}
