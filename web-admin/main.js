// The shell: who is logged in, where we are, and the page that belongs there, loaded when it is first wanted.
import { html, render, useEffect, useErrorBoundary, useRef, useSignal, useState } from "./vendor/preact.js";
import { link, route } from "./router.js";
import { begin, can, failure, isWhole, logOut, refresh, session } from "./session.js";
import { connection } from "./live.js";
import { Icon } from "./ui/icon.js";
import { Page } from "./ui/page.js";
import { ErrorBox, Loading } from "./ui/state.js";
import { Toasts } from "./ui/toast.js";
// What nearly every page is made of comes with the shell, so that a page waits for its own lines alone.
import "./ui/badge.js";
import "./ui/checks.js";
import "./ui/copy.js";
import "./ui/dialog.js";
import "./ui/form.js";
import "./ui/load.js";
import "./ui/password.js";
import "./ui/search.js";
import "./ui/table.js";
import "./ui/time.js";

/** @typedef {{ name: string, title: string, group: string, scope?: string, whole?: boolean }} Entry
 *   group "": not in the menu; whole: not for who is restricted to some domains */
/** @type {Entry[]} */
const PAGES = [
  { name: "overview", title: "Overview", group: "Mail", scope: "queue:read", whole: true },
  { name: "queue", title: "Queue", group: "Mail", scope: "queue:read" },
  { name: "message", title: "Message", group: "", scope: "queue:read" },
  { name: "trace", title: "Trace", group: "Mail", scope: "trace:read" },
  { name: "turn", title: "TURN", group: "Mail", scope: "turn:read", whole: true },
  { name: "domains", title: "Domains", group: "People", scope: "domains:read" },
  { name: "accounts", title: "Accounts", group: "People", scope: "accounts:read" },
  { name: "mailboxes", title: "Mailboxes", group: "People", scope: "accounts:read" },
  { name: "aliases", title: "Aliases", group: "People", scope: "accounts:read" },
  { name: "settings", title: "Settings", group: "Server", scope: "settings:read" },
  { name: "tokens", title: "Tokens", group: "Server", scope: "tokens:write" },
  { name: "backups", title: "Backups", group: "Server", scope: "backup:read", whole: true },
  { name: "maintenance", title: "Maintenance", group: "Server", scope: "settings:write", whole: true },
  { name: "jobs", title: "Jobs", group: "Server", scope: "jobs:read" },
  { name: "audit", title: "Audit", group: "Server", scope: "audit:read" },
  { name: "api", title: "API", group: "Server" },
  { name: "about", title: "About", group: "Server" },
];
const GROUPS = ["Mail", "People", "Server"];
/** Of which page the menu marks another as the present one. @type {Record<string, string>} */
const BELONGS = { message: "queue" };
/** Shown without a menu, and without a session. */
const PLAIN = ["setup", "login"];

function App() {
  const { page } = route.value;
  if (page === "setup") return html`<${Plain} name="setup" />`;
  if (failure.value) return html`<main class="plain"><${ErrorBox} error=${failure.value} retry=${refresh} /></main>`;
  if (session.value === undefined) return html`<main class="plain"><${Loading} /></main>`;
  return session.value === null ? html`<${Plain} name="login" />` : html`<${Shell} />`;
}

/** @param {{ name: string }} props */
const Plain = ({ name }) => html`<main class="plain" id="main"><p class="brand"><${Mark} /><span>Pillarbox</span></p><${Lazy} key=${name} name=${name} /></main><${Toasts} />`;

function Shell() {
  const { page, key } = route.value;
  const isOpen = useSignal(false);
  const asked = PAGES.find((one) => one.name === (PLAIN.includes(page) ? "overview" : page));
  // Who has no overview begins with the first page that they have.
  const entry = asked === PAGES[0] && !isFor(asked) ? (PAGES.find((one) => one.scope && isFor(one)) ?? asked) : asked;
  useEffect(() => {
    isOpen.value = false;
  }, [key]);
  const skip = (/** @type {Event} */ event) => {
    event.preventDefault();
    document.getElementById("main")?.focus();
  };
  return html`<div class="shell">
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header class="top">
      <a class="brand" href=${link("/overview")}><${Mark} /><span>Pillarbox</span></a>
      <button type="button" class="menu-button" aria-expanded=${isOpen.value} aria-controls="menu" onClick=${() => (isOpen.value = !isOpen.value)}>
        <${Icon} name=${isOpen.value ? "bad" : "menu"} /> Menu</button>
      <div id="menu" class=${isOpen.value ? "menu open" : "menu"}>
        <${Menu} current=${BELONGS[entry?.name ?? ""] ?? entry?.name} />
        <${Who} />
      </div>
    </header>
    <main id="main" tabindex="-1">
      ${connection.value === "lost" && html`<p class="banner" role="status"><${Icon} name="warn" /> The connection to the server is lost. What stands here may be old; it is tried again.</p>`}
      ${!entry ? html`<${Page} title="No such page"><p>There is no page “${page}”. <a href=${link("/overview")}>To the overview</a></p><//>`
        : !isFor(entry) ? html`<${Denied} key=${key} entry=${entry} />`
          : html`<${Lazy} key=${key} name=${entry.name} />`}
    </main>
    <${Toasts} />
  </div>`;
}

/** Whether who is logged in may see that page. @param {Entry} page */
const isFor = ({ scope, whole }) => (!scope || can(scope)) && (!whole || isWhole());

/** @param {{ current?: string }} props */
function Menu({ current }) {
  return html`<nav aria-label="Pages">
    ${GROUPS.map((group) => {
      const pages = PAGES.filter((page) => page.group === group && isFor(page));
      return pages.length > 0 && html`<div class="menu-group" key=${group}><h2>${group}</h2><ul>
        ${pages.map((page) => html`<li><a href=${link(`/${page.name}`)} aria-current=${page.name === current ? "page" : undefined}>${page.title}</a></li>`)}
      </ul></div>`;
    })}
  </nav>`;
}

function Who() {
  const who = session.value;
  const words = { session: who?.roles.map((role) => role.replaceAll("_", " ")).join(", "), token: "by token", socket: "by socket" };
  return html`<div class="who">
    <p class="wrap-anywhere"><${Icon} name="user" /> <span>${who?.account ?? who?.display_name}
      <span class="quiet">${/** @type {any} */ (words)[who?.kind ?? ""] ?? ""}</span></span></p>
    <button type="button" class="quiet" onClick=${logOut}><${Icon} name="out" /> Log out</button>
  </div>`;
}

/** @param {{ entry: Entry }} props */
const Denied = ({ entry }) => html`<${Page} title=${entry.title}>
  <${ErrorBox} error=${{ status: 403, title: "This page is not for you", detail: entry.scope && can(entry.scope) ? "It is about all domains." : `It needs the right ${entry.scope}, which ${session.value?.account ?? "you"} does not have.` }} />
<//>`;

const Mark = () => html`<svg class="mark" viewBox="0 0 16 16" aria-hidden="true"><rect x="3" y="1" width="10" height="14" rx="4" /><path d="M5.5 5.8h5" /></svg>`;

/** What was loaded once stays. @type {Map<string, any>} */
const modules = new Map();

/** A page of its own module. @param {{ name: string }} props */
function Lazy({ name }) {
  const [state, setState] = useState({ view: modules.get(name), error: /** @type {any} */ (null) });
  const [fault] = useErrorBoundary((error) => console.error(error));
  const isShown = useRef(true);
  useEffect(() => {
    if (!state.view) {
      import(`./pages/${name}.js`).then(
        (module) => {
          modules.set(name, module.default);
          if (isShown.current) setState({ view: module.default, error: null });
        },
        // After an update of the server the old files are gone.
        (error) => isShown.current && setState({ view: undefined, error: { ...GONE, message: String(error) } }),
      );
    }
    return () => {
      isShown.current = false;
    };
  }, []);
  if (state.error || fault) {
    return html`<${Page} title="Something is wrong"><${ErrorBox} error=${state.error ?? fault} retry=${() => location.reload()} /><//>`;
  }
  const { parts, query } = route.value;
  return state.view ? html`<${state.view} parts=${parts} query=${query} />` : html`<${Loading} />`;
}

const GONE = { status: 404, title: "This page can't be loaded", detail: "The server may have been updated meanwhile: load the page anew." };

begin();
const app = document.getElementById("app");
if (app) {
  app.replaceChildren();
  render(html`<${App} />`, app);
}
