import { html, useState } from "../vendor/preact.js";
import { ApiError, read } from "../api.js";
import { Doc } from "./doc.js";
import { Field, Form } from "./form.js";
import { Section } from "./page.js";

/** Characters of an answer that are shown. */
const SHOWN_MAX = 100_000;

/**
 * Asks a GET operation with the reader's own session, and shows what comes back.
 * @param {{ path: string, parameters: any[] }} props
 */
export function TryIt({ path, parameters }) {
  const [answer, setAnswer] = useState(/** @type {{ line: string, text: string } | null} */ (null));
  if (!path.startsWith("/api/v1/") || path === "/api/v1/events") return null;
  const fields = parameters.filter((one) => one.in === "path" || one.in === "query");
  const ask = async (/** @type {Record<string, string>} */ values) => {
    const filled = path.replace("/api/v1", "").replace(/\{([^}]+)\}/g, (_, name) => encodeURIComponent(values[name] ?? ""));
    const query = Object.fromEntries(fields.filter((one) => one.in === "query" && values[one.name] !== "").map((one) => [one.name, values[one.name]]));
    try {
      const { body, status, etag } = await read(filled, query);
      setAnswer({ line: `${status}${etag ? ` · ETag ${etag}` : ""}`, text: (typeof body === "string" ? body : JSON.stringify(body, null, 2)).slice(0, SHOWN_MAX) });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setAnswer({ line: `${error.status} ${error.title}`, text: [error.detail, ...error.faults.map((fault) => JSON.stringify(fault))].join("\n") });
    }
  };
  return html`
    <${Section} title="Try it">
      <p class="quiet">Asked with your own session; it only reads.</p>
      <${Form} onSubmit=${ask} submit="Send">
        ${fields.length > 0 && html`
          <div class="pair">
            ${fields.map((one) => html`<${Field} key=${one.name} label=${one.name} name=${one.name} required=${one.required} mono hint=${html`<${Doc} text=${one.description} />`} />`)}
          </div>
        `}
      <//>
      <div aria-live="polite">
        ${answer && html`<p><code>${answer.line}</code></p><pre class="json" tabindex="0" role="region" aria-label="Answer">${answer.text}</pre>`}
      </div>
    <//>
  `;
}
