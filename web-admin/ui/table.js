// Tables: sorted by a click, filtered by a word, selected by range, moved through with j and k. Where the room is small
// each row becomes a card. Rows stand in bodies of 50; a body that is far from view is an empty one of the same height,
// so that 10,000 rows scroll.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { count as shown_count, plural } from "./format.js";
import { keysOn } from "./keys.js";
import { ErrorBox, Loading } from "./state.js";

const BODY_ROWS = 50;
/** A table of no more bodies than these is always drawn whole. */
const BODIES_SHORT = 2;
/** How far from view a body is still drawn. */
const MARGIN = "1200px 0px";

/** @typedef {{ id: string, title: string, cell: (row: any) => any, sort?: (row: any) => string | number, kind?: "number" | "tight" | "wide" | "address" | "main" | "when", hideTitle?: boolean }} Column */

/**
 * @param {{ label: string, rows: any[], rowKey: (row: any) => string, columns: Column[], list?: import("./load.js").List,
 *   filter?: (row: any) => string, selected?: Set<string>, onSelect?: (keys: Set<string>) => void, onOpen?: (row: any) => void,
 *   empty?: any, keys?: Record<string, (rows: any[]) => void>, name?: (row: any) => string }} props
 *   keys: what a key does to the selected rows, or to the current one; name: what a row is called by a screen reader
 */
export function Table({ label, rows, rowKey, columns, list, filter, selected, onSelect, onOpen, empty, keys = {}, name = rowKey }) {
  const [sort, setSort] = useState({ id: "", down: false });
  const [word, setWord] = useState("");
  const [current, setCurrent] = useState("");
  const anchor = useRef("");
  const box = useRef(/** @type {HTMLElement | null} */ (null));

  const shown = useMemo(() => {
    const wanted = word.trim().toLowerCase();
    const found = filter && wanted ? rows.filter((row) => filter(row).toLowerCase().includes(wanted)) : rows;
    const by = columns.find((column) => column.id === sort.id)?.sort;
    if (!by) return found;
    const sorted = [...found].sort((a, b) => compare(by(a), by(b)));
    return sort.down ? sorted.reverse() : sorted;
  }, [rows, word, sort, filter ? 1 : 0]);

  const state = useRef(/** @type {any} */ (null));
  state.current = { shown, current, selected, keys, onOpen, rowKey };

  const select = (/** @type {any} */ row, /** @type {boolean} */ isRange) => {
    if (!selected || !onSelect) return;
    const next = new Set(selected);
    const key = rowKey(row);
    const from = shown.findIndex((one) => rowKey(one) === anchor.current);
    const to = shown.findIndex((one) => rowKey(one) === key);
    const isOn = !selected.has(key);
    const range = isRange && from >= 0 ? shown.slice(Math.min(from, to), Math.max(from, to) + 1) : [row];
    for (const one of range) isOn ? next.add(rowKey(one)) : next.delete(rowKey(one));
    anchor.current = key;
    onSelect(next);
  };

  useEffect(() => {
    const move = (/** @type {number} */ by) => {
      const { shown, current, rowKey } = state.current;
      const place = shown.findIndex((/** @type {any} */ row) => rowKey(row) === current);
      const next = shown[Math.max(0, Math.min(shown.length - 1, place < 0 ? 0 : place + by))];
      if (!next) return;
      setCurrent(rowKey(next));
      reach(box.current, shown.indexOf(next), rowKey(next));
    };
    const own = (/** @type {(row: any) => void} */ fn) => {
      const { shown, current, rowKey } = state.current;
      const row = shown.find((/** @type {any} */ one) => rowKey(one) === current);
      if (row) fn(row);
    };
    /** @type {Record<string, (event: KeyboardEvent) => void>} */
    const table = {
      j: () => move(1), k: () => move(-1),
      x: () => own((row) => state.current.select(row, false)),
      X: () => own((row) => state.current.select(row, true)),
      Enter: (event) => {
        // On a link or a button Enter means that one.
        if (event.target instanceof HTMLElement && event.target.closest("a, button")) return;
        own((row) => state.current.onOpen?.(row));
      },
      Escape: () => state.current.clear(),
    };
    return keysOn((event) => {
      const act = state.current.keys[event.key];
      if (act) {
        const { shown, selected, current, rowKey } = state.current;
        const chosen = shown.filter((/** @type {any} */ row) => (selected?.size ? selected.has(rowKey(row)) : rowKey(row) === current));
        act(chosen);
        return true;
      }
      table[event.key]?.(event);
      return event.key === "j" || event.key === "k" || event.key === "x" || event.key === "X";
    });
  }, []);
  state.current.select = select;
  state.current.clear = () => selected?.size && onSelect?.(new Set());

  const bodies = useMemo(() => {
    const all = [];
    for (let from = 0; from < shown.length; from += BODY_ROWS) all.push(shown.slice(from, from + BODY_ROWS));
    return all;
  }, [shown]);
  const allOn = selected && shown.length > 0 && shown.every((row) => selected.has(rowKey(row)));
  const someOn = selected && !allOn && shown.some((row) => selected.has(rowKey(row)));
  const sortable = columns.filter((column) => column.sort);
  const turn = (/** @type {string} */ id) => setSort((old) => ({ id, down: old.id === id ? !old.down : false }));
  const span = columns.length + (selected ? 1 : 0);

  if (list?.loading && rows.length === 0) return html`<${Loading} />`;
  if (list?.error && rows.length === 0) return html`<${ErrorBox} error=${list.error} retry=${list.reload} />`;
  if (rows.length === 0 && empty && !list?.hasMore) return empty;
  return html`<div class="table-box" ref=${box}>
    ${(filter || sortable.length > 1) && html`<div class="row table-tools">
      ${filter && html`<input type="search" class="table-filter" aria-label=${`Filter: ${label}`} placeholder="Filter" value=${word}
        onInput=${(/** @type {any} */ event) => setWord(event.currentTarget.value)} />`}
      ${filter && word && html`<span class="quiet" role="status">${shown_count(shown.length)} of ${plural(rows.length, "row")}</span>`}
      ${sortable.length > 0 && html`<label class="table-sort">Sort by <select value=${sort.id}
        onChange=${(/** @type {any} */ event) => setSort({ id: event.currentTarget.value, down: false })}>
        <option value="">as they come</option>${sortable.map((column) => html`<option value=${column.id}>${column.title}</option>`)}</select></label>`}
    </div>`}
    ${list?.error && html`<${ErrorBox} error=${list.error} retry=${list.reload} />`}
    <table role="table" aria-label=${label} aria-rowcount=${list?.hasMore ? -1 : shown.length + 1}>
      <thead role="rowgroup"><tr role="row" aria-rowindex="1">
        ${selected && html`<th role="columnheader" scope="col" class="check-cell"><input type="checkbox" aria-label=${`Select all ${shown_count(shown.length)} shown`}
          checked=${allOn} indeterminate=${someOn}
          onChange=${() => onSelect?.(new Set(allOn ? [] : shown.map(rowKey)))} /></th>`}
        ${columns.map((column) => html`<th key=${column.id} role="columnheader" scope="col" class=${column.kind ?? ""}
          aria-sort=${sort.id === column.id ? (sort.down ? "descending" : "ascending") : undefined}>
          ${column.sort ? html`<button type="button" class="sort" onClick=${() => turn(column.id)}>${column.title}<span class="sort-mark" aria-hidden="true"></span></button>`
            : column.hideTitle ? html`<span class="visually-hidden">${column.title}</span>` : column.title}</th>`)}
      </tr></thead>
      ${bodies.map((body, place) => html`<${Body} key=${place} rows=${body} from=${place * BODY_ROWS} rowKey=${rowKey} name=${name}
        columns=${columns} selected=${selected} current=${current} span=${span} isShort=${bodies.length <= BODIES_SHORT}
        onCurrent=${setCurrent} onToggle=${select} />`)}
    </table>
    ${shown.length === 0 && html`<p class="quiet table-none">${word ? `No row has “${word}”.` : "Nothing so far."}</p>`}
    ${list?.hasMore && html`<${More} list=${list} />`}
  </div>`;
}

/** 50 rows, or as much empty room while they are far from view. @param {any} props */
function Body({ rows, from, rowKey, name, columns, selected, current, span, isShort, onCurrent, onToggle }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const height = useRef(0);
  const [isNear, setNear] = useState(from < BODY_ROWS * BODIES_SHORT);
  const isDrawn = isNear || isShort;
  useLayoutEffect(() => {
    if (isDrawn && box.current) height.current = box.current.offsetHeight;
  });
  useEffect(() => {
    if (!box.current || isShort) return undefined;
    const watch = new IntersectionObserver((seen) => setNear(seen[seen.length - 1].isIntersecting), { rootMargin: MARGIN });
    watch.observe(box.current);
    return () => watch.disconnect();
  }, [isShort]);
  if (!isDrawn) {
    const size = height.current || rows.length * 44;
    return html`<tbody ref=${box} role="rowgroup" data-from=${from}><tr role="row"><td role="cell" class="spacer" colspan=${span} height=${size}></td></tr></tbody>`;
  }
  return html`<tbody ref=${box} role="rowgroup" data-from=${from}>${rows.map((/** @type {any} */ row, /** @type {number} */ place) => {
    const key = rowKey(row);
    const isOn = selected?.has(key);
    return html`<tr key=${key} role="row" aria-rowindex=${from + place + 2} data-key=${key} tabindex="-1"
      class=${[isOn && "selected", key === current && "current"].filter(Boolean).join(" ")} onFocusIn=${() => onCurrent(key)}>
      ${selected && html`<td role="cell" class="check-cell"><input type="checkbox" aria-label=${`Select ${name(row)}`} checked=${isOn}
        onClick=${(/** @type {MouseEvent} */ event) => onToggle(row, event.shiftKey)} /></td>`}
      ${columns.map((/** @type {Column} */ column) => column.kind === "main"
        ? html`<th key=${column.id} role="rowheader" scope="row" class="main" data-label=${column.title}>${column.cell(row)}</th>`
        : html`<td key=${column.id} role="cell" class=${column.kind ?? ""} data-label=${column.hideTitle ? "" : column.title}>${column.cell(row)}</td>`)}
    </tr>`;
  })}</tbody>`;
}

/** Loads more when it comes near, and by a button. @param {{ list: import("./load.js").List }} props */
function More({ list }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const latest = useRef(list);
  latest.current = list;
  const [isBusy, setBusy] = useState(false);
  const more = async () => {
    setBusy(true);
    await latest.current.more();
    setBusy(false);
  };
  useEffect(() => {
    if (!box.current || isBusy) return undefined;
    const watch = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && more(), { rootMargin: "600px 0px" });
    watch.observe(box.current);
    return () => watch.disconnect();
  }, [isBusy]);
  return html`<div class="row table-more" ref=${box}><button type="button" disabled=${isBusy} onClick=${more}>${isBusy ? "Loading…" : "Show more"}</button></div>`;
}

/** Brings a row into view, also one whose body is not drawn yet. @param {HTMLElement | null} box @param {number} place @param {string} key */
function reach(box, place, key) {
  const from = Math.floor(place / BODY_ROWS) * BODY_ROWS;
  const row = () => /** @type {HTMLElement | null} */ (box?.querySelector(`tr[data-key="${CSS.escape(key)}"]`));
  if (!row()) box?.querySelector(`tbody[data-from="${from}"]`)?.scrollIntoView({ block: "nearest" });
  requestAnimationFrame(() => {
    row()?.focus({ preventScroll: true });
    row()?.scrollIntoView({ block: "nearest" });
  });
}

/** @param {string | number} a @param {string | number} b */
function compare(a, b) {
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
}
