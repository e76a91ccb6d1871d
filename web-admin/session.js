// Who is logged in, and what they may do.
import { signal } from "./vendor/preact.js";
import { ApiError, get, post, remove, whenLoggedOut } from "./api.js";
import * as live from "./live.js";

/** @typedef {{ kind: string, account: string | null, display_name: string, roles: string[], scopes: string[], restrict_domains: string[], expires_at: string | null }} Session */

/** undefined: not asked yet; null: nobody. @type {import("./vendor/preact.js").Signal<Session | null | undefined>} */
export const session = signal(/** @type {Session | null | undefined} */ (undefined));
/** Why the session can't be asked for. @type {import("./vendor/preact.js").Signal<ApiError | null>} */
export const failure = signal(/** @type {ApiError | null} */ (null));

/** Whether the session has ended by itself, so that whoever was at work is told why they are to log in. */
export const hasEnded = signal(false);

/** Set while there is likely a session, so that a stranger's first view asks for nothing that is refused. */
const HINT = "pillarbox-session";

whenLoggedOut(() => {
  if (session.peek()) hasEnded.value = true;
  settle(null);
});

// Another tab has logged out, or in: this one follows, without waiting for a refusal.
addEventListener("storage", ({ key, newValue }) => {
  if (key !== HINT) return;
  if (newValue !== null) {
    if (!session.peek()) refresh();
  } else if (session.peek()) {
    hasEnded.value = true;
    settle(null);
  }
});

/** Asks who is logged in. */
export async function refresh() {
  failure.value = null;
  try {
    settle(await get("/session"));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) settle(null);
    else failure.value = error;
  }
}

/** The first question of a page that was just loaded. */
export async function begin() {
  if (localStorage.getItem(HINT)) await refresh();
  else settle(null);
}

/** @param {string} email @param {string} password */
export async function logIn(email, password) {
  await post("/session", { email, password }, { quiet: true });
  await refresh();
}

export async function logOut() {
  await remove("/session", { quiet: true }).catch(() => {});
  hasEnded.value = false;
  settle(null);
}

/** Whether who is logged in has that scope. @param {string} scope */
export function can(scope) {
  const scopes = session.value?.scopes ?? [];
  return scopes.includes("admin") || scopes.includes(scope);
}

/** Whether who is logged in sees the whole server, and not some domains alone. */
export const isWhole = () => (session.value?.restrict_domains.length ?? 0) === 0;

/** @param {Session | null} found */
function settle(found) {
  const who = session.peek()?.account;
  if (found) localStorage.setItem(HINT, "1");
  else localStorage.removeItem(HINT);
  if (found) hasEnded.value = false;
  session.value = found;
  if (!found) live.stop();
  else if (who !== found.account) live.restart(can("events:read") ? Object.keys(live.TOPICS).filter((topic) => can(live.TOPICS[topic])) : []);
}
