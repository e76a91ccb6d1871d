// What happened to a message, one event under the other, with the dialogue of an attempt behind a click.
import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { at, get } from "../../api.js";
import { link } from "../../router.js";
import { bytes } from "../../ui/format.js";
import { Icon } from "../../ui/icon.js";
import { ErrorBox, Loading } from "../../ui/state.js";
import { Time, duration } from "../../ui/time.js";
import { eventWords } from "./words.js";

/** @param {{ id: string, events: any[] }} props id: the message's */
export function Timeline({ id, events }) {
  return html`<ol class="timeline">${events.map((event, place) => html`<${One} key=${place} id=${id} event=${event} />`)}</ol>`;
}

/** @param {{ id: string, event: any }} props */
function One({ id, event }) {
  const [icon, kind, word] = eventWords(event.kind);
  const hasTranscript = event.transcript_id !== null && event.transcript_id !== undefined;
  return html`<li class=${`event ${kind}`}>
    <span class="event-icon"><${Icon} name=${icon} /></span>
    <div>
      <p class="event-head"><strong>${word}</strong>${event.recipient && html` <span class="wrap-anywhere">${event.recipient}</span>`}
        <span class="quiet small event-time"><${Time} at=${event.at} clock /></span></p>
      ${said(event) && html`<p class="event-said">${spoken(said(event))}</p>`}
      <p class="quiet small wrap-anywhere">${facts(event).join(" · ")}</p>
      ${hasTranscript && html`<${Transcript} id=${id} number=${event.transcript_id} />`}
    </div>
  </li>`;
}

/** Code, enhanced code and words, as they were said. @param {any} event */
export const said = (event) => [event.code, event.enhanced, event.text].filter((part) => part !== null && part !== undefined && part !== "").join(" ");

/** What the server says, with times for people; ids of other messages lead to their stories. @param {string} text */
export const spoken = (text) => text.split(/(\bm_[0-9a-z]{13}\b|\b\d{4}-\d\d-\d\dT[\d:.]+Z)/).map((part, place) => {
  if (place % 2 === 0) return part;
  return part.startsWith("m_") ? html`<a href=${link("/trace", part)}>${part}</a>` : html`<${Time} at=${part} clock />`;
});

/** The rest that is known of an event. @param {any} event @returns {string[]} */
export function facts(event) {
  const far = [...new Set([event.server, event.peer_ip && `[${event.peer_ip}]`])].filter(Boolean).join(" ");
  return [
    `by ${event.actor}`,
    event.sender !== null && event.sender !== undefined && `from ${event.sender || "the null sender"}`,
    event.mailbox && `mailbox ${event.mailbox}${event.account ? ` of ${event.account}` : ""}`,
    far && `${event.server ? "to" : "from"} ${far}`,
    event.helo && `which calls itself ${event.helo}`,
    event.stage && `at the stage “${event.stage}”`,
    event.size_bytes !== null && event.size_bytes !== undefined && bytes(event.size_bytes),
    event.duration_ms !== null && event.duration_ms !== undefined && `in ${event.duration_ms < 1000 ? `${event.duration_ms} ms` : duration(event.duration_ms / 1000)}`,
    event.tls,
    event.message_id && `Message-ID ${event.message_id}`,
  ].filter(Boolean);
}

/** A dialogue, read when it is opened. @param {{ id: string, number: string | number }} props */
export function Transcript({ id, number }) {
  const [text, setText] = useState(/** @type {string | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [isOpen, setOpen] = useState(false);
  const open = (/** @type {any} */ event) => {
    setOpen(event.currentTarget.open);
    if (event.currentTarget.open && text === null) get(at`/trace/${id}/transcripts/${number}`).then(setText, setError);
  };
  return html`<details class="transcript" onToggle=${open}><summary>What was said</summary>
    ${error ? html`<${ErrorBox} error=${error} />` : text === null ? isOpen && html`<${Loading} />` : html`<${Dialogue} text=${text} />`}</details>`;
}

/**
 * Lines of a dialogue, ours and theirs told apart.
 * @param {{ text: string, label?: string, isRunning?: boolean }} props isRunning: its last lines are kept in view
 */
export function Dialogue({ text, label = "Dialogue", isRunning = false }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (isRunning && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text, isRunning]);
  return html`<pre ref=${box} class="dialogue" tabindex="0" role="region" aria-label=${label}>${text.split("\n").map((line) => {
    const side = /^>/.test(line) ? "us" : /^</.test(line) ? "them" : "aside";
    return html`<span class=${side}>${`${line}\n`}</span>`;
  })}</pre>`;
}
