import { html } from "../vendor/preact.js";
import { at, post } from "../api.js";
import { can } from "../session.js";
import { ConfirmDialog } from "./dialog.js";
import { plural } from "./format.js";
import { useGet } from "./load.js";
import { toast } from "./toast.js";

/**
 * Somebody else has the password: switches the account off, ends its sessions and holds what it has sent and is still here.
 * @param {{ row: any, open: boolean, onClose: () => void, onChanged: () => void }} props
 */
export function Compromised({ row, open, onClose, onChanged }) {
  const queued = useGet(open && can("queue:read") ? "/queue" : null, { query: { sender: row.address, count: "true", limit: 1 } });
  const stop = async () => {
    const { body } = await post(at`/accounts/${row.address}/disable`, { hold_queue: true });
    await post(at`/accounts/${row.address}/logout`);
    toast(`${row.address} is off and logged out; ${plural(body.entries_held, "recipient")} of its mail held${body.hold_job_id ? ", and what is being sent now as soon as it comes back" : ""}. Set a new password, delete its app passwords, then enable it.`);
    onChanged();
  };
  const waiting = queued.data ? `${plural(queued.data.count, "recipient")} of its mail in the queue` : "its mail in the queue";
  return html`
    <${ConfirmDialog} open=${open} title=${`${row.address} is compromised`} verb="Stop it now" danger onConfirm=${stop} onClose=${onClose}>
      <p>Does somebody else have its password? This stops them at once. Nothing is lost:</p>
      <ul>
        <li>the account is <strong>disabled</strong>: nobody logs in, mail for it is refused;</li>
        <li>its <strong>sessions end</strong>: those of this page, and those of mail programs at once or before their next command;</li>
        <li>${waiting} is <strong>held</strong> until you release or delete it.</li>
      </ul>
      <p>After that: set a new password, delete its app passwords, look under Trace at what it sent, and enable it again.</p>
    <//>
  `;
}
