// Numbers and lists as people read them.

const NUMBER = new Intl.NumberFormat("en");
const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** 1,204. @param {number} value */
export const count = (value) => NUMBER.format(value);

/** 18.2 MB. @param {number} value */
export function bytes(value) {
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** "1 message", "3 messages"; another plural can be named. @param {number} value @param {string} word @param {string} [many] */
export const plural = (value, word, many = `${word}s`) => `${count(value)} ${value === 1 ? word : many}`;

/** "a, b and c". @param {string[]} list */
export const join = (list) =>
  list.length < 2 ? (list[0] ?? "") : `${list.slice(0, -1).join(", ")} and ${list[list.length - 1]}`;

/** "mailbox_full" → "mailbox full". @param {string} code */
export const words = (code) => code.replaceAll("_", " ");

/** "mailbox full" → "Mailbox full". @param {string} text */
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
