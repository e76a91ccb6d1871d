const DAY_MS = 86_400_000;

/** When a secret ends, to choose from. */
export const EXPIRY = [["7", "in a week"], ["30", "in 30 days"], ["90", "in 90 days"], ["365", "in a year"], ["never", "never"]];

/**
 * The time of a choice of EXPIRY.
 * @param {string} choice days, or "never"
 * @returns {string | null}
 */
export function expiryOf(choice) {
  return choice === "never" ? null : new Date(Date.now() + Number(choice) * DAY_MS).toISOString().replace(/\.\d+/, "");
}
