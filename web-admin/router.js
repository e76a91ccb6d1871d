// Where we are: the part of the URL behind the #, which the server never sees.
// #/accounts/a%40b?q=x is the page "accounts" with parts ["a@b"] and the query {q: "x"}.
import { signal } from "./vendor/preact.js";

/** @typedef {{ page: string, parts: string[], query: Record<string, string>, key: string }} Route */

/** @type {import("./vendor/preact.js").Signal<Route>} */
export const route = signal(parse(location.hash));

addEventListener("hashchange", () => {
  route.value = parse(location.hash);
});

/**
 * The href of a page; each further argument becomes one encoded part of the path.
 * @param {string} path as in "/accounts"
 * @param {...string} parts
 */
export function link(path, ...parts) {
  return `#${[path, ...parts.map(encodeURIComponent)].join("/")}`;
}

/**
 * Goes to a page.
 * @param {string} path as `link` makes it, with or without the #
 * @param {Record<string, string>} [query]
 */
export function go(path, query) {
  const text = new URLSearchParams(query).toString();
  location.hash = `${path.replace(/^#/, "")}${text ? `?${text}` : ""}`;
}

/**
 * Changes the query in place: no new entry in the history, and the page stays as it is.
 * @param {Record<string, string | null | undefined>} changes "" and null take a key out
 */
export function setQuery(changes) {
  const { page, parts, query } = route.peek();
  const all = Object.entries({ ...query, ...changes }).filter(([, value]) => value);
  const text = new URLSearchParams(/** @type {[string, string][]} */ (all)).toString();
  history.replaceState(null, "", `${link(`/${page}`, ...parts)}${text ? `?${text}` : ""}`);
  route.value = parse(location.hash);
}

/** @param {string} hash @returns {Route} */
function parse(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [page, ...parts] = path.split("/").filter(Boolean).map(decode);
  const name = page || "overview";
  return { page: name, parts, query: Object.fromEntries(new URLSearchParams(search)), key: [name, ...parts].join("/") };
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
