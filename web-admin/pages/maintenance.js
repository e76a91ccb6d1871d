// How much of the data file is free, whether it is sound, and care for it.
import { html, useState } from "../vendor/preact.js";
import { post } from "../api.js";
import { can } from "../session.js";
import { bytes, count } from "../ui/format.js";
import { Loaded, useGet } from "../ui/load.js";
import { Facts, Page, Section } from "../ui/page.js";
import { JobProgress } from "../ui/progress.js";
import { toast } from "../ui/toast.js";

/** Does the data file take more room than it needs, and is it sound? */
export default function Maintenance() {
  return html`
    <${Page} title="Maintenance" lead="Care for the one file in which everything lies. Mail goes on meanwhile.">
      <${Space} />
      <${Soundness} />
    <//>
  `;
}

/** Begins a job and follows it. @param {string} path */
function useJob(path) {
  const [job, setJob] = useState(/** @type {any} */ (null));
  const [isBusy, setIsBusy] = useState(false);
  const begin = async () => {
    setIsBusy(true);
    try {
      setJob((await post(path, {}, { once: true })).body);
    } catch (error) {
      toast.error(error);
      setIsBusy(false);
    }
  };
  return { job, isBusy, begin, end: () => setIsBusy(false) };
}

function Space() {
  // Its figures stand in the overview, which not everybody may read who may do this.
  const overview = useGet(can("queue:read") ? "/overview" : null, { live: "job", every_ms: 2000 });
  const { job, isBusy, begin, end } = useJob("/maintenance/compact");
  const ended = (/** @type {any} */ { result }) => {
    end();
    overview.reload();
    if (result) toast(`The file takes ${bytes(result.after_bytes)}; it took ${bytes(result.before_bytes)}. Mail waited for ${Math.ceil(result.pause_ms)} ms.`);
  };
  return html`
    <${Section} title="Room" actions=${html`<button type="button" class="primary" disabled=${isBusy} onClick=${begin}>Compact the file</button>`}>
      ${can("queue:read") && html`<${Loaded} of=${overview}>${(/** @type {any} */ data) => html`<${Room} ...${data} />`}<//>`}
      <p class="quiet">What mail leaves behind that was deleted is used again for new mail. Compacting gives it back to the disk, which needs room for
        a second file until it ends. A large file of which more than half is free is compacted by itself at the time that the setting maintenance.compact_at says (UTC).</p>
      ${job && html`<${JobProgress} key=${job.id} job=${job} onEnd=${ended} label="Compacting the file" />`}
    <//>
  `;
}

/** @param {{ file_bytes: number, file_used_bytes: number, file_free_bytes: number | null }} props */
function Room({ file_bytes, file_used_bytes, file_free_bytes }) {
  return html`<${Facts} of=${[
    ["Takes of the disk", bytes(file_used_bytes)],
    ["Of that free", file_free_bytes === null ? "known after the file was compacted once" : bytes(file_free_bytes)],
    ["Length of the file", html`${bytes(file_bytes)} <span class="quiet">(holes in it take no room)</span>`],
  ]} />`;
}

function Soundness() {
  const { job, isBusy, begin, end } = useJob("/maintenance/check");
  const [result, setResult] = useState(/** @type {{ findings: string[], count: number } | null} */ (null));
  const ended = (/** @type {any} */ seen) => {
    end();
    setResult(seen.result);
  };
  const check = () => {
    setResult(null);
    begin();
  };
  const findings = result?.findings ?? [];
  return html`
    <${Section} title="Soundness" actions=${html`<button type="button" disabled=${isBusy} onClick=${check}>Check the file now</button>`}>
      <p class="quiet">Every row of every table is read and compared with the others. What bodies consist of is read by the check of a backup, which every backup
        goes through. A damaged file is mended with the server stopped: pillarbox check --repair.</p>
      ${job && html`<${JobProgress} key=${job.id} job=${job} onEnd=${ended} label="Checking the file" />`}
      ${result && findings.length === 0 && html`<p role="status">Nothing is wrong with the file.</p>`}
      ${result && findings.length > 0 && html`
        <p role="alert">${result.count === 1 ? "1 finding" : `${count(result.count)} findings`}${result.count > findings.length && `, of which these are the first ${count(findings.length)}`}:</p>
        <ul aria-label="Findings">${findings.map((finding) => html`<li key=${finding}>${finding}</li>`)}</ul>`}
    <//>
  `;
}
