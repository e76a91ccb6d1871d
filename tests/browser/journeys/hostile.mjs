// What strangers and mischievous colleagues write is text, on every page: no dialog, no request elsewhere, no violation of
// the policy (the harness sees to that), and the page says just what was written.
import { assert, journey } from "../harness.mjs";
import { encodedWords, message, quotedLocal, unwilling } from "../hostile/mail.mjs";
import { PAYLOADS } from "../hostile/payloads.mjs";

const ALICE = "/accounts/alice@example.test";
/** Characters of a file's name that are sure to be shown. */
const FILENAME_SHOWN = 200;
/** Names that people may give to things; too many of each would only take time. */
const SOME = PAYLOADS.filter((_, number) => number % 9 === 0);

await journey(async (world) => {
  const refused = await unwilling(PAYLOADS);
  await arrive(world);
  await name(world);
  await leave(world, refused.port);

  const page = await world.page();
  const words = (path) => world.rest("GET", path).then(({ items }) => items);
  await visit(world, page, "aliases", (await words("/aliases")).map((one) => one.note));
  await visit(world, page, "accounts", (await words("/accounts")).map((one) => one.display_name));
  await visit(world, page, "accounts/alice%40example.test", [...SOME.slice(0, 1), ...(await words(`${ALICE}/app-passwords`)).map((one) => one.name)]);
  await visit(world, page, "tokens", (await words("/tokens")).map((one) => one.name));
  await visit(world, page, "turn", (await words("/turn/peers")).map((one) => one.note));
  await visit(world, page, "mailboxes/alice%40example.test", (await words(`${ALICE}/mailboxes`)).map((one) => one.name));
  await read(world, page);
  await visit(world, page, "queue", (await words("/queue?domain=hostile.test&limit=500")).map((one) => one.last?.text ?? ""));
  await follow(world, page);
  for (const path of ["overview", "domains", "domains/example.test", "audit", "settings", "jobs", "api", "about", "mailboxes"]) {
    await visit(world, page, path, []);
  }
  await openAll(world, page);
  await world.allowing([400, 404, 422], () => strangers(world, page));
  assert(!(await page.evaluate(() => "taken" in globalThis)), "nothing of it has run");
  refused.close();
});

/** Mail from strangers: what they say is in From, Subject, the text, the HTML, the name of a file; and in their name. */
async function arrive(world) {
  for (const [number, text] of PAYLOADS.entries()) {
    const sender = `${quotedLocal(text) ?? `stranger${number}`}@hostile.test`;
    const rest = [`MAIL FROM:<${sender}>`, "RCPT TO:<alice@example.test>", "DATA", message(text), "QUIT"];
    const greeting = text.replace(/\s/g, "");
    const first = await world.smtp("SMTP", [`EHLO ${greeting}`, "QUIT"]);
    const answers = await world.smtp("SMTP", [first[1].startsWith("250") ? `EHLO ${greeting}` : "EHLO stranger.test", ...rest]);
    assert(answers[5].startsWith("250"), `it is taken: ${sender}: ${answers.join("")}`);
    const nobody = quotedLocal(text);
    if (nobody) await world.smtp("SMTP", ["EHLO stranger.test", "MAIL FROM:<>", `RCPT TO:<${nobody}@example.test>`, "QUIT"]);
  }
}

/** Names and notes that people here give. What can't be a name is refused, and that is well. */
async function name(world) {
  const put = (path, body) => world.rest("PUT", path, body).catch((error) => assert(/: 4\d\d /.test(error.message), error.message));
  await world.rest("PATCH", ALICE, { display_name: SOME[0] });
  for (const text of PAYLOADS) await put(`${ALICE}/mailboxes/${encodeURIComponent(text.slice(0, 100))}`, {});
  for (const [number, text] of SOME.entries()) {
    await put(`/aliases/a${number}@example.test`, { targets: ["alice@example.test"], note: text });
    await world.rest("POST", "/tokens", { name: text.slice(0, 100), scopes: ["queue:read"] });
    await world.rest("POST", `${ALICE}/app-passwords`, { name: text.slice(0, 60), protocols: ["imap"] });
    await put(`/turn/peers/p${number}`, { verbs: ["atrn"], direction: "accept", domains: [`p${number}.hostile.test`], auth: { sasl_user: `p${number}`, secret: "x".repeat(20) }, note: text });
  }
}

/** Mail to a server that says it in its refusals. */
async function leave(world, port) {
  await world.rest("PUT", "/routes/hostile", { match: { domain: "hostile.test" }, kind: "relay", host: "[127.0.0.1]", port, tls: "opportunistic" });
  const all = PAYLOADS.map((_, number) => `u${number}@hostile.test`);
  for (let from = 0; from < all.length; from += 100) {
    await world.send("alice@example.test", all.slice(from, from + 100), encodedWords(PAYLOADS[from]));
  }
  await world.until("all answers", async () => {
    const { items } = await world.rest("GET", "/queue?domain=hostile.test&limit=500");
    return items.length === all.length && items.every((one) => one.last);
  });
}

/** Goes to a page, and looks whether it says all of that. */
async function visit(world, page, path, expected) {
  await world.open(page, path);
  await says(world, page, path, expected);
}

async function says(world, page, path, expected) {
  let missing = expected;
  const look = async () => {
    const text = await allText(page);
    missing = expected.filter((one) => one && !text.includes(one));
    return missing.length === 0;
  };
  await world.until(path, look).catch((error) => {
    throw missing.length === 0 ? error : new Error(`${path}: ${missing.length} of ${expected.length} are not on the page, as ${JSON.stringify(missing[0])}`);
  });
}

/** All text of a page, also what comes into a long table only when it is reached. */
async function allText(page) {
  const seen = new Set();
  await page.evaluate(() => scrollTo(0, 0));
  for (;;) {
    for (const text of await page.locator("main tr, main").allTextContents()) seen.add(text);
    const isEnd = await page.evaluate(() => {
      const before = scrollY;
      scrollBy(0, innerHeight * 0.8);
      return scrollY === before;
    });
    // What has come into view is drawn.
    await page.waitForFunction(() => !document.querySelector(".loading") && [...document.querySelectorAll("td.spacer")].every((cell) => {
      const { top, bottom } = cell.getBoundingClientRect();
      return bottom < 0 || top > innerHeight || !cell.checkVisibility();
    }));
    if (!isEnd) continue;
    const more = page.getByRole("button", { name: /^(Show more|Loading…|More|Earlier changes)$/ });
    if ((await more.count()) === 0) break;
    await more.first().click({ timeout: 2000 }).catch(() => {});
  }
  for (const text of await page.locator("main tr, main").allTextContents()) seen.add(text);
  return [...seen].join("\n");
}

/** The mail that came: the list, and some messages as text and as HTML in their frame. */
async function read(world, page) {
  const path = `${ALICE}/mailboxes/INBOX/messages`;
  const first = await world.rest("GET", `${path}?limit=500`);
  const subjects = first.items.map((one) => one.subject);
  const changed = PAYLOADS.filter((text) => !subjects.includes(text));
  assert(changed.length === 0, `${changed.length} subjects are not as they were written, as ${JSON.stringify(changed[0])}`);
  await world.open(page, "mailboxes/alice%40example.test/INBOX");
  await page.getByRole("button", { name: "Show the messages" }).click();
  await world.settled(page);
  await says(world, page, "INBOX", first.items.flatMap((one) => [one.subject, one.from]));
  // Reports of what could not be sent lie among them.
  const written = first.items.filter((one) => PAYLOADS.includes(one.subject));
  for (const { uid, subject } of written.filter((_, place) => place % 9 === 0)) {
    await world.open(page, `mailboxes/alice%40example.test/INBOX/${uid}`);
    await page.locator(".subject").waitFor();
    await says(world, page, `message ${uid}`, [subject]);
    const text = await page.locator("pre.letter").textContent();
    assert(text?.includes(subject), `message ${uid}: the text is what was written: ${JSON.stringify(text)}`);
    const parts = await page.locator(".tree").textContent();
    assert(parts?.includes(subject.slice(0, FILENAME_SHOWN)), `message ${uid}: so is the name of the file: ${parts}`);
    // Whatever it does then is done while the next pages are looked at.
    const shown = page.waitForResponse((answer) => answer.url().includes("render=true"));
    await page.getByRole("button", { name: "Show as HTML" }).click();
    await shown;
  }
}

/** What is kept of each message, and the ones that were refused at the door. */
async function follow(world, page) {
  await visit(world, page, "trace?q=hostile.test", []);
  const { items } = await world.rest("GET", "/trace?sender=%3C%3E&limit=50");
  await visit(world, page, "trace?sender=%3C%3E", items.flatMap((one) => one.recipients));
  const { items: queue } = await world.rest("GET", "/queue?domain=hostile.test&limit=1");
  await visit(world, page, `message/${queue[0].message_id}`, []);
  await visit(world, page, `trace/${queue[0].message_id}`, []);
  const { items: inbox } = await world.rest("GET", `${ALICE}/mailboxes/INBOX/messages?limit=10`);
  for (const { id } of inbox) await visit(world, page, `trace/${id}`, []);
}

/** Every entry of the audit log, with what was before and after. */
async function openAll(world, page) {
  await world.open(page, "audit");
  for (const entry of await page.locator(".audit-entry summary").all()) await entry.click();
  await allText(page);
}

/** Such words in the URL, where a page may show what was asked for. */
async function strangers(world, page) {
  for (const text of SOME.filter((_, number) => number % 3 === 0)) {
    const word = encodeURIComponent(text);
    for (const path of [`${word}`, `accounts?q=${word}`, `aliases?resolve=${word}`, `trace?q=${word}`, `queue?sender=${word}`, `domains/${word}`,
      `accounts/${word}`, `mailboxes/${word}`, `jobs/${word}`, `turn/${word}`, `message/${word}`, `trace/${word}`, `api/operation/${word}`, `api/schema/${word}`, `setup/${word}`]) {
      await world.open(page, path);
    }
  }
  // Nothing of these is asked for any more.
  await world.open(page, "about");
}
