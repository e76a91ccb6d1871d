// Puts a backup in the place of the data file: one that lies on the server, or a file from this machine.
import { html, useEffect, useState } from "../../vendor/preact.js";
import { ApiError, get, post } from "../../api.js";
import { link } from "../../router.js";
import { ConfirmDialog, Dialog } from "../../ui/dialog.js";
import { Form } from "../../ui/form.js";
import { bytes, count } from "../../ui/format.js";
import { JobProgress } from "../../ui/progress.js";
import { absolute } from "../../ui/time.js";

/** How often the set-up looks how far the restore is. */
const LOOK_MS = 700;
/** What a file is sent as: the server sees whether it is compressed. */
const FILE = { "Content-Type": "application/octet-stream" };

/**
 * @param {{ backup?: any, onClose: () => void, onStaged: () => void }} props backup: left out, a file is asked for
 */
export function RestoreDialog({ backup, onClose, onStaged }) {
  const [file, setFile] = useState(/** @type {File | null} */ (null));
  const [restart, setRestart] = useState(true);
  const [job, setJob] = useState(/** @type {any} */ (null));
  const [ended, setEnded] = useState(/** @type {any} */ (null));
  const begin = async () => {
    const { body } = backup
      ? await post("/restore", { backup: backup.id, restart })
      : await post("/restore", file, { headers: FILE, query: { restart } });
    setJob(body);
  };
  const end = (/** @type {any} */ seen) => {
    setEnded(seen);
    if (seen.state === "succeeded") onStaged();
  };
  if (job) {
    const done = restart
      ? "The server starts again with the backup. Log in when it is back: this page asks for it."
      : "The backup is good. It takes the place of the data file when the server is started the next time.";
    return html`<${Dialog} open title="Restore" onClose=${onClose} footer=${html`<button type="button" class="primary" onClick=${onClose}>Close</button>`}>
      <${JobProgress} job=${job} onEnd=${end} label="Restore" />
      ${ended?.state === "succeeded" ? html`<p role="status">${done}</p>` : html`<p class="quiet">All of it is checked before anything is replaced.</p>`}
    <//>`;
  }
  return html`<${ConfirmDialog} open danger keep typed="restore" verb="Restore" disabled=${!backup && !file} onConfirm=${begin} onClose=${onClose}
    title=${backup ? `Restore everything as of ${absolute(backup.made_at)}` : "Restore from a file"}>
    <p>All accounts, messages, settings and the queue become what they were then. What came since is in the old data file alone, which stays on the server beside the new one.</p>
    ${!backup && html`<div class="field"><label for="restore-file">Backup (.redb or .redb.zst)</label>
      <input id="restore-file" type="file" accept=".redb,.zst" onChange=${(/** @type {any} */ event) => setFile(event.currentTarget.files[0] ?? null)} />
      ${file && html`<p class="hint">${bytes(file.size)}</p>`}</div>`}
    <label class="check"><input type="checkbox" checked=${restart} onChange=${(/** @type {any} */ event) => setRestart(event.currentTarget.checked)} />
      <span>Start the server again at once</span></label>
  <//>`;
}

/**
 * The same where nobody can log in yet: the set-up's link may, and nobody sees jobs but by GET /setup.
 * @param {{ token: string, onBack: () => void, onSpent: (refusal: ApiError) => void }} props
 */
export function RestoreInstead({ token, onBack, onSpent }) {
  const [file, setFile] = useState(/** @type {File | null} */ (null));
  const [isSent, setIsSent] = useState(false);
  const send = async () => {
    if (!file) throw new ApiError({ status: 422, title: "Something is missing", detail: "Choose the file with the backup." });
    try {
      await post("/setup/restore", file, { headers: { ...FILE, "Pillarbox-Setup-Token": token } });
      setIsSent(true);
    } catch (error) {
      if (error instanceof ApiError && error.status === 403) onSpent(error);
      throw error;
    }
  };
  if (isSent) return html`<${SetUpRestored} token=${token} onFailed=${() => setIsSent(false)} />`;
  return html`<${Form} onSubmit=${send} submit="Restore" busy="The backup is being sent…" onCancel=${onBack} cancel="Back">
    <p>It is checked in full. Then the server starts again with it, and you log in as you did when it was made.</p>
    <div class="field"><label for="setup-backup">Backup (.redb or .redb.zst)</label>
      <input id="setup-backup" type="file" accept=".redb,.zst" onChange=${(/** @type {any} */ event) => setFile(event.currentTarget.files[0] ?? null)} />
      ${file && html`<p class="hint">${bytes(file.size)}</p>`}</div>
  <//>`;
}

/** Follows the restore of the set-up until the server is back with it. @param {{ token: string, onFailed: () => void }} props */
function SetUpRestored({ token, onFailed }) {
  const [seen, setSeen] = useState(/** @type {any} */ (null));
  useEffect(() => {
    let isShown = true;
    const look = async () => {
      // While it starts again nobody answers.
      const now = await get("/setup", {}, { headers: { "Pillarbox-Setup-Token": token } }).catch(() => null);
      if (!isShown) return;
      setSeen(now);
      const isOver = now && (!now.needs_setup || now.restore?.state === "failed" || now.restore?.state === "cancelled");
      if (!isOver) setTimeout(look, LOOK_MS);
    };
    look();
    return () => {
      isShown = false;
    };
  }, []);
  if (seen && !seen.needs_setup) {
    return html`<p role="status">The server is as it was when the backup was made.</p>
      <p><a class="button primary" href=${link("/overview")}>Log in</a></p>`;
  }
  const { state, progress, problem } = seen?.restore ?? {};
  if (state === "failed" || state === "cancelled") {
    return html`<p role="alert">The backup was not taken: ${problem?.detail}</p>
      <p><button type="button" onClick=${onFailed}>Choose another</button></p>`;
  }
  return html`<p role="status">${state === "running" ? "The backup is being checked." : "The server starts again with the backup."}</p>
    ${state === "running" && html`<p class="quiet">${count(progress.done)} of ${count(progress.total ?? 0)} ${progress.unit}</p>`}
    <progress aria-label="Restore"></progress>`;
}
