// What every journey through the page stands on: Chromium under the page's own policy, and a watch that fails the journey
// on any error in the console, any fault of the page, any violation of the policy, any dialog, and any request that is
// not in openapi.json or goes elsewhere.
import { createRequire } from "node:module";
import { connect } from "node:net";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const { BASE, TOKEN, ADMIN, PASSWORD, MODULES, SCREENSHOTS, CHROMIUM = "/usr/bin/chromium" } = process.env;
const load = createRequire(join(MODULES, "/"));
const { chromium } = load("playwright-core");
const AXE = readFileSync(load.resolve("axe-core/axe.min.js"), "utf8");
/** The smallest phone that counts, and a desk. */
const PHONE = { width: 320, height: 640 };
const DESK = { width: 1280, height: 860 };
/** What a view is looked at in. */
const VIEWS = [["light", PHONE], ["light", DESK], ["dark", PHONE], ["dark", DESK]];
/** Enough for a view that is also looked at elsewhere. */
export const TWO_VIEWS = [["dark", PHONE], ["light", DESK]];
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
/** In the URL of a letter's HTML, which stands in a frame of its own. */
const LETTER = "render=true";
/** What axe looks for. */
const AXE_ALL = {};
const AXE_COLOURS = { runOnly: ["color-contrast", "link-in-text-block"] };
/** How long something on the page may take, on a slow machine that does much else: only what never comes is a fault. */
const PATIENCE_MS = 180_000;

/** The document of the server: what it has may be asked. */
const openapi = await (await fetch(`${BASE}/api/v1/openapi.json`, { headers: { Authorization: `Bearer ${TOKEN}` } })).json();
const templates = Object.entries(openapi.paths).flatMap(([path, operations]) => {
  const pattern = new RegExp(`^${path.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{[^}]+\}/g, "[^/]+")}$`);
  return Object.keys(operations).map((method) => ({ method: method.toUpperCase(), pattern }));
});

/**
 * Runs one journey and ends the process: 0 when nothing was wrong.
 * @param {(world: World) => Promise<void>} run
 */
export async function journey(run) {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  const world = new World(browser);
  try {
    await run(world);
  } catch (error) {
    world.problems.push(error.stack ?? String(error));
    await world.keepLastView();
  }
  await browser.close();
  for (const problem of world.problems) console.error(problem);
  process.exit(world.problems.length === 0 ? 0 : 1);
}

/** Fails the journey unless it holds. */
export function assert(holds, what) {
  if (!holds) throw new Error(what);
}

/** In the browser: goes to another page, and waits until it has been drawn, so that the old one is not taken for it. */
async function turnTo(hash) {
  if (location.hash !== hash) {
    await new Promise((done) => {
      addEventListener("hashchange", done, { once: true });
      location.hash = hash;
    });
  }
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  await frame();
  await frame();
}

class World {
  base = BASE;
  admin = ADMIN;
  password = PASSWORD;
  /** What is wrong, each with where it was seen. */
  problems = [];
  #allowed = new Set();
  /** The session of each who has logged in. */
  #cookies = new Map();
  /** The browser with which each looks at views. */
  #lookers = new Map();
  #last = null;

  constructor(browser) {
    this.browser = browser;
    mkdirSync(SCREENSHOTS, { recursive: true });
  }

  /**
   * A page in a browser of its own. `as`: who is logged in, null for nobody; `free`: without the page's policy, for tools
   * that have to be put into it.
   */
  async page({ as = this.admin, scheme = "light", size = DESK, free = false } = {}) {
    return this.#pageIn(await this.#context({ as, scheme, size, free }));
  }

  async #context({ as, scheme, size, free }) {
    const context = await this.browser.newContext({
      viewport: size, colorScheme: scheme, bypassCSP: free, reducedMotion: "reduce", ignoreHTTPSErrors: true,
    });
    context.setDefaultTimeout(PATIENCE_MS);
    if (as) {
      // Once each: how often somebody may log in is limited.
      if (!this.#cookies.has(as)) this.#cookies.set(as, await this.#logIn(context, as));
      await context.addCookies(this.#cookies.get(as));
      // Not in a frame: that of a letter has no storage.
      await context.addInitScript(() => globalThis.top === globalThis && localStorage.setItem("pillarbox-session", "1"));
    }
    await context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
    });
    return context;
  }

  async #pageIn(context) {
    const page = await context.newPage();
    this.#watch(page);
    this.#last = page;
    return page;
  }

  async #logIn(context, as) {
    const answer = await context.request.post(`${BASE}/api/v1/session`, { data: { email: as, password: PASSWORD } });
    assert(answer.ok(), `${as} logs in: ${answer.status()} ${await answer.text()}`);
    return context.cookies();
  }

  #watch(page) {
    const say = (what) => this.problems.push(`${page.url()}: ${what}`);
    this.#watchLetters(page, say);
    page.on("pageerror", (error) => say(`fault: ${error.stack}`));
    page.on("dialog", (dialog) => {
      say(`dialog: ${dialog.message()}`);
      dialog.dismiss().catch(() => {});
    });
    page.on("console", (message) => {
      const refused = /^Failed to load resource: .* status of (\d+)/.exec(message.text());
      const isExpected = refused && this.#allowed.has(Number(refused[1]));
      // The stream of events ends with its page.
      const isEnd = message.text().includes("ERR_ABORTED");
      // What a letter tries in its closed frame is blocked, and Chromium says so.
      const isLetter = message.location().url.includes(LETTER);
      if (message.type() === "error" && !isExpected && !isEnd && !isLetter) say(`console: ${message.text()} ${message.location().url}`);
    });
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.protocol === "data:" || url.protocol === "blob:") return;
      if (url.origin !== new URL(BASE).origin) {
        if (!request.frame().url().includes(LETTER)) say(`request elsewhere: ${request.url()}`);
        return;
      }
      if (request.frame().url().includes(LETTER) && !url.search.includes(LETTER)) return;
      const isPage = url.pathname === "/admin/" || /^\/admin\/[0-9a-z]+\/[\w./-]+$/.test(url.pathname);
      const isKnown = templates.some(({ method, pattern }) => method === request.method() && pattern.test(url.pathname));
      if (!isPage && !isKnown) say(`request that openapi.json does not have: ${request.method()} ${url.pathname}`);
    });
  }

  /** What a letter asks for is blocked before it leaves. */
  #watchLetters(page, say) {
    page.on("requestfinished", (request) => {
      const isLetter = request.frame().url().includes(LETTER);
      if (isLetter && !request.url().includes(LETTER) && !/^(data|blob):/.test(request.url())) say(`a letter was given ${request.url()}`);
    });
  }

  /** Refusals with these statuses are expected from `act` on: the console tells of them later than the page. */
  async allowing(statuses, act) {
    for (const status of statuses) this.#allowed.add(status);
    return act();
  }

  /** Goes to a page, as in "queue?state=held", and waits until it has settled. */
  async open(page, hash) {
    if (page.url().startsWith(`${BASE}/admin/`)) await page.evaluate(turnTo, `#/${hash}`);
    else await page.goto(`${BASE}/admin/#/${hash}`);
    await this.settled(page);
    return page;
  }

  /** Waits until nothing is loading. */
  async settled(page) {
    await page.waitForFunction(() => document.querySelector("h1") && !document.querySelector(".loading"));
  }

  /**
   * Looks at a view in light and dark, on a phone and on a desk: nothing shuts anybody out (axe), nothing scrolls
   * sideways, and a picture of it is kept for people to look at. `act` brings the page from its start to the view.
   */
  async survey(name, hash, { act = async () => {}, as = this.admin, views = VIEWS } = {}) {
    // One browser for all that somebody looks at: it has fetched the page once.
    if (!this.#lookers.has(as)) this.#lookers.set(as, await this.#context({ as, free: true }));
    // A size is that of a fresh page, as it decides by that what it begins with; the colours change under it.
    for (const size of new Set(views.map(([, size]) => size))) {
      const page = await this.#pageIn(this.#lookers.get(as));
      await page.setViewportSize(size);
      const schemes = views.filter((view) => view[1] === size).map(([scheme]) => scheme);
      await page.emulateMedia({ colorScheme: schemes[0] });
      await this.open(page, hash);
      await act(page);
      for (const scheme of schemes) {
        await page.emulateMedia({ colorScheme: scheme });
        await this.settled(page);
        // The page under other colours is the same page: what could be wrong of it now is the colours.
        await this.#check(page, `${name}, ${scheme}, ${size.width} px`, scheme === schemes[0] ? AXE_ALL : AXE_COLOURS);
        await page.screenshot({ path: join(SCREENSHOTS, `${name}-${scheme}-${size.width}.png`), fullPage: true });
      }
      await page.close();
    }
  }

  /** The checks of what a page (made with `free`) shows now; `rules` say what axe looks for. */
  async #check(page, name, rules) {
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (over > 0) this.problems.push(`${name}: scrolls sideways by ${over} px`);
    await page.evaluate(AXE);
    const found = await page.evaluate((only) => globalThis.axe.run(document, { resultTypes: ["violations"], ...only }), rules);
    for (const { id, help, nodes } of found.violations) {
      const where = nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} (${node.any.map((one) => one.message).join("; ")})`);
      this.problems.push(`${name}: ${id}: ${help}: ${nodes.length} times, as in ${where.join(" | ")}`);
    }
  }

  /** The view where a journey broke off. */
  async keepLastView() {
    const name = process.argv[1].split("/").pop().replace(".mjs", "");
    await this.#last?.screenshot({ path: join(SCREENSHOTS, `broken-${name}.png`) }).catch(() => {});
    const text = await this.#last?.evaluate(() => document.body.innerText.slice(0, 1500)).catch(() => "");
    if (text) this.problems.push(`the page says: ${text}`);
  }

  /** A call of the REST interface below /api/v1, as an administrator; fails on a refusal. */
  async rest(method, path, body) {
    const response = await fetch(`${BASE}/api/v1${path}`, {
      method, headers: { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/json" }, body: body && JSON.stringify(body),
    });
    const text = await response.text();
    assert(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text && (response.headers.get("Content-Type") ?? "").includes("json") ? JSON.parse(text) : text;
  }

  /** Looks again and again until `look` gives something. */
  async until(what, look) {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      const seen = await look();
      if (seen) return seen;
      assert(Date.now() < end, `waited for ${what}`);
      await new Promise((done) => setTimeout(done, 100));
    }
  }

  /**
   * Speaks SMTP with a listener: each line as it is given, each answer waited for. Gives the answers.
   * @param {"SMTP" | "SUBMISSION"} listener
   */
  async smtp(listener, lines) {
    const socket = connect(Number(process.env[`${listener}_PORT`]), "127.0.0.1");
    socket.setEncoding("latin1");
    let text = "";
    let wake = () => {};
    socket.on("data", (data) => {
      text += data;
      wake();
    });
    const closed = new Promise((done, fail) => socket.on("close", done).on("error", fail));
    const answer = async () => {
      for (;;) {
        const found = /^(?:\d{3}-.*\r\n)*\d{3} .*\r\n/.exec(text);
        if (found) {
          text = text.slice(found[0].length);
          return found[0];
        }
        await Promise.race([new Promise((done) => (wake = done)), closed.then(() => Promise.reject(new Error(`closed behind ${text}`)))]);
      }
    };
    const answers = [await answer()];
    for (const line of lines) {
      socket.write(Buffer.from(`${line}\r\n`, "utf8"));
      answers.push(await answer());
    }
    socket.end();
    return answers;
  }

  /** Sends a message by submission, as `from`, who has the password of all. Gives its id. */
  async send(from, to, subject, body = "Hello.") {
    const login = Buffer.from(`\0${from}\0${PASSWORD}`).toString("base64");
    const content = [`From: <${from}>`, `To: ${[to].flat().map((one) => `<${one}>`).join(", ")}`, `Subject: ${subject}`,
      `Message-ID: <${Math.random().toString(36).slice(2)}@example.test>`, "", body, "."].join("\r\n");
    const answers = await this.smtp("SUBMISSION", ["EHLO laptop.example.test", `AUTH PLAIN ${login}`, `MAIL FROM:<${from}>`,
      ...[to].flat().map((one) => `RCPT TO:<${one}>`), "DATA", content, "QUIT"]);
    const id = /m_[0-9a-z]+/.exec(answers[answers.length - 2])?.[0];
    assert(id, `the message is taken: ${answers.join("")}`);
    return id;
  }
}
