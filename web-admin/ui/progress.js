// How far something is: a job, or how full.
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { waitForJob } from "../api.js";
import { Badge } from "./badge.js";
import { count } from "./format.js";
import { ErrorBox } from "./state.js";

/** @type {Record<string, [string, string]>} */
const STATES = {
  queued: ["quiet", "waits for others"], running: ["busy", "runs"], succeeded: ["ok", "done"], failed: ["bad", "failed"],
  cancelled: ["warn", "cancelled"],
};

/** @param {{ state: string }} props */
export function JobState({ state }) {
  const [kind, word] = STATES[state] ?? ["quiet", state];
  return html`<${Badge} kind=${kind}>${word}<//>`;
}

/**
 * Follows a job to its end.
 * @param {{ job: any, onEnd?: (job: any) => void, label?: string }} props job: as the 202 had it
 */
export function JobProgress({ job, onEnd, label = "Progress" }) {
  const [now, setNow] = useState(job);
  const [error, setError] = useState(/** @type {any} */ (null));
  const latest = useRef(onEnd);
  latest.current = onEnd;
  useEffect(() => {
    let isShown = true;
    waitForJob(job, (seen) => isShown && setNow(seen)).then(
      (ended) => isShown && latest.current?.(ended),
      (fault) => isShown && setError(fault),
    );
    return () => {
      isShown = false;
    };
  }, [job.id]);
  const { done, total, unit } = now.progress;
  const isRunning = now.state === "queued" || now.state === "running";
  return html`<div class="job" role="status">
    <div class="row"><${JobState} state=${now.state} />
      <span class="quiet">${total === null ? count(done) : `${count(done)} of ${count(total)}`} ${unit}</span></div>
    ${isRunning && html`<progress aria-label=${label} max=${total ?? undefined} value=${total === null ? undefined : done}></progress>`}
    ${now.problem && html`<p class="fault">${now.problem.detail}</p>`}
    ${error && html`<${ErrorBox} error=${error} />`}
  </div>`;
}

/** How full something is, as a bar with its words. @param {{ value: number, max: number, label: string, text?: any }} props */
export function Meter({ value, max, label, text }) {
  const share = max > 0 ? value / max : 0;
  const kind = share > 0.95 ? "bad" : share > 0.8 ? "warn" : "ok";
  return html`<span class=${`meter ${kind}`}><progress aria-label=${label} max=${max} value=${Math.min(value, max)}></progress>
    ${text && html`<span>${text}</span>`}</span>`;
}
