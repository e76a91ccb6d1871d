import { html, useId } from "../vendor/preact.js";
import { can } from "../session.js";
import { useGet } from "./load.js";

/** Domains offered for choice; a server with more has the search box. */
const OFFERED = 500;

/** The domains that there are to choose from; empty for who may not read them. */
export function useDomains() {
  const found = useGet(can("domains:read") ? "/domains" : null, { query: { limit: OFFERED } });
  return { items: /** @type {any[] | undefined} */ (found.data?.items), error: found.error };
}

/**
 * Shows things of one domain only. Not there while there is nothing to choose.
 * @param {{ value?: string, onChange: (domain: string) => void }} props
 */
export function DomainSelect({ value = "", onChange }) {
  const id = useId();
  const { items } = useDomains();
  if (!value && (items?.length ?? 0) < 2) return null;
  const names = [...new Set([...(items ?? []).map((row) => row.name), value])].filter(Boolean);
  return html`
    <div class="narrow-box">
      <label for=${id}>Domain</label>
      <select id=${id} value=${value} onChange=${(/** @type {any} */ event) => onChange(event.currentTarget.value)}>
        <option value="">All domains</option>
        ${names.map((name) => html`<option key=${name} value=${name} selected=${name === value}>${name}</option>`)}
      </select>
    </div>
  `;
}
