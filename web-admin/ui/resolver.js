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
/** Aliases that are followed, so that a large group does not become hundreds of requests. */
const ALIASES_MAX = 25;
/** Aliases that are searched for one: those that lead to it are found as well. */
const SEARCHED_MAX = 500;

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
    resolve(address).then((answer) => {
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
    <ul class="chain">
      <${Step} address=${found.address} chain=${found.chain} ends=${found} seen=${[]} />
    </ul>
  `;
}

/** @param {{ address: string, chain: Map<string, any>, ends: any, seen: string[] }} props */
function Step({ address, chain, ends, seen }) {
  const alias = chain.get(address);
  const isRound = seen.includes(address);
  const isRoot = seen.length === 0;
  const next = alias && !isRound ? alias.targets : isRoot ? [...ends.accounts.map((/** @type {any} */ one) => one.address), ...ends.remote].filter((end) => end !== address) : [];
  const account = ends.accounts.find((/** @type {any} */ one) => one.address === address);
  const word = isRound ? "again: a circle" : alias ? (alias.enabled ? "alias" : "alias, off") : account ? "account" : ends.remote.includes(address) ? "elsewhere"
    : isRoot && next.length > 0 ? "by its tag, a domain alias, or the address for unknown names" : "";
  return html`
    <li>
      ${account ? html`<a href=${link("/accounts", address)}><${Address} of=${address} /></a>` : html`<${Address} of=${address} />`}
      ${word && html` <span class="quiet">${word}${account?.tag ? `, tag ${account.tag}` : ""}</span>`}
      ${next.length > 0 && html`
        <ul>${next.map((/** @type {string} */ target) => html`<${Step} key=${target} address=${target} chain=${chain} ends=${ends} seen=${[...seen, address]} />`)}</ul>
      `}
    </li>
  `;
}

/**
 * The server's answer, and the aliases on the way to it.
 * @param {string} address
 */
async function resolve(address) {
  const found = await get("/resolve", { address });
  const chain = new Map();
  const open = [found.address];
  const asked = new Set();
  while (open.length > 0 && asked.size < ALIASES_MAX) {
    const next = /** @type {string} */ (open.shift());
    if (asked.has(next) || found.accounts.some((/** @type {any} */ one) => one.address === next) || found.remote.includes(next)) continue;
    asked.add(next);
    const { items } = await get("/aliases", { q: next, limit: SEARCHED_MAX });
    const alias = items.find((/** @type {any} */ one) => one.address === next);
    if (!alias) continue;
    chain.set(next, alias);
    open.push(...alias.targets);
  }
  return { ...found, chain };
}
