// The words of the queue: how an entry stands, where it goes, what was said last.
import { html } from "../../vendor/preact.js";
import { Badge } from "../../ui/badge.js";
import { Field } from "../../ui/form.js";
import { Time, Until } from "../../ui/time.js";

/** @type {Record<string, { word: string, kind: string, icon: string }>} */
export const STATES = {
  due: { word: "due", kind: "info", icon: "due" },
  waiting: { word: "waiting", kind: "quiet", icon: "clock" },
  in_flight: { word: "sending", kind: "busy", icon: "flight" },
  held: { word: "held", kind: "warn", icon: "held" },
};

/** @param {{ entry: any }} props */
export function State({ entry }) {
  const { word, kind, icon } = STATES[entry.state] ?? { word: entry.state, kind: "quiet", icon: "info" };
  return html`<${Badge} kind=${kind} icon=${icon}>${word}<//>`;
}

/** When it is tried next, or why it is not. @param {{ entry: any }} props */
export function Next({ entry }) {
  if (entry.state === "held") return html`<span class="quiet">${entry.hold_reason}${entry.hold_until_at && html` <span class="under"><${Until} at=${entry.hold_until_at} /></span>`}</span>`;
  if (entry.state === "in_flight") return html`<span class="quiet">at this moment</span>`;
  return html`<${Time} at=${entry.next_attempt_at} />`;
}

/** The last attempt in the remote server's own words. @param {{ entry: any }} props */
export function Last({ entry }) {
  if (!entry.last) return html`<span class="quiet">not tried yet</span>`;
  const { code, enhanced, text, mx } = entry.last;
  return html`${[code, enhanced].filter(Boolean).join(" ")} ${text}${mx && html` <span class="quiet small">${mx}</span>`}`;
}

/** The way that something is to go out by, whatever the routes say. */
export const WayField = () => html`<${Field} label="By which way" name="route" placeholder="relay.example.org:587"
  hint="A route's name, or a server that takes it, for this message alone. Empty: as routes and peers say." />`;

/** @param {{ route: any }} props */
export function Route({ route }) {
  const by = route.name || route.chosen ? html` <span class="quiet">(${[route.name && `route ${route.name}`, route.chosen && "chosen by hand"].filter(Boolean).join(", ")})</span>` : null;
  if (route.kind === "relay") return html`by ${route.host}:${route.port}${by}`;
  if (route.kind === "damaged") return html`nowhere: what says it is damaged in the file`;
  if (route.kind === "hold") return html`fetched by peer ${route.peer}${by}`;
  return html`by the DNS${by}`;
}
