// Every page as it looks on a server that is in use: two domains, thirty people, mail that others refuse or put off for many reasons,
// sessions that run. Nothing may shut anybody out there either, and the pictures are for people to look at.
import { connect, createServer } from "node:net";
import { once } from "node:events";
import { TWO_VIEWS, assert, journey } from "../harness.mjs";

const { IMAP_PORT } = process.env;
const PEOPLE = ["Ada Lovelace", "Bela Bartók", "Chinua Achebe", "Dorothy Hodgkin", "Emmy Noether", "Frida Kahlo", "Grace Hopper", "Hannah Arendt", "Ida Noddack",
  "José Saramago", "Katherine Johnson", "Lise Meitner", "Marie Curie", "Niels Bohr", "Olga Tokarczuk", "Paul Erdős", "Quentin Blake", "Rosa Luxemburg",
  "Sofja Kowalewskaja", "Tove Jansson", "Ursula Le Guin", "Vera Rubin", "Wisława Szymborska", "Xu Zhimo", "Yayoi Kusama", "Zora Neale Hurston"];
/** What stands for the password "pillarbox", so that thirty of them take no time. */
const HASH = "$6$pillarbox$vFmpo3mo2idBd1gQBXM0slQnJ.Uez64uGxExoAWQixNvttP9ZmRmQPhcVYyTX89.CoVG60tZAGLFFITFDW1zJ/";
/** What servers elsewhere answer to RCPT, by the domain. @type {Record<string, string>} */
const REPLIES = {
  "brimful.example": "452 4.2.2 The mailbox is full, try again when the recipient has cleaned up",
  "strict.example": "550 5.7.1 Service unavailable; client [198.51.100.7] blocked using zen.spamhaus.org",
  "busy.example": "421 4.7.0 Too many connections from your address, slow down",
  "choosy.example": "550 5.7.1 Our filter takes this message for spam; see https://choosy.example/why?id=20261122-0194812",
  "unknown-names.example": "550 5.1.1 <recipient>: Recipient address rejected: User unknown in virtual mailbox table",
  "policy.example": "451 4.7.26 This mail is unauthenticated: SPF and DKIM did not pass",
  "friendly.example": "250 2.1.5 Ok",
};

await journey(async (world) => {
  const elsewhere = await answering();
  await people(world);
  await state(world);
  const sent = await mail(world, elsewhere.port);
  const session = await halfASession(world);
  await look(world, sent, session);
  elsewhere.close();
});

/** Domains, accounts, aliases, tokens: as a small company has them. */
async function people(world) {
  const harbour = { default_quota_bytes: 5e9, aliases: ["harbour-trading.example"], catch_all: null };
  await world.rest("PUT", "/domains/harbour.example", harbour);
  await world.rest("PUT", "/domains/an-association-with-a-rather-long-name.example", { enabled: false, max_accounts: 10 });
  await world.rest("PUT", "/domains/workshop.example", { subaddress_sep: "-" });
  for (const [number, name] of PEOPLE.entries()) {
    const local = name.normalize("NFD").replace(/[^A-Za-z ]/g, "").toLowerCase().replaceAll(" ", ".");
    const domain = number % 4 === 3 ? "workshop.example" : "harbour.example";
    await world.rest("PUT", `/accounts/${local}@${domain}`, { display_name: name, password_hash: HASH, quota_bytes: number % 5 === 0 ? 4000 : null });
  }
  await world.rest("POST", "/accounts/quentin.blake@harbour.example/disable", {});
  await world.rest("PUT", "/aliases/info@harbour.example", { targets: ["ada.lovelace@harbour.example", "sales@harbour.example"], note: "on the web site" });
  await world.rest("PUT", "/aliases/sales@harbour.example", { targets: ["grace.hopper@harbour.example", "marie.curie@harbour.example", "orders@partner.example"], note: "" });
  await world.rest("PUT", "/aliases/everybody@harbour.example", { internal_only: true, note: "staff only", targets: PEOPLE.slice(0, 3).map((name) => `${name.toLowerCase().normalize("NFD").replace(/[^a-z ]/g, "").replaceAll(" ", ".")}@harbour.example`) });
  await world.rest("PUT", "/aliases/fax@harbour.example", { targets: ["ida.noddack@harbour.example"], enabled: false, note: "until the machine is back" });
  await world.rest("POST", "/accounts/ada.lovelace@harbour.example/app-passwords", { name: "phone", protocols: ["imap", "submission"] });
  await world.rest("POST", "/tokens", { name: "monitoring", scopes: ["metrics:read", "queue:read"], allow_ips: ["192.0.2.0/24"] });
  await world.rest("POST", "/tokens", { name: "provisioning from the intranet", scopes: ["admin"], expires_at: new Date(Date.now() + 20 * 86_400_000).toISOString() });
  await world.rest("POST", "/tokens", { name: "harbour's own people", scopes: ["accounts:read", "accounts:write"], restrict: { domains: ["harbour.example"] } });
}

/** What the state file of the company says. */
async function state(world) {
  await world.rest("PUT", "/state?force=true", {
    domains: { "workshop.example": { subaddress_sep: "-" } },
    aliases: { "post@workshop.example": { targets: ["tove.jansson@workshop.example"], note: "from the state file" } },
    settings: { "queue.delay_notice_seconds": 7200 },
  });
}

/** Mail in, out and refused, with an end of each kind. Gives the ids of some. */
async function mail(world, port) {
  for (const domain of Object.keys(REPLIES)) {
    await world.rest("PUT", `/routes/${domain}`, { match: { domain }, kind: "relay", host: "[127.0.0.1]", port, tls: "opportunistic" });
  }
  await world.rest("PUT", "/routes/down", { match: { domain: "down.example" }, kind: "relay", host: "[127.0.0.1]", port: 1, tls: "opportunistic" });
  await world.rest("PUT", "/routes/boats", { match: { domain: "boats.example" }, kind: "hold", peer: "boats" }).catch(() => {});
  const ada = "ada.lovelace@harbour.example";
  const offer = await world.send(ada, ["purchasing@friendly.example", "stock@brimful.example", "grace.hopper@harbour.example"], "Offer 2026-118: 40 m of rope");
  for (const [from, to, subject] of [
    ["marie.curie@harbour.example", "warehouse@busy.example", "Radium, two boxes"], ["niels.bohr@harbour.example", "a.sommerfeld@down.example", "Re: Re: the atom"],
    [ada, "a.b@unknown-names.example", "Notes on the engine"], ["tove.jansson@workshop.example", "snorkmaiden@strict.example", "Invitation"],
    ["vera.rubin@harbour.example", "survey@choosy.example", "Rotation curves"], ["emmy.noether@harbour.example", "d.hilbert@policy.example", "Invariants"],
    ["rosa.luxemburg@harbour.example", "the.secretary.of.the.international.committee@lost.test", "Agenda"], [ada, ["marie.curie@harbour.example", "lise.meitner@workshop.example"], "Lunch?"],
    ["hannah.arendt@workshop.example", "karl@later.test", "The review"], ["frida.kahlo@harbour.example", "diego@takes.test", "The blue house"],
  ]) await world.send(from, to, subject);
  for (const to of ["nobody@harbour.example", "quentin.blake@harbour.example", "someone@else.example"]) {
    await world.smtp("SMTP", ["EHLO mail.stranger.example", "MAIL FROM:<news@stranger.example>", `RCPT TO:<${to}>`, "QUIT"]);
  }
  const wrong = Buffer.from(`\0${ada}\0wrong`).toString("base64");
  await world.smtp("SUBMISSION", ["EHLO laptop.example.test", `AUTH PLAIN ${wrong}`, "QUIT"]);
  await readAndDelete(ada);
  await world.until("the first attempts", async () => {
    const { items } = await world.rest("GET", "/queue?limit=500");
    return items.every((one) => one.state === "waiting" || one.state === "held");
  });
  const { items } = await world.rest("GET", "/queue?recipient=d.hilbert@policy.example");
  await world.rest("POST", `/queue/${items[0].id}/hold`, { reason: "until SPF is set", until: new Date(Date.now() + 2 * 86_400_000).toISOString() });
  const stories = (await world.rest("GET", "/trace?limit=100")).items;
  return { offer, bounced: stories.find((one) => one.outcome === "bounced")?.id, refused: stories.find((one) => one.outcome === "refused")?.id };
}

/** A letter that came is read and deleted by IMAP, so that its story has an end. @param {string} account */
async function readAndDelete(account) {
  const socket = connect(Number(IMAP_PORT), "127.0.0.1").setEncoding("latin1");
  await once(socket, "connect");
  let text = "";
  socket.on("data", (data) => (text += data));
  for (const [number, line] of [`LOGIN ${account} pillarbox`, "SELECT INBOX", "FETCH 1 BODY[]", "STORE 1 +FLAGS (\\Deleted)", "EXPUNGE", "LOGOUT"].entries()) {
    socket.write(`a${number} ${line}\r\n`);
    while (!text.includes(`a${number} `)) await once(socket, "data");
  }
  socket.end();
}

/** A server elsewhere that answers RCPT by the domain. */
async function answering() {
  const server = createServer((socket) => {
    let text = "";
    let isData = false;
    socket.on("error", () => {});
    socket.write("220 mx.elsewhere.example ESMTP\r\n");
    socket.on("data", (data) => {
      text += data;
      for (let end = text.indexOf("\r\n"); end >= 0; end = text.indexOf("\r\n")) {
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        if (isData && line !== ".") continue;
        socket.write(`${answer(line, isData)}\r\n`);
        isData = /^DATA/i.test(line);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: server.address().port, close: () => server.close() };
}

/** @param {string} line @param {boolean} isData */
function answer(line, isData) {
  if (isData) return "250 2.0.0 Ok: queued as 4ZkQ1x2J9dz9rxN";
  const domain = /^RCPT TO:<[^@]+@([^>]+)>/i.exec(line)?.[1];
  if (domain) return REPLIES[domain] ?? "250 2.1.5 Ok";
  if (/^DATA/i.test(line)) return "354 End data with <CR><LF>.<CR><LF>";
  return /^QUIT/i.test(line) ? "221 2.0.0 Bye" : /^EHLO/i.test(line) ? "250 mx.elsewhere.example" : "250 2.1.0 Ok";
}

/** A swap with a server that says nothing behind its greeting: it runs while it is looked at. */
async function halfASession(world) {
  const silent = createServer((socket) => {
    socket.on("error", () => {});
    socket.write("220 mail.boats.example ESMTP, one moment please\r\n");
  });
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  silent.unref();
  const peer = { verbs: ["atrn", "etrn"], direction: "both", domains: ["boats.example", "harbour.example"], host: "[127.0.0.1]", auth: { sasl_user: "harbour", secret: "x".repeat(24) } };
  await world.rest("PUT", "/turn/peers/boats", { ...peer, port: silent.address().port, schedule: { cron: "0 6 * * MON" }, limits: { messages: 500, size_bytes: null, duration_seconds: 600 }, note: "dials in when a ship is in port" });
  await world.rest("PUT", "/turn/peers/lighthouse", { ...peer, verbs: ["atrn"], direction: "accept", domains: ["lighthouse.example"], host: null, networks: ["192.0.2.0/24"], auth: { sasl_user: "lighthouse", secret: "x".repeat(24) } });
  await world.send("ada.lovelace@harbour.example", ["captain@boats.example", "mate@boats.example"], "Papers for the harbour master");
  const { session } = await world.rest("POST", "/turn/peers/boats/sessions", {});
  await world.until("the session to run", async () => {
    const { items } = await world.rest("GET", "/turn/sessions?peer=boats");
    const isThere = items.some((one) => one.id === session && one.state === "running");
    return isThere && (await world.rest("GET", `/turn/sessions/${session}`)).transcript?.includes("one moment please");
  });
  return session;
}

/** Each page, on a phone in the dark and on a desk in the light. */
async function look(world, { offer, bounced, refused }, session) {
  assert(bounced && refused, "there is one of each");
  const { items: inbox } = await world.rest("GET", "/accounts/grace.hopper@harbour.example/mailboxes/INBOX/messages");
  const show = (view) => view.getByRole("button", { name: "Show the messages" }).click();
  for (const [name, hash, act] of [
    ["overview", "overview"], ["queue", "queue"], ["queue-held", "queue?state=held"], ["message", `message/${offer}`], ["trace", "trace"], ["trace-refused", `trace/${refused}`],
    ["trace-bounced", `trace/${bounced}`], ["trace-story", `trace/${offer}`], ["turn", "turn"], ["turn-running", `turn/${session}`], ["domains", "domains"],
    ["domain", "domains/harbour.example"], ["domain-kept", "domains/workshop.example"], ["accounts", "accounts"], ["account", "accounts/ada.lovelace%40harbour.example"], ["mailboxes", "mailboxes"],
    ["mailboxes-of-one", "mailboxes/grace.hopper%40harbour.example"], ["mailbox-messages", "mailboxes/grace.hopper%40harbour.example/INBOX", show],
    ["mailbox-message", `mailboxes/grace.hopper%40harbour.example/INBOX/${inbox[0].uid}`, show], ["aliases", "aliases?resolve=info%40harbour.example", (view) => view.locator(".chain").waitFor()],
    ["settings", "settings"], ["tokens", "tokens"], ["jobs", "jobs"], ["audit", "audit"], ["api", "api"], ["about", "about"],
  ]) await world.survey(`gallery-${name}`, hash, { act, views: TWO_VIEWS });
}
