// Who swaps roles with us? Peers, a session now with its dialogue as it is spoken, past sessions, and what waits.
import { html, useEffect, useState } from "../vendor/preact.js";
import { at, get, post, put, remove } from "../api.js";
import { go, link } from "../router.js";
import { can } from "../session.js";
import { Badge } from "../ui/badge.js";
import { ConfirmDialog, Dialog } from "../ui/dialog.js";
import { Field, Form } from "../ui/form.js";
import { bytes, count, plural } from "../ui/format.js";
import { Icon } from "../ui/icon.js";
import { Kept, KeptToo, useLock } from "../ui/kept.js";
import { Loaded, useGet, useList } from "../ui/load.js";
import { Facts, Page, Section } from "../ui/page.js";
import { EmptyState } from "../ui/state.js";
import { Table } from "../ui/table.js";
import { Time } from "../ui/time.js";
import { toast } from "../ui/toast.js";
import { Dialogue } from "./parts/timeline.js";

const VERBS = /** @type {[string, string][]} */ ([
  ["atrn", "ATRN: roles are swapped, for named domains (RFC 2645)"], ["turn", "TURN: roles are swapped (RFC 821)"], ["etrn", "ETRN: mail is released, by new connections (RFC 1985)"],
]);
const MECHANISMS = /** @type {[string, string][]} */ ([
  ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256-PLUS: proved, and bound to the connection"], ["SCRAM-SHA-256", "SCRAM-SHA-256: proved (RFC 7677)"],
  ["PLAIN", "PLAIN: the secret itself, inside TLS"], ["LOGIN", "LOGIN: the same, for old programs"],
  ["CRAM-MD5", "CRAM-MD5: for fetchmail; with a secret that “pillarbox turn secret” has made"],
]);
const LOGINS = /** @type {[string, string][]} */ ([["secret", "a user name and a secret"], ["certificate", "the certificate of the side that dials (EXTERNAL)"]]);
const DIRECTIONS = /** @type {[string, string][]} */ ([["both", "either"], ["initiate", "we dial it"], ["accept", "it dials us"]]);
/** @type {Record<string, [string, string]>} */
const STATES = { running: ["busy", "runs"], done: ["ok", "done"], refused: ["warn", "refused"], failed: ["bad", "failed"] };
/** While a session runs it is looked at this often, besides its events. */
const LOOK_MS = 1000;
const SOON_MS = 150;
const LOOKS_MAX = 40;

/** @param {{ state: string }} props */
function SessionState({ state }) {
  const [kind, word] = STATES[state] ?? ["quiet", state];
  return html`<${Badge} kind=${kind}>${word}<//>`;
}

/** @type {import("../ui/table.js").Column[]} */
const SESSIONS = [
  { id: "peer", title: "Peer", kind: "main", cell: (row) => html`<a href=${link("/turn", row.id)}>${row.peer}</a>` },
  { id: "state", title: "State", kind: "tight", cell: (row) => html`<${SessionState} state=${row.state} />` },
  { id: "verb", title: "Verb", kind: "tight", cell: (row) => `${row.verb.toUpperCase()}, ${row.role_before === "client" ? "we dialled" : "it dialled"}` },
  { id: "mail", title: "Mail", cell: (row) => mail(row) },
  { id: "outcome", title: "Outcome", cell: (row) => row.outcome },
  { id: "at", title: "Began", kind: "tight", cell: (row) => html`<${Time} at=${row.started_at} />` },
];

/** @param {{ parts: string[] }} props */
export default function Turn({ parts }) {
  return parts[0] ? html`<${Session} id=${parts[0]} />` : html`<${All} />`;
}

function All() {
  const peers = useList("/turn/peers", { live: "turn queue", limit: 500 });
  const sessions = useList("/turn/sessions", { live: "turn", limit: 50 });
  const [edited, setEdited] = useState(/** @type {any} */ (null));
  const mayWrite = can("turn:write");
  const done = () => {
    peers.reload();
    sessions.reload();
  };
  const add = html`<button type="button" class="primary" onClick=${() => setEdited({})}><${Icon} name="plus" /> New peer</button>`;
  return html`<${Page} title="TURN" lead="Other servers that fetch their mail here, or that ours is fetched from: who dials, who logs in, and what changes hands."
    actions=${mayWrite && add}>
    <${Section} title="Peers"><${Loaded} of=${peers}>${(/** @type {any[]} */ items) => items.length === 0
      ? html`<${EmptyState} title="No peers yet">A peer is a server that is not always reachable: its mail is held here until it dials and asks for it with ATRN, TURN or ETRN, or until we dial it.<//>`
      : html`<ul class="recipients">${items.map((peer) => html`<${Peer} key=${peer.name} peer=${peer} onEdit=${() => setEdited(peer)} onDone=${done} />`)}</ul>`}<//><//>
    <${Section} title="Sessions"><${Table} label="Sessions, the newest first" rows=${sessions.items} list=${sessions} rowKey=${(/** @type {any} */ row) => row.id} columns=${SESSIONS}
      name=${(/** @type {any} */ row) => row.peer} onOpen=${(/** @type {any} */ row) => go(link("/turn", row.id))} empty=${html`<p class="quiet">No session yet.</p>`} /><//>
    ${edited && html`<${Edit} peer=${edited} onClose=${() => setEdited(null)} onDone=${done} />`}
  <//>`;
}

/** @param {{ peer: any, onEdit: () => void, onDone: () => void }} props */
function Peer({ peer, onEdit, onDone }) {
  const [isStarting, setStarting] = useState(false);
  const [isDeleting, setDeleting] = useState(false);
  const last = peer.last_session;
  const canDial = peer.enabled && peer.direction !== "accept";
  return html`<li class="card stack">
    <div class="row"><h3 class="grow wrap-anywhere">${peer.name}<${Kept} row=${peer} /></h3>
      ${peer.verbs.map((/** @type {string} */ verb) => html`<${Badge} key=${verb} kind="info" icon="">${verb.toUpperCase()}<//>`)}
      ${!peer.enabled && html`<${Badge} kind="warn">disabled<//>`}</div>
    <${Facts} of=${[
      ["Who dials", { both: "either", initiate: "we dial it", accept: "it dials us" }[/** @type {string} */ (peer.direction)]],
      ["Where", peer.host ? `${peer.host}, port ${peer.port}` : "by the DNS"],
      ["Logs in as", peer.auth ? peer.auth.sasl_user || "who holds the certificate" : "nobody: ETRN alone"],
      ["Logs in by", peer.auth && `${peer.auth.mechanisms.join(", ")}${peer.tls.required === false ? ", also without TLS" : ""}`],
      ["Its certificate", peer.auth?.client_cert_sha256 && html`<code class="wrap-anywhere">${peer.auth.client_cert_sha256}</code>`],
      ["Ours, for it to know", peer.auth?.our_cert_sha256 && html`<code class="wrap-anywhere">${peer.auth.our_cert_sha256}</code>`],
      ["Only from", peer.networks.join(", ")],
      ["A session carries", carries(peer.limits)],
      ["Dialled by itself", peer.schedule && html`${whenDialled(peer.schedule)}${peer.next_session_at && html`, next <${Time} at=${peer.next_session_at} />`}`],
      ["Last session", last ? html`<${SessionState} state=${last.state} /> <a href=${link("/turn", last.id)}><${Time} at=${last.started_at} /></a> <span class="quiet">${last.state !== "running" && mail(last)}</span>` : html`<span class="quiet">none yet</span>`],
      ["Note", peer.note],
    ]} />
    <ul class="plain-list">${peer.domains.map((/** @type {string} */ domain) => html`<${Waits} key=${domain} domain=${domain} />`)}</ul>
    ${can("turn:write") && html`<div class="row">
      ${canDial && html`<button type="button" class="primary" onClick=${() => setStarting(true)}><${Icon} name="swap" /> Start a session…</button>`}
      <button type="button" onClick=${onEdit}>Edit</button>
      <button type="button" class="danger" onClick=${() => setDeleting(true)}>Delete…</button></div>`}
    ${isStarting && html`<${Start} peer=${peer} onClose=${() => setStarting(false)} />`}
    ${isDeleting && html`<${Delete} peer=${peer} onClose=${() => setDeleting(false)} onDone=${onDone} />`}
  </li>`;
}

/** What ETRN or ATRN would release for a domain. @param {{ domain: string }} props */
function Waits({ domain }) {
  const waiting = useGet(at`/turn/domains/${domain}/waiting`, { live: "queue turn" });
  const { data } = waiting;
  return html`<li class="row"><span class="wrap-anywhere">${domain}</span>
    ${data && (data.count === 0 ? html`<span class="quiet">nothing waits</span>`
      : html`<a href=${`${link("/queue")}?domain=${encodeURIComponent(domain)}`}>${plural(data.count, "recipient")} waiting</a>
        <span class="quiet">${bytes(data.size_bytes)}, the oldest <${Time} at=${data.oldest_at} /></span>`)}</li>`;
}

/** @param {{ peer: any, onClose: () => void }} props */
function Start({ peer, onClose }) {
  const start = async (/** @type {any} */ { verb, dry_run }) => {
    const { body: job } = await post(at`/turn/peers/${peer.name}/sessions`, { ...(verb ? { verb } : {}), dry_run }, { once: true });
    // It is shown as soon as it is there.
    for (let turn = 0; turn < LOOKS_MAX; turn += 1) {
      const { items } = await get("/turn/sessions", { peer: peer.name, limit: 5 });
      if (items.some((/** @type {any} */ one) => one.id === job.session)) break;
      await new Promise((done) => setTimeout(done, SOON_MS));
    }
    onClose();
    go(link("/turn", job.session));
  };
  const verbs = [["", "the best it has"], ...VERBS.filter(([verb]) => peer.verbs.includes(verb))];
  return html`<${Dialog} open title=${`Start a session with ${peer.name}`} onClose=${onClose}>
    <p>We dial, log in, send what waits for it, then ask for the swap and take our mail.</p>
    <${Form} onSubmit=${start} submit="Start" onCancel=${onClose}>
      <${Field} label="Verb" name="verb" type="select" options=${verbs} value="" />
      <${Field} label="Only try: connect, log in, look, and leave" name="dry_run" type="checkbox" hint="Nothing is sent and nothing is asked for." />
    <//>
  <//>`;
}

/** @param {{ peer: any, onClose: () => void, onDone: () => void }} props */
function Delete({ peer, onClose, onDone }) {
  const run = async () => {
    await remove(at`/turn/peers/${peer.name}`);
    toast(`${peer.name} is deleted`);
    onDone();
  };
  return html`<${ConfirmDialog} open danger title=${`Delete the peer ${peer.name}?`} verb="Delete" onConfirm=${run} onClose=${onClose}
    loses=${`its login, and the holding of mail for ${plural(peer.domains.length, "domain")}: ${peer.domains.join(", ")}`}>
    <p>Mail that waits for it stays in the queue, and goes out by the ordinary way. Its sessions stay in the list.</p>
    <${KeptToo} row=${peer} />
  <//>`;
}

/**
 * By what a peer is known. By itself: what is chosen here shows other fields, and must leave what is typed elsewhere.
 * @param {{ seen: any }} props
 */
function Login({ seen }) {
  const [by, setBy] = useState(seen?.auth?.mechanisms.includes("EXTERNAL") ? "certificate" : "secret");
  return html`<${Field} label="Known by" name="by" pointer="/auth/by" type="select" options=${LOGINS} value=${by} onInput=${setBy} hint="TURN and ATRN need one of them." />
    ${by === "certificate" ? html`<${Field} label="Fingerprint of the certificate that it shows" name="client_cert" pointer="/auth/client_cert_sha256" mono value=${seen?.auth?.client_cert_sha256} hint="SHA-256 in hexadecimal, for a peer that dials us. Where we dial, we show our own: its fingerprint stands at the peer once it is saved." />`
      : html`<${Field} label="User name" name="user" pointer="/auth/sasl_user" value=${seen?.auth?.sasl_user} autocomplete="off" hint="The same at both sides; no account may have it." />
    <${Field} label="Secret" name="secret" pointer="/auth/secret" type="password" autocomplete="new-password" hint=${seen?.auth?.secret.set ? "Empty: it stays as it is." : "It is sent over TLS only, and never shown again."} />
    <fieldset><legend>It logs in by</legend>${MECHANISMS.map(([mechanism, words]) => html`<${Field} key=${mechanism} label=${words} name=${`by_${mechanism}`} pointer="/auth/mechanisms" type="checkbox" value=${seen?.auth?.sasl_user ? seen.auth.mechanisms.includes(mechanism) : mechanism !== "CRAM-MD5"} />`)}</fieldset>`}`;
}

/** A new peer, or one that is there. @param {{ peer: any, onClose: () => void, onDone: () => void }} props */
function Edit({ peer, onClose, onDone }) {
  const isNew = !peer.name;
  const one = useGet(isNew ? null : at`/turn/peers/${peer.name}`);
  const save = async (/** @type {any} */ form) => {
    const { name, direction, host, port, domains, by, user, secret, client_cert, pin, required, networks, enabled, note, messages, size_bytes, duration_seconds, every_seconds, cron } = form;
    const mechanisms = MECHANISMS.map(([mechanism]) => mechanism).filter((mechanism) => form[`by_${mechanism}`]);
    const auth = by === "certificate" ? { mechanisms: ["EXTERNAL"], ...(client_cert ? { client_cert_sha256: client_cert } : {}) }
      : user ? { sasl_user: user, mechanisms, ...(secret ? { secret } : {}) } : null;
    const body = {
      verbs: VERBS.map(([verb]) => verb).filter((verb) => form[`verb_${verb}`]), direction, domains, networks, enabled, note,
      host: host || null, port, ...(auth ? { auth } : {}),
      limits: { messages, size_bytes, duration_seconds },
      schedule: every_seconds || cron ? { ...(every_seconds ? { every_seconds } : {}), ...(cron ? { cron } : {}) } : null,
      tls: { required, ...(pin ? { mode: "pinned", server_cert_sha256: pin } : { mode: "pkix" }) },
    };
    await put(at`/turn/peers/${name ?? peer.name}`, body, isNew ? { create: true } : { etag: one.etag });
    toast(`${name ?? peer.name} is ${isNew ? "created" : "saved"}`);
    onDone();
    onClose();
  };
  const { isLocked, notice } = useLock(one.data);
  const fields = (/** @type {any} */ seen) => html`${notice}<${Form} key=${one.etag} onSubmit=${save} reload=${one.reload} submit=${isNew ? "Create" : "Save"} onCancel=${onClose} readOnly=${isLocked}>
    ${isNew && html`<${Field} label="Name" name="name" required hint="What it is called here and in the trace, as in branch." />`}
    <fieldset><legend>Verbs</legend>${VERBS.map(([verb, words]) => html`<${Field} key=${verb} label=${words} name=${`verb_${verb}`} pointer="/verbs" type="checkbox" value=${seen ? seen.verbs.includes(verb) : verb === "atrn"} />`)}</fieldset>
    <${Field} label="Its domains" name="domains" type="lines" required value=${seen?.domains} hint="One a line. Those that are not ours are held for it; those that are ours are what we ask it for." />
    <${Login} seen=${seen} />
    <${Field} label="Who dials" name="direction" type="select" options=${DIRECTIONS} value=${seen?.direction ?? "both"} />
    <${Field} label="Host" name="host" value=${seen?.host} hint="Where we dial it. Empty: by the DNS." placeholder="mail.branch.example" />
    <${Field} label="Port" name="port" type="number" value=${seen?.port} hint="Empty: 25; 366 where ATRN is the only verb." />
    <${Field} label="Fingerprint of its certificate" name="pin" pointer="/tls/server_cert_sha256" mono value=${seen?.tls.server_cert_sha256} hint="SHA-256 in hexadecimal, for a certificate that no public CA has signed." />
    <${Field} label="Only from these networks" name="networks" type="lines" value=${seen?.networks} hint="One a line, as in 192.0.2.0/24. Empty: from anywhere." />
    <${Field} label="It has to come over TLS" name="required" pointer="/tls/required" type="checkbox" value=${seen?.tls.required ?? true} hint="If not, it may log in on port 366 by CRAM-MD5, from the networks above." />
    <${Field} label="Dial it every so many seconds" name="every_seconds" pointer="/schedule" type="number" value=${seen?.schedule?.every_seconds} hint="60 to 604800. Empty: only when somebody asks for it." />
    <${Field} label="Or dial it at the times of a cron line" name="cron" mono value=${seen?.schedule?.cron} placeholder="*/15 * * * *" hint="Minute, hour, day of the month, month, day of the week, in UTC." />
    <${Field} label="Messages in one session, at most" name="messages" pointer="/limits/messages" type="number" value=${seen?.limits.messages} hint="In each direction. Empty: as many as there are." />
    <${Field} label="Octets in one session, at most" name="size_bytes" pointer="/limits/size_bytes" type="number" value=${seen?.limits.size_bytes} hint="In each direction: the message that reaches it is the last. Empty: as many as there are." />
    <${Field} label="Seconds for one session, at most" name="duration_seconds" pointer="/limits/duration_seconds" type="number" value=${seen?.limits.duration_seconds} hint="Empty: 1800." />
    <${Field} label="Enabled" name="enabled" type="checkbox" value=${seen?.enabled ?? true} hint="A disabled peer is as good as none, but its mail stays held." />
    <${Field} label="Note" name="note" value=${seen?.note} />
  <//>`;
  return html`<${Dialog} open wide title=${isNew ? "New peer" : `Edit ${peer.name}`} onClose=${onClose}>
    ${isNew ? fields(null) : html`<${Loaded} of=${one}>${fields}<//>`}
  <//>`;
}

/** One session, as it is spoken. @param {{ id: string }} props */
function Session({ id }) {
  const session = useGet(at`/turn/sessions/${id}`, { live: "turn" });
  const [isEnding, setEnding] = useState(false);
  const isRunning = session.data?.state === "running";
  useEffect(() => {
    if (!isRunning) return undefined;
    const timer = setInterval(session.reload, LOOK_MS);
    return () => clearInterval(timer);
  }, [isRunning, session.reload]);
  const peer = session.data?.peer;
  return html`<${Page} title=${peer ? `Session with ${peer}` : "Session"} trail=${[["TURN", link("/turn")]]}
    actions=${isRunning && can("turn:write") && html`<button type="button" class="danger" onClick=${() => setEnding(true)}>End it…</button>`}>
    <${Loaded} of=${session}>${(/** @type {any} */ data) => html`
      <${Facts} of=${[
        ["State", html`<${SessionState} state=${data.state} /> <span>${data.outcome}</span>`],
        ["Verb", data.verb.toUpperCase()],
        ["Roles", `we were the ${data.role_before}${data.role_after ? `, then the ${data.role_after}` : ""}`],
        ["Its address", data.peer_ip],
        ["Mail", mail(data)],
        ["Began", html`<${Time} at=${data.started_at} clock />`],
        ["Ended", data.ended_at && html`<${Time} at=${data.ended_at} clock />`],
      ]} />
      <${Section} title="What is said"><div role="log" aria-live="polite" aria-label="Dialogue with the peer">
        ${data.transcript ? html`<${Dialogue} text=${data.transcript} label="Dialogue of the session" isRunning=${isRunning} />` : html`<p class="quiet">Nothing yet.</p>`}</div><//>`}<//>
    ${isEnding && html`<${ConfirmDialog} open title="End this session?" verb="End it" onClose=${() => setEnding(false)}
      onConfirm=${async () => { await post(at`/turn/sessions/${id}/abort`); session.reload(); }}>
      <p>It ends between two messages: nothing is lost, and what was not sent waits for the next session.</p><//>`}
  <//>`;
}

/** How much a session carries, at most. @param {{ messages: number | null, size_bytes: number | null, duration_seconds: number | null }} limits */
function carries({ messages, size_bytes, duration_seconds }) {
  const all = [messages && plural(messages, "message"), size_bytes && bytes(size_bytes), duration_seconds && plural(duration_seconds, "second")].filter(Boolean);
  return all.length > 0 && `at most ${all.join(", ")}`;
}

/** @param {{ every_seconds: number | null, cron: string | null }} schedule */
function whenDialled({ every_seconds, cron }) {
  return every_seconds ? `every ${plural(every_seconds, "second")}` : html`<code>${cron}</code> (UTC)`;
}

/** @param {{ sent: number, received: number, refused: number }} session */
function mail({ sent, received, refused }) {
  const all = [sent > 0 && `${count(sent)} sent`, received > 0 && `${count(received)} taken`, refused > 0 && `${count(refused)} refused`].filter(Boolean);
  return all.length > 0 ? all.join(", ") : "none";
}
