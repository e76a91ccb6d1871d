// The closed lists of the trace in words: what happened, and what became of a recipient.
import { html } from "../../vendor/preact.js";
import { Badge } from "../../ui/badge.js";
import { words } from "../../ui/format.js";

/** @type {Record<string, { kind: string, icon: string, word: string }>} */
const OUTCOMES = {
  refused: { kind: "bad", icon: "bad", word: "refused" },
  waiting: { kind: "info", icon: "clock", word: "waiting" },
  held: { kind: "warn", icon: "held", word: "held" },
  handed_over: { kind: "ok", icon: "flight", word: "handed over" },
  in_mailbox: { kind: "ok", icon: "mailbox", word: "in the mailbox" },
  removed: { kind: "quiet", icon: "removed", word: "removed" },
  bounced: { kind: "bad", icon: "bounce", word: "bounced" },
  dropped: { kind: "bad", icon: "removed", word: "dropped" },
  uncertain: { kind: "warn", icon: "unknown", word: "uncertain" },
  mixed: { kind: "info", icon: "swap", word: "mixed" },
  unknown: { kind: "quiet", icon: "unknown", word: "unknown" },
};
export const OUTCOME_LIST = Object.keys(OUTCOMES);

/** @param {{ outcome: string }} props */
export function Outcome({ outcome }) {
  const { kind, icon, word } = OUTCOMES[outcome] ?? { kind: "quiet", icon: "unknown", word: words(outcome) };
  return html`<${Badge} kind=${kind} icon=${icon}>${word}<//>`;
}

/** @param {string} outcome */
export const outcomeWord = (outcome) => OUTCOMES[outcome]?.word ?? words(outcome);
/** The colour that belongs to an outcome. @param {string} outcome */
export const outcomeKind = (outcome) => OUTCOMES[outcome]?.kind ?? "quiet";

/** What happened: icon, colour, words. @type {Record<string, [string, string, string]>} */
const EVENTS = {
  accepted: ["ok", "ok", "Taken in"],
  rejected: ["bad", "bad", "Refused"],
  delivered: ["mailbox", "ok", "Put into the mailbox"],
  repeated: ["swap", "quiet", "Sent again, stored once"],
  expunged: ["removed", "quiet", "Removed from the mailbox"],
  queued: ["clock", "info", "Queued"],
  relayed: ["flight", "ok", "Handed over"],
  turned: ["swap", "ok", "Fetched by a peer"],
  deferred: ["clock", "warn", "Put off"],
  failed: ["bad", "bad", "Refused for good"],
  expired: ["bad", "bad", "Given up"],
  bounced: ["bounce", "bad", "The sender was told"],
  delayed: ["clock", "warn", "The sender was told of the delay"],
  held: ["held", "warn", "Held"],
  released: ["due", "info", "Released"],
  retried: ["due", "info", "Made due by an operator"],
  dropped: ["removed", "bad", "Removed from the queue, nobody was told"],
  parked: ["held", "warn", "Waits for a peer"],
  uncertain: ["unknown", "warn", "Outcome uncertain"],
  login_failed: ["bad", "bad", "Login failed"],
  aborted: ["bad", "warn", "The sender went away"],
  fetched: ["mailbox", "ok", "Fetched"],
  moved: ["swap", "quiet", "Moved"],
  copied: ["copy", "quiet", "Copied"],
  redirected: ["swap", "info", "Redirected"],
  redelivered: ["due", "info", "Sent once more"],
  reported: ["bounce", "ok", "The sender was told of the delivery"],
};

/** @param {string} kind @returns {[string, string, string]} */
export const eventWords = (kind) => EVENTS[kind] ?? ["info", "quiet", words(kind).replace(/^./, (first) => first.toUpperCase())];
