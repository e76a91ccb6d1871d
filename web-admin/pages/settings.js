import { html, useState } from "../vendor/preact.js";
import { patch } from "../api.js";
import { setQuery } from "../router.js";
import { can } from "../session.js";
import { Badge } from "../ui/badge.js";
import { Doc } from "../ui/doc.js";
import { Form } from "../ui/form.js";
import { useLock } from "../ui/kept.js";
import { Loaded, useGet } from "../ui/load.js";
import { Page, Section } from "../ui/page.js";
import { SearchBox } from "../ui/search.js";
import { SettingInput, meaning } from "../ui/setting.js";
import { EmptyState } from "../ui/state.js";
import { Time } from "../ui/time.js";
import { toast } from "../ui/toast.js";

/** What the first word of a key stands for. */
const GROUPS = /** @type {Record<string, string>} */ ({
  smtp: "SMTP", imap: "IMAP", pop3: "POP3", http: "REST and this page", directory: "Directory", limits: "Limits", queue: "Queue", delivery: "Delivery",
  trace: "Trace", store: "The file", disk: "Disk", logs: "Logs",
});
/** Where a value comes from, the later wins: word, and why it can't be changed here. */
const SOURCES = /** @type {Record<string, [string, string, string]>} */ ({
  default: ["quiet", "default", ""],
  state: ["info", "state file", ""],
  page: ["ok", "set here", ""],
  env: ["warn", "environment", "The environment variable PILLARBOX_SET sets it and wins: change it there and restart."],
  flag: ["warn", "flag", "The flag --set sets it at the start and wins: change it there and restart."],
});

/**
 * What is set, to what, and by whom?
 * @param {{ query: Record<string, string> }} props
 */
export default function Settings({ query }) {
  const settings = useGet("/settings");
  return html`
    <${Page} title="Settings" lead="Each with its value, its default, and where the value comes from.">
      <div class="narrow">
        <${SearchBox} label="Find a setting" value=${query.q} onSearch=${(/** @type {string} */ q) => setQuery({ q })} />
        <label class="tick"><input type="checkbox" checked=${query.changed === "yes"}
          onChange=${(/** @type {any} */ event) => setQuery({ changed: event.currentTarget.checked ? "yes" : "" })} /> <span>Only what is not the default</span></label>
      </div>
      <${Loaded} of=${settings}>
        ${(/** @type {any} */ { items }) => html`<${Groups} items=${chosen(items, query)} etag=${settings.etag} onSaved=${settings.reload} />`}
      <//>
    <//>
  `;
}

/**
 * @param {any[]} items
 * @param {Record<string, string>} query
 */
function chosen(items, query) {
  const words = (query.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  return items.filter((item) => (query.changed !== "yes" || item.source !== "default")
    && words.every((word) => `${item.key} ${item.doc} ${item.value}`.toLowerCase().includes(word)));
}

/** @param {{ items: any[], etag: string, onSaved: () => Promise<void> }} props */
function Groups({ items, etag, onSaved }) {
  const groups = new Map(/** @type {[string, any[]][]} */ ([]));
  for (const item of items) {
    const name = item.key.split(".")[0];
    groups.set(name, [...(groups.get(name) ?? []), item]);
  }
  if (items.length === 0) return html`<${EmptyState} title="No setting fits"><button type="button" onClick=${() => setQuery({ q: "", changed: "" })}>Show all</button><//>`;
  return [...groups].map(([name, group]) => html`
    <${Section} key=${name} title=${GROUPS[name] ?? name}>
      <ul class="settings">
        ${group.map((item) => html`<${Setting} key=${item.key} item=${item} etag=${etag} onSaved=${onSaved} />`)}
      </ul>
    <//>
  `);
}

/** @param {{ item: any, etag: string, onSaved: () => Promise<void> }} props */
function Setting({ item, etag, onSaved }) {
  const [isEdited, setIsEdited] = useState(false);
  const { isLocked, notice } = useLock(item);
  const [kind, source, lock] = SOURCES[item.source] ?? ["info", item.source, ""];
  const set = async (/** @type {any} */ value) => {
    await patch("/settings", { [item.key]: value }, { etag });
    toast(`${item.key} is ${value === null ? "the default again" : "set"}${item.needs_restart ? "; it counts after a restart" : ""}.`);
    await onSaved();
    setIsEdited(false);
  };
  const reset = () => set(null).catch(toast.error);
  return html`
    <li class=${isEdited ? "setting is-edited" : "setting"} id=${item.key}>
      <div class="setting-what">
        <h3><code class="wrap-anywhere">${item.key}</code></h3>
        <p class="setting-doc"><${Doc} text=${item.doc} />${item.needs_restart && html` <em>Needs a restart.</em>`}</p>
      </div>
      ${isEdited ? html`
        <div class="stack">
          ${notice}
          <${Form} key=${etag} onSubmit=${(/** @type {any} */ values) => set(typed(item, values.value))} submit="Save" reload=${onSaved} onCancel=${() => setIsEdited(false)} readOnly=${isLocked}>
            <${SettingInput} item=${item} />
          <//>
        </div>
      ` : html`
        <div class="setting-value">
          <span class="row">
            <span><${Value} item=${item} value=${item.value} /></span>
            <${Badge} kind=${kind}>${source}<//>
            ${item.in_force === false && html`<${Badge} kind="warn">counts after a restart<//>`}
          </span>
          ${item.source !== "default" && html`<span class="quiet small">Default: <${Value} item=${item} value=${item.default} />${item.changed_at && html` · changed <${Time} at=${item.changed_at} />`}</span>`}
          ${lock && html`
            <span class="setting-lock"><strong>Locked.</strong> ${lock}${item.overridden && html` What is set here, <${Value} item=${item} value=${item.stored_value} />, counts when that is taken away.`}</span>
          `}
          ${!lock && can("settings:write") && html`
            <span class="setting-actions">
              <button type="button" class="small" aria-label=${`Change ${item.key}`} onClick=${() => setIsEdited(true)}>Change</button>
              ${item.source === "page" && html`<button type="button" class="small" aria-label=${`Reset ${item.key} to its default`} onClick=${reset}>Reset</button>`}
            </span>
          `}
        </div>
      `}
    </li>
  `;
}

/**
 * What was typed, in the form of the setting's kind.
 * @param {any} item
 * @param {any} value
 */
function typed(item, value) {
  if (item.kind === "flag") return value === "true";
  // An empty box of a number and words among numbers are refused by the server in its own words.
  if (item.kind === "number") return value ?? "";
  if (item.kind === "numbers") return value.map((/** @type {string} */ one) => (/^\d+$/.test(one) ? Number(one) : one));
  return value;
}

/** @param {{ item: any, value: unknown }} props */
function Value({ item, value }) {
  const text = Array.isArray(value) ? value.join(", ") : String(value ?? "");
  const said = meaning(item, value);
  return html`<code class="wrap-anywhere">${text === "" ? "empty" : text}</code>${said && html` <span class="quiet">${said}</span>`}`;
}
