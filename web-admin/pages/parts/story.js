// The answer to "where is my mail?": one sentence, the next step, each recipient, what happened, and what can be done.
import { html, useState } from "../../vendor/preact.js";
import { link } from "../../router.js";
import { can } from "../../session.js";
import { CopyButton } from "../../ui/copy.js";
import { Icon } from "../../ui/icon.js";
import { Section } from "../../ui/page.js";
import { absolute } from "../../ui/time.js";
import { Redeliver } from "./redeliver.js";
import { Timeline, facts, said, spoken } from "./timeline.js";
import { Outcome, eventWords, outcomeKind, outcomeWord } from "./words.js";

/** @type {Record<string, string>} */
const ICONS = { ok: "ok", warn: "warn", bad: "bad", info: "clock", quiet: "info" };

/** @param {{ story: any, reload: () => void, inQueue?: boolean, facts?: any }} props inQueue: it is shown beside its recipients in the queue; facts: what stands below the answer */
export function Story({ story, reload, inQueue = false, facts: known }) {
  const [isAsking, setAsking] = useState(false);
  const { verdict, recipients } = story;
  const kinds = recipients.map((/** @type {any} */ recipient) => outcomeKind(recipient.outcome));
  const worst = ["bad", "warn", "info", "ok"].find((one) => kinds.includes(one)) ?? "quiet";
  const kind = verdict.outcome === "mixed" ? worst : outcomeKind(verdict.outcome);
  const isQueued = recipients.some((/** @type {any} */ recipient) => recipient.outcome === "waiting" || recipient.outcome === "held");
  return html`
    <div class=${`verdict ${kind}`} role="status"><${Icon} name=${ICONS[kind]} />
      <div><p>${spoken(verdict.sentence)}</p>${verdict.next_step && html`<p class="next-step"><strong>Next:</strong> ${spoken(verdict.next_step)}</p>`}</div></div>
    <div class="row">
      ${story.redeliverable !== false && story.id.startsWith("m_") && can("queue:write") && html`<button type="button" onClick=${() => setAsking(true)}><${Icon} name="due" /> Redeliver…</button>`}
      ${isQueued && !inQueue && can("queue:read") && html`<a class="button" href=${link("/message", story.id)}><${Icon} name="clock" /> In the queue</a>`}
      <${CopyButton} words label="Copy as text" text=${() => asText(story)} />
      <${CopyButton} words label="Copy the link" text=${() => `${location.origin}${location.pathname}${link("/trace", story.id)}`} />
    </div>
    ${known}
    ${recipients.length > 1 && !inQueue && html`<${Section} title="Recipients"><ul class="recipients">${recipients.map((/** @type {any} */ one) => html`<li key=${one.address} class="card">
      <p class="row"><strong class="wrap-anywhere">${one.address}</strong> <${Outcome} outcome=${one.outcome} /></p>
      <p>${spoken(one.sentence)}</p>${one.next_step && html`<p class="quiet">${spoken(one.next_step)}</p>`}</li>`)}</ul><//>`}
    <${Section} title="What happened"><${Timeline} id=${story.id} events=${story.events} /><//>
    ${isAsking && html`<${Redeliver} story=${story} onClose=${() => setAsking(false)} onDone=${reload} />`}`;
}

/** For the mail to who has asked. @param {any} story */
function asText(story) {
  const { verdict, recipients, events } = story;
  const many = recipients.length > 1 ? recipients.map((/** @type {any} */ one) => `- ${one.address}: ${outcomeWord(one.outcome)}. ${one.sentence}`) : [];
  const lines = events.map((/** @type {any} */ event) => {
    const head = [absolute(event.at), eventWords(event.kind)[2], event.recipient].filter(Boolean).join("  ");
    return [head, said(event) && `    ${said(event)}`, `    ${facts(event).join(", ")}`].filter(Boolean).join("\n");
  });
  return [verdict.sentence, verdict.next_step, ...many, "", ...lines, "", `Message ${story.id}`].filter((line) => line !== null && line !== undefined).join("\n");
}
