// Reading from the server for as long as a component is shown, and again when something happened.
import { html, useCallback, useEffect, useRef, useState } from "../vendor/preact.js";
import { ApiError, get, read, search } from "../api.js";
import { useLive } from "../live.js";
import { ErrorBox, Loading } from "./state.js";

/** Events come in bursts; one look after a burst is enough. */
const BURST_MS = 400;
/** A list that was scrolled far costs more to look at anew. */
const LONG_LIST = 1000;
const LONG_BURST_MS = 5000;
const PAGE_MAX = 500;
/** In the place of a timer: something happened while nobody looked. */
const MISSED = -1;
/** A search may answer with few or none although there is more behind: so often it is asked at a time. */
const ASKED_MAX = 25;

/** @typedef {{ data: any, etag: string, error: any, loading: boolean, reload: () => Promise<void> }} Resource */
/** @typedef {{ items: any[], error: any, loading: boolean, hasMore: boolean, more: () => Promise<void>, reload: () => Promise<void> }} List */

/**
 * One resource.
 * @param {string | null} path null: nothing is asked
 * @param {{ query?: import("../api.js").Query, live?: string, every_ms?: number }} [options]
 *   live: topics that make it look again, at most so often
 * @returns {Resource}
 */
export function useGet(path, { query, live = "", every_ms = BURST_MS } = {}) {
  const key = path === null ? null : path + search(query);
  const [state, setState] = useState({ key, data: /** @type {any} */ (undefined), etag: "", error: /** @type {any} */ (null) });
  const turn = useRef(0);
  const reload = useCallback(async () => {
    if (key === null || path === null) return;
    const own = (turn.current += 1);
    try {
      const { body, etag } = await read(path, query);
      if (own === turn.current) setState({ key, data: body, etag, error: null });
    } catch (error) {
      if (own === turn.current) setState((old) => ({ ...(old.key === key ? old : { data: undefined, etag: "" }), key, error: checked(error) }));
    }
  }, [key]);
  useEffect(() => {
    reload();
    return () => {
      turn.current += 1;
    };
  }, [reload]);
  useLive(live, useBurst(reload, every_ms));
  const isCurrent = state.key === key;
  return {
    data: isCurrent ? state.data : undefined, etag: isCurrent ? state.etag : "", error: isCurrent ? state.error : null,
    loading: key !== null && (!isCurrent || (state.data === undefined && !state.error)), reload,
  };
}

/**
 * A list, page by page.
 * @param {string | null} path
 * @param {{ query?: import("../api.js").Query, live?: string, limit?: number }} [options]
 * @returns {List}
 */
export function useList(path, { query, live = "", limit = 100 } = {}) {
  const key = path === null ? null : path + search(query);
  const empty = { key, items: /** @type {any[]} */ ([]), cursor: "", error: /** @type {any} */ (null), loading: key !== null };
  const [state, setState] = useState(empty);
  const latest = useRef(state);
  latest.current = state;
  const turn = useRef(0);
  const busy = useRef(false);

  const load = useCallback(async (/** @type {boolean} */ isMore) => {
    if (path === null || (isMore && busy.current)) return;
    const own = (turn.current += 1);
    busy.current = true;
    const old = latest.current.key === key ? latest.current : empty;
    let items = isMore ? old.items : [];
    let cursor = isMore ? old.cursor : "";
    // A list that is looked at anew keeps its length, and the longer it is, the more comes at a time: 10,000 rows in some
    // twenty requests.
    const wanted = isMore ? items.length + Math.min(PAGE_MAX, Math.max(limit, items.length)) : Math.max(limit, old.items.length);
    let asked = 0;
    try {
      do {
        asked += 1;
        const page = await get(path, { ...query, limit: Math.min(PAGE_MAX, wanted - items.length), cursor });
        if (own !== turn.current) return;
        items = [...items, ...page.items];
        cursor = page.next_cursor ?? "";
      } while (cursor && items.length < wanted && asked < ASKED_MAX);
      setState({ key, items, cursor, error: null, loading: false });
    } catch (error) {
      if (own === turn.current) setState({ ...old, key, error: checked(error), loading: false });
    } finally {
      if (own === turn.current) busy.current = false;
    }
  }, [key]);
  const reload = useCallback(() => load(false), [load]);
  useEffect(() => {
    reload();
    return () => {
      turn.current += 1;
      busy.current = false;
    };
  }, [reload]);
  useLive(live, useBurst(reload, state.items.length > LONG_LIST ? LONG_BURST_MS : BURST_MS));
  const shown = state.key === key ? state : empty;
  return {
    items: shown.items, error: shown.error, loading: shown.loading, hasMore: shown.cursor !== "",
    more: useCallback(() => load(true), [load]), reload,
  };
}

/**
 * Shows what a resource or a list is: loading, refused, or there.
 * @param {{ of: Resource | List, children: (data: any) => any }} props
 */
export function Loaded({ of, children }) {
  const data = "items" in of ? (of.loading ? undefined : of.items) : of.data;
  const isThere = data !== undefined && !("items" in of && of.error && of.items.length === 0);
  return html`${of.error && html`<${ErrorBox} error=${of.error} retry=${of.reload} />`}
    ${isThere ? children(data) : of.loading && html`<${Loading} />`}`;
}

/**
 * The same function, called once after a burst of calls; in a tab that nobody sees, when somebody does.
 * @param {() => void} fn
 * @param {number} wait_ms
 */
function useBurst(fn, wait_ms) {
  const timer = useRef(0);
  const latest = useRef(fn);
  latest.current = fn;
  useEffect(() => {
    const look = () => {
      if (document.hidden || timer.current !== MISSED) return;
      timer.current = 0;
      latest.current();
    };
    document.addEventListener("visibilitychange", look);
    return () => {
      clearTimeout(timer.current);
      document.removeEventListener("visibilitychange", look);
    };
  }, []);
  return () => {
    if (timer.current) return;
    timer.current = setTimeout(() => {
      timer.current = document.hidden ? MISSED : 0;
      if (!document.hidden) latest.current();
    }, wait_ms);
  };
}

/** What is no refusal is a fault of the page, and must be seen. @param {unknown} error */
function checked(error) {
  if (!(error instanceof ApiError)) console.error(error);
  return error;
}
