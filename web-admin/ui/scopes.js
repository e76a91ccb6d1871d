import { html, useId, useState } from "../vendor/preact.js";
import { JsonInput } from "./checks.js";
import { useFault } from "./form.js";

/** What the first word of a scope stands for. */
const THINGS = /** @type {[string, string][]} */ ([
  ["domains", "Domains"],
  ["accounts", "Accounts, aliases, app passwords, mailboxes"],
  ["queue", "Queue and routes"],
  ["turn", "TURN peers and swaps"],
  ["trace", "Trace: what happened to a message"],
  ["messages", "Messages: sending, and their content"],
  ["state", "The whole configuration at once"],
  ["settings", "Settings"],
  ["jobs", "Jobs"],
  ["tokens", "Tokens: who has it can make itself any token"],
  ["audit", "Audit log"],
  ["events", "Live events and logs"],
  ["metrics", "Metrics"],
  ["sessions", "Sessions"],
  ["backup", "Backup: all mail and all secrets"],
  ["restore", "Restore"],
  ["certs", "Certificates"],
  ["webhooks", "Webhooks"],
]);

/** Sets of scopes for what tokens are mostly made for. */
export const PRESETS = /** @type {{ name: string, scopes: string[] }[]} */ ([
  { name: "Send mail", scopes: ["messages:send"] },
  { name: "Watch", scopes: ["queue:read", "trace:read", "events:read", "metrics:read", "jobs:read"] },
  { name: "Work the queue", scopes: ["queue:read", "queue:write", "trace:read", "events:read", "jobs:read"] },
  { name: "Manage people", scopes: ["domains:read", "accounts:read", "accounts:write"] },
  { name: "Everything", scopes: ["admin"] },
]);

/**
 * Chooses scopes in a form: one row a thing, one box a right; `admin` is all of them.
 * @param {{ name: string, all: string[] }} props
 */
export function ScopesField({ name, all }) {
  const id = useId();
  const fault = useFault(`/${name}`);
  const [chosen, setChosen] = useState(() => new Set(/** @type {string[]} */ ([])));
  const isAll = chosen.has("admin");
  const toggle = (/** @type {string} */ scope) => {
    const next = new Set(chosen);
    if (!next.delete(scope)) next.add(scope);
    setChosen(next);
  };
  const rows = THINGS.map(([thing, words]) => ({ thing, words, scopes: all.filter((scope) => scope.startsWith(`${thing}:`)) }))
    .filter(({ scopes }) => scopes.length > 0);
  return html`
    <fieldset class="field scopes" aria-invalid=${fault ? "true" : undefined} tabindex=${fault ? "-1" : undefined} aria-describedby=${fault ? `${id}-fault` : undefined}>
      <legend>What it may do</legend>
      <${JsonInput} name=${name} value=${[...chosen]} />
      <div class="row presets" role="group" aria-label="Usual sets of rights">
        ${PRESETS.map((preset) => html`
          <button key=${preset.name} type="button" class="small" onClick=${() => setChosen(new Set(preset.scopes))}>${preset.name}</button>
        `)}
      </div>
      ${fault && html`<p class="fault" id=${`${id}-fault`}>${fault}</p>`}
      ${isAll ? html`
        <label class="tick"><input type="checkbox" checked onChange=${() => setChosen(new Set())} /> <span>Everything (<code>admin</code>)</span></label>
      ` : html`
        <div class="scope-rows">
          ${rows.map(({ thing, words, scopes }) => html`
            <div key=${thing} role="group" aria-label=${words}>
              <span class="scope-thing">${words}</span>
              <span class="scope-rights">
                ${scopes.map((scope) => html`
                  <label key=${scope} class="tick"><input type="checkbox" checked=${chosen.has(scope)} onChange=${() => toggle(scope)} /> <span>${scope.split(":")[1]}</span></label>
                `)}
              </span>
            </div>
          `)}
        </div>
      `}
    </fieldset>
  `;
}
