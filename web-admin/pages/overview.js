// Is mail flowing? One line says it; below stand, for each failing check, its fix, and the numbers behind it all.
import { html } from "../vendor/preact.js";
import { link } from "../router.js";
import { can } from "../session.js";
import { Badge } from "../ui/badge.js";
import { Bars } from "../ui/chart.js";
import { bytes, count, plural } from "../ui/format.js";
import { Icon } from "../ui/icon.js";
import { Loaded, useGet } from "../ui/load.js";
import { WhatNext } from "../ui/next.js";
import { Facts, Page, Section } from "../ui/page.js";
import { Time, absolute } from "../ui/time.js";

/** @type {Record<string, { kind: string, word: string }>} */
const STATES = {
  ok: { kind: "ok", word: "fine" }, warning: { kind: "warn", word: "warning" }, problem: { kind: "bad", word: "problem" },
};
const STATE_ORDER = ["problem", "warning", "ok"];

/** @type {[string, string, string, string][]} state, word, icon, what it means */
const QUEUE = [
  ["due", "Due", "due", "their time has come"],
  ["in_flight", "Sending", "flight", "at this moment"],
  ["waiting", "Waiting", "clock", "for their next attempt"],
  ["held", "Held", "held", "by you, or for a peer"],
];

/** @type {[string, string, string, string][]} field, label, colour, what of the trace it is about */
const TRAFFIC = [
  ["received", "Taken in", "info", ""],
  ["delivered", "Into mailboxes", "ok", "?outcome=in_mailbox"],
  ["relayed", "Sent on", "ok", "?outcome=handed_over"],
  ["refused", "Refused at the door", "warn", "?outcome=refused"],
  ["deferred", "Put off", "warn", "?outcome=waiting"],
  ["bounced", "Bounced", "bad", "?outcome=bounced"],
];

export default function Overview() {
  const overview = useGet("/overview", { live: "queue delivery health", every_ms: 2000 });
  return html`<${Page} title="Overview">
    <${WhatNext} />
    <${Loaded} of=${overview}>${(/** @type {any} */ data) => html`<${Shown} ...${data} />`}<//>
  <//>`;
}

/** @param {any} props as GET /overview gives them */
function Shown({ verdict, checks, queue, traffic, disk, file_bytes, file_used_bytes, domains, accounts, certificates, listeners, version, started_at }) {
  const { kind } = STATES[verdict.state] ?? STATES.warning;
  const failing = checks.filter((/** @type {any} */ check) => check.state !== "ok");
  failing.sort((/** @type {any} */ a, /** @type {any} */ b) => STATE_ORDER.indexOf(a.state) - STATE_ORDER.indexOf(b.state));
  // The verdict of a single fault has all of its words already.
  const isSaid = failing.length === 1 && verdict.sentence.includes(failing[0].detail) && verdict.sentence.includes(failing[0].fix);
  const fine = checks.filter((/** @type {any} */ check) => check.state === "ok");
  const bars = TRAFFIC.map(([field, label, colour, query]) => {
    const values = traffic.map((/** @type {any} */ hour) => ({ at: hour.hour_at, value: hour[field] ?? 0 }));
    const chart = html`<${Bars} label=${label} kind=${colour} values=${values} />`;
    return can("trace:read") ? html`<a class="card tile" key=${field} href=${`${link("/trace")}${query}`}>${chart}</a>` : html`<div class="card" key=${field}>${chart}</div>`;
  });
  return html`
    <p class=${`verdict ${kind}`} role="status"><${Icon} name=${kind} /> <span>${verdict.sentence}</span></p>
    ${failing.length > 0 && !isSaid && html`<${Section} title=${failing.length === 1 ? "One check fails" : `${failing.length} checks fail`}>
      <ul class="check-list">${failing.map((/** @type {any} */ check) => html`<${Check} key=${check.id} check=${check} />`)}</ul><//>`}
    <${Section} title="Queue" actions=${html`<a href=${link("/queue")}>All that waits</a>`}>
      <ul class="tiles">${QUEUE.map(([state, word, icon, meaning]) => html`<li key=${state}>
        <a class="card tile" href=${`${link("/queue")}?state=${state}`}>
          <span class="row"><${Icon} name=${icon} /> ${word}</span><strong>${count(queue[state] ?? 0)}</strong><span class="quiet small">${meaning}</span>
        </a></li>`)}</ul>
      <p class="quiet">${queue.oldest_at
        ? html`${bytes(queue.bytes ?? 0)} in all; the oldest came in <${Time} at=${queue.oldest_at} />.`
        : "Nothing waits: all mail for elsewhere is on its way."}</p>
    <//>
    <${Section} title="The last 24 hours"><div class="cards charts">${bars}</div><//>
    <${Section} title="Server">
      <${Facts} of=${[
        ["Free disk space", disk.free_bytes !== null && html`${bytes(disk.free_bytes)} <span class="quiet">(${bytes(disk.reserve_bytes)} are kept back)</span>`],
        ["The file", html`${bytes(file_used_bytes)} <span class="quiet">(${bytes(file_bytes)} long)</span>`],
        ["Domains", can("domains:read") ? html`<a href=${link("/domains")}>${plural(domains, "domain")}</a>` : count(domains)],
        ["Accounts", can("accounts:read") ? html`<a href=${link("/accounts")}>${plural(accounts, "account")}</a>` : count(accounts)],
        ["Version", version],
        ["Running since", html`<${Time} at=${started_at} />`],
        ...certificates.map((/** @type {any} */ certificate) => [`Certificate for ${certificate.name}`, html`<${Certificate} ...${certificate} />`]),
      ]} />
      <${Listeners} listeners=${listeners ?? []} />
      ${fine.length > 0 && html`<details><summary>${plural(fine.length, "check is", "checks are")} fine</summary>
        <ul class="check-list">${fine.map((/** @type {any} */ check) => html`<${Check} key=${check.id} check=${check} />`)}</ul></details>`}
    <//>`;
}

/** @param {{ check: { state: string, title: string, detail: string, fix: string } }} props */
function Check({ check }) {
  const { kind, word } = STATES[check.state] ?? STATES.warning;
  return html`<li class="check-item"><${Badge} kind=${kind}>${word}<//>
    <div><h3>${check.title}</h3><p>${check.detail}</p>
      ${check.fix && check.state !== "ok" && html`<p><strong>What to do:</strong> ${check.fix}</p>`}</div></li>`;
}

/** @param {{ not_after: string, self_signed: boolean }} props */
const Certificate = ({ not_after, self_signed }) => html`
  ${self_signed ? html`<${Badge} kind="warn">self-signed<//> ` : ""}<span title=${absolute(not_after)}>${Date.parse(not_after) < Date.now() ? "ended" : "ends"} <${Time} at=${not_after} /></span>`;

/** @param {{ listeners: { name: string, port: number, tls: string }[] }} props */
function Listeners({ listeners }) {
  /** @type {Record<string, string>} */
  const tls = { none: "in the clear", starttls: "STARTTLS", implicit: "TLS" };
  return listeners.length > 0 && html`<details><summary>${plural(listeners.length, "listener")}</summary><ul class="plain-list">
    ${listeners.map(({ name, port, tls: kind }) => html`<li key=${name}><strong>${name}</strong> on port ${port} <span class="quiet">${tls[kind] ?? kind}</span></li>`)}</ul></details>`;
}
