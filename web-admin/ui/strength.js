const COMMON = ["password", "passwort", "pillarbox", "letmein", "welcome", "qwerty", "qwertz", "admin", "secret", "dragon",
  "monkey", "iloveyou", "sunshine", "football", "master", "shadow", "123456", "abc123", "111111"];
const ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789";

/**
 * How hard a password is to guess, roughly: a hint for people, not a rule. The server has the word.
 * @param {string} password
 * @param {string[]} known words that a guesser tries first, as the address
 * @returns {{ level: 0 | 1 | 2 | 3 | 4, word: string, hint: string }}
 */
export function strength(password, known = []) {
  if (!password) return { level: 0, word: "", hint: "" };
  const bits = estimate(password, known);
  if (bits < 30) return { level: 1, word: "Very weak", hint: "A program guesses it in seconds: make it longer." };
  if (bits < 45) return { level: 2, word: "Weak", hint: "Add a few unrelated words." };
  if (bits < 60) return { level: 3, word: "Good", hint: "Good enough, if it is used only here." };
  return { level: 4, word: "Strong", hint: "" };
}

/**
 * @param {string} password
 * @param {string[]} known
 */
function estimate(password, known) {
  let rest = password.toLowerCase();
  let bits = 0;
  for (const word of [...known, ...COMMON]) {
    if (word.length >= 3 && rest.includes(word.toLowerCase())) {
      rest = rest.replaceAll(word.toLowerCase(), "");
      bits += 6;
    }
  }
  const pool = (/[a-z]/.test(rest) ? 26 : 0) + (/[A-Z]/.test(password) ? 10 : 0) + (/[0-9]/.test(rest) ? 10 : 0)
    + (/[^a-z0-9]/.test(rest) ? 20 : 0);
  let fresh = 0;
  for (let i = 0; i < rest.length; i++) {
    const step = rest.charCodeAt(i) - rest.charCodeAt(i - 1);
    const follows = i > 0 && (Math.abs(step) <= 1 || rest.charCodeAt(i - 1) - rest.charCodeAt(i - 2) === step);
    fresh += follows ? 0.35 : 1;
  }
  const variety = Math.min(1, (new Set(rest).size + 2) / Math.max(1, Math.min(rest.length, 12)));
  return bits + fresh * Math.log2(Math.max(pool, 2)) * variety;
}

/** A password of four groups, about 99 bits: easy to read out, without letters that look alike. */
export function makePassword() {
  const letters = [];
  while (letters.length < 20) {
    const [byte] = crypto.getRandomValues(new Uint8Array(1));
    // 248 is the largest multiple of 31 that fits: without this the first letters would come up more often.
    if (byte < 248) letters.push(ALPHABET[byte % ALPHABET.length]);
  }
  return letters.join("").replace(/(.{5})(?=.)/g, "$1-");
}
