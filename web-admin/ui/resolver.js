import { html, useEffect, useId, useState } from "../vendor/preact.js";
import { ApiError, get } from "../api.js";
import { link, setQuery } from "../router.js";
import { Address } from "./address.js";
import { Badge } from "./badge.js";
import { plural } from "./format.js";
import { ErrorBox } from "./state.js";

/** What the server's word for the outcome means: kind of badge, word, sentence. */
const OUTCOMES = {
  local: ["ok", "delivered here", "Mail for it goes to an account here."],
  forwards: ["ok", "sent on", "Mail for it is sent on to another server."],
  unknown: ["bad", "refused", "Nobody has this address: the sender is told 550 5.1.1."],
  disabled: ["warn", "refused", "The address or its domain is switched off: the sender is told 550 5.2.1."],
  too_far: ["bad", "deferred", "Its aliases lead too far, perhaps in a circle: the sender is told 451 4.4.6 and tries again."],
  not_local: ["info", "not ours", "The domain is not one of this server's: only its own accounts can send there."],
};
/** What is found at a step of the way. @type {Record<string, string>} */
const STEPS = {
  domain_alias: "in another name of the domain",
  subaddress: "with a tag",
  alias: "alias",
  account: "account",
  forward: "account, which forwards",
  catch_all: "nobody's name: goes to the address for unknown names",
  administrator: "goes to the administrator",
  remote: "elsewhere",
  repeated: "seen already, not followed again",
  disabled: "switched off",
  unknown: "nobody has it",
  too_far: "too far to follow, perhaps in a circle",
  not_local: "not ours",
};
/** Steps at which there is an account to look at. */
const ACCOUNTS = ["account", "forward"];

/**
 * A box that says where mail for an address would go, and over which aliases.
 * @param {{ address?: string, turn: unknown }} props turn: when it changes, the answer is asked for anew
 */
export function Resolver({ address = "", turn }) {
  const id = useId();
  const [text, setText] = useState(address);
  const [found, setFound] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  useEffect(() => setText(address), [address]);
  useEffect(() => {
    if (!address) return setFound(null);
    let isCurrent = true;
    get("/resolve", { address }).then((answer) => {
      if (!isCurrent) return;
      setFound(answer);
      setError(null);
    }, (problem) => {
      if (isCurrent) setError(problem);
    });
    return () => { isCurrent = false; };
  }, [address, turn]);
  const ask = (/** @type {Event} */ event) => {
    event.preventDefault();
    setQuery({ resolve: text.trim() });
  };
  return html`
    <section class="card resolver" aria-label="Where an address leads">
      <form class="resolver-form" onSubmit=${ask}>
        <label for=${id}>Where does mail for this address go?</label>
        <input id=${id} type="text" inputmode="email" value=${text} placeholder="info@example.org" spellcheck=${false} autocomplete="off"
          onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} />
        <button type="submit">Follow it</button>
      </form>
      <div aria-live="polite">
        ${error && html`<${ErrorBox} error=${error} />`}
        ${!error && address && found && html`<${Answer} found=${found} />`}
      </div>
    </section>
  `;
}

/** @param {{ found: any }} props */
function Answer({ found }) {
  const [kind, word, sentence] = OUTCOMES[/** @type {keyof typeof OUTCOMES} */ (found.outcome)] ?? ["info", found.outcome, ""];
  const { accounts, remote } = found;
  const isBoth = found.outcome === "forwards" && accounts.length > 0;
  return html`
    <p><${Badge} kind=${kind}>${isBoth ? "delivered here and sent on" : word}<//>
      ${isBoth ? `Mail for it goes to ${plural(accounts.length, "account")} here and to ${plural(remote.length, "address", "addresses")} elsewhere.` : sentence}${found.internal_only && " Only for mail from accounts here; others are refused."}</p>
    <ul class="chain">${tree(found.steps).map((/** @type {Node} */ node, /** @type {number} */ place) => html`<${Step} key=${place} node=${node} />`)}</ul>
  `;
}

/** @typedef {{ step: any, below: Node[] }} Node */

/** Steps are told in the order of the way: what leads on from one stands deeper behind it. @param {any[]} steps @returns {Node[]} */
function tree(steps) {
  /** @type {Node} */
  const root = { step: { depth: -1 }, below: [] };
  const way = [root];
  for (const step of steps) {
    while (way[way.length - 1].step.depth >= step.depth) way.pop();
    const node = { step, below: [] };
    way[way.length - 1].below.push(node);
    way.push(node);
  }
  return root.below;
}

/** @param {{ node: Node }} props */
function Step({ node: { step, below } }) {
  const { address, kind } = step;
  const shown = html`<${Address} of=${address} />`;
  return html`
    <li>
      ${ACCOUNTS.includes(kind) ? html`<a href=${link("/accounts", address)}>${shown}</a>` : shown} <span class="quiet">${STEPS[kind] ?? kind}</span>
      ${below.length > 0 && html`<ul>${below.map((one, place) => html`<${Step} key=${place} node=${one} />`)}</ul>`}
    </li>
  `;
}
