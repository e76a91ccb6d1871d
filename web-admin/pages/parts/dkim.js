// The keys that a domain's mail is signed with.
import { html, useState } from "../../vendor/preact.js";
import { at, post, remove } from "../../api.js";
import { can } from "../../session.js";
import { Badge } from "../../ui/badge.js";
import { ConfirmDialog } from "../../ui/dialog.js";
import { useList } from "../../ui/load.js";
import { Section } from "../../ui/page.js";
import { JobProgress } from "../../ui/progress.js";
import { EmptyState, ErrorBox } from "../../ui/state.js";
import { Table } from "../../ui/table.js";
import { Time } from "../../ui/time.js";
import { toast } from "../../ui/toast.js";

/** @type {Record<string, [string, string]>} */
const STATES = { pending: ["warn", "to be published"], active: ["ok", "signs"], retiring: ["quiet", "retires"] };
/** @type {Record<string, [string, string]>} */
const IN_DNS = { unknown: ["quiet", "not known"], missing: ["warn", "not there"], wrong: ["bad", "something else"], published: ["ok", "there"] };
/** @type {Record<string, string>} */
const ALGORITHMS = { rsa2048: "RSA, 2048 bits", ed25519: "ed25519" };

/**
 * Which keys are there, and what is to be done for the next to sign?
 * @param {{ domain: string, onChanged: () => void }} props
 */
export function Dkim({ domain, onChanged }) {
  const list = useList(at`/domains/${domain}/dkim-keys`, { live: "job" });
  const [job, setJob] = useState(/** @type {any} */ (null));
  const [doomed, setDoomed] = useState(/** @type {any} */ (null));
  const [forced, setForced] = useState(/** @type {any} */ (null));
  const reload = () => {
    list.reload();
    onChanged();
  };
  const rotate = async () => {
    try {
      setJob((await post(at`/domains/${domain}/dkim/rotate`)).body);
    } catch (error) {
      toast.error(error);
    }
  };
  const activate = async (/** @type {any} */ key, force = false) => {
    await post(`${at`/domains/${domain}/dkim-keys/${key.selector}/activate`}${force ? "?force=true" : ""}`);
    toast(`${key.selector} signs from now on.`);
    reload();
  };
  const look = async (/** @type {any} */ key) => {
    try {
      await activate(key);
    } catch (error) {
      toast.error(error);
      setForced(key);
    }
  };
  const erase = async () => {
    const force = doomed.state === "pending" ? "" : "?force=true";
    await remove(`${at`/domains/${domain}/dkim-keys/${doomed.selector}`}${force}`);
    toast(`The key ${doomed.selector} is gone.`);
    reload();
  };
  const end = (/** @type {any} */ ended) => {
    if (ended.state === "succeeded") {
      toast("The new keys are made: publish their records, which stand below.");
      setJob(null);
    }
    reload();
  };
  const may = can("domains:write");
  const columns = [...COLUMNS, ...(may ? [{ id: "act", title: "Actions", hideTitle: true, kind: "tight", cell: (/** @type {any} */ row) => html`
    <span class="row">
      ${row.state !== "active" && row.usable && html`
        <button type="button" class="small" aria-label=${`Let ${row.selector} sign`} onClick=${() => look(row)}>Let it sign</button>`}
      <button type="button" class="quiet danger small" aria-label=${`Delete ${row.selector}`} onClick=${() => setDoomed(row)}>Delete…</button>
    </span>` }] : [])];
  const button = may && html`<button type="button" onClick=${rotate} disabled=${job !== null}>Make new keys</button>`;
  return html`
    <${Section} title="How its mail is signed" actions=${button}>
      <p class="quiet">
        With DKIM others know the domain's mail for its own. A new key signs once its record is in the DNS (the server looks every five minutes);
        the one before it retires, and is removed when no mail waits that it has signed.
      </p>
      ${job && html`<${JobProgress} key=${job.id} job=${job} onEnd=${end} label="The keys are being made" />`}
      ${list.error ? html`<${ErrorBox} error=${list.error} retry=${list.reload} />` : html`
        <${Table} label="DKIM keys" rows=${list.items} list=${list} rowKey=${selector} name=${selector} columns=${columns}
          empty=${html`<${EmptyState} title="No key yet">The domain's mail goes unsigned. A new domain gets two keys within some seconds.<//>`} />
      `}
      <${ConfirmDialog} open=${forced !== null} title=${`${forced?.selector} is not in the DNS`} verb="Let it sign all the same" danger
        onConfirm=${() => activate(forced, true)} onClose=${() => setForced(null)}>
        <p>Others can't verify what it signs until its record is there, and take the mail for worse than before.</p>
      <//>
      <${ConfirmDialog} open=${doomed !== null} title=${`Delete the key ${doomed?.selector}`} verb="Delete the key" danger loses="1 private key"
        onConfirm=${erase} onClose=${() => setDoomed(null)}>
        ${doomed?.state !== "pending" && html`<p>Leave its record in the DNS for a week: mail that it has signed may still be on its way.</p>`}
      <//>
    <//>
  `;
}

/** @param {any} row */
const selector = (row) => row.selector;

/** @param {{ of: [string, string] }} props */
const State = ({ of: [kind, word] }) => html`<${Badge} kind=${kind}>${word}<//>`;

const COLUMNS = [
  { id: "selector", title: "Selector", cell: (/** @type {any} */ row) => html`<code>${row.selector}</code>` },
  { id: "algorithm", title: "Algorithm", cell: (/** @type {any} */ row) => ALGORITHMS[row.algorithm] ?? row.algorithm },
  { id: "state", title: "State", cell: (/** @type {any} */ row) => row.usable
    ? html`<${State} of=${STATES[row.state] ?? ["quiet", row.state]} />` : html`<${Badge} kind="bad">its private key is gone<//>` },
  { id: "since", title: "Since", cell: (/** @type {any} */ row) => html`<${Time} at=${row.state_since} />` },
  { id: "dns", title: "In the DNS", cell: (/** @type {any} */ row) => html`<${State} of=${IN_DNS[row.dns] ?? ["quiet", row.dns]} />` },
];
