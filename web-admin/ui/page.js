// The frame of a page: its h1, which gets the focus when somebody comes from another page, and the document's title.
import { html, useEffect, useLayoutEffect, useRef } from "../vendor/preact.js";

/** A page that was just loaded leaves the focus where the browser has put it. */
let isFirst = true;

/**
 * @param {{ title: string, name?: any, lead?: any, actions?: any, trail?: [string, string][], plain?: boolean, children?: any }} props
 *   name: what stands in the h1 instead of the title; trail: pages above, as [text, href]
 */
export function Page({ title, name, lead, actions, trail = [], plain = false, children }) {
  const heading = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    document.title = `${title} · Pillarbox`;
  }, [title]);
  // In the step that shows the page: a screen reader, or a key pressed at once, must not meet the focus of the page before.
  useLayoutEffect(() => {
    if (!isFirst) heading.current?.focus();
    isFirst = false;
  }, []);
  return html`<div class=${plain ? "page page-plain" : "page"}>
    ${trail.length > 0 && html`<nav class="trail" aria-label="Above this page">
      ${trail.map(([text, href], place) => html`${place > 0 && html`<span aria-hidden="true">/</span>`}<a href=${href}>${text}</a>`)}
    </nav>`}
    <header>
      <div class="page-head"><h1 tabindex="-1" ref=${heading}>${name ?? title}</h1>${actions && html`<div class="row">${actions}</div>`}</div>
      ${lead && html`<p class="lead">${lead}</p>`}
    </header>
    ${children}
  </div>`;
}

/** @param {{ title: any, actions?: any, children?: any, class?: string }} props */
export function Section({ title, actions, children, class: extra = "" }) {
  return html`<section class=${`section ${extra}`}>
    <header class="section-head"><h2>${title}</h2>${actions && html`<div class="row">${actions}</div>`}</header>
    ${children}
  </section>`;
}

/** What is known of a thing, as label and value; null values are left out. @param {{ of: [string, any][] }} props */
export function Facts({ of }) {
  const known = of.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
  return html`<dl class="facts">
    ${known.map(([label, value]) => html`<div key=${label}><dt>${label}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}
