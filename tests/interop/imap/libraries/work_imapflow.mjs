// The day's work of libraries.rs with imapflow.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// Its modules are installed below target/, not beside this file.
const { ImapFlow } = createRequire(process.env.MODULES + "/")("imapflow");

const connect = async () => {
  const session = new ImapFlow({
    host: "127.0.0.1",
    port: Number(process.env.IMAPS_PORT),
    secure: true,
    auth: { user: process.env.IMAP_USER, pass: process.env.IMAP_PASSWORD },
    tls: { rejectUnauthorized: false },
    logger: false,
  });
  await session.connect();
  return session;
};
const letter = name => readFileSync(`${name}.eml`);

const session = await connect();
const special = Object.fromEntries((await session.list()).map(mailbox => [mailbox.path, mailbox.specialUse]));
for (const name of ["Archive", "Drafts", "Junk", "Sent", "Trash"]) {
  assert.equal(special[name], `\\${name}`);
}
assert.equal((await session.mailboxCreate(["Project", "Über"])).created, true);
await session.append("INBOX", letter("one"), ["\\Seen"], new Date("2026-01-02T03:04:05+01:00"));
for (const [name, flags] of [["two", []], ["three", ["$Important"]], ["four", []], ["five", []]]) {
  assert.ok((await session.append("INBOX", letter(name), flags)).uid);
}

const inbox = await session.mailboxOpen("INBOX");
assert.equal(inbox.exists, 5);
const search = query => session.search(query, { uid: true });
const uids = {};
for (const name of ["one", "two", "three", "four", "five"]) {
  [uids[name]] = await search({ header: { "message-id": `${name}@example.test` } });
}
assert.deepEqual(await search({ seen: false }), [uids.two, uids.three, uids.four, uids.five]);
assert.deepEqual(await search({ body: "quiet letter" }), [uids.one]);
assert.deepEqual(await search({ text: "привет" }), [uids.two]);
assert.deepEqual(await search({ or: [{ keyword: "$Important" }, { larger: 900000 }] }), [uids.three, uids.five]);
assert.deepEqual(await search({ before: new Date("2026-01-03T00:00:00Z") }), [uids.one]);

const wanted = { uid: true, flags: true, envelope: true, bodyStructure: true, internalDate: true, size: true, source: true };
for await (const message of session.fetch("1:*", wanted)) {
  const [name] = Object.entries(uids).find(([, uid]) => uid === message.uid);
  assert.ok(message.source.equals(letter(name)), name);
  assert.equal(message.size, letter(name).length);
  assert.equal(message.envelope.messageId, `<${name}@example.test>`);
  if (name === "one") {
    assert.equal(message.envelope.subject, "Letter one, folded Über");
    assert.equal(message.envelope.from[0].address, "sender@elsewhere.test");
    assert.equal(message.internalDate.toISOString(), "2026-01-02T02:04:05.000Z");
    assert.deepEqual([...message.flags], ["\\Seen"]);
  }
  if (name === "three") {
    const kinds = message.bodyStructure.childNodes.map(part => part.type);
    assert.deepEqual(kinds, ["multipart/alternative", "message/rfc822", "application/octet-stream"]);
  }
}
const { content } = await session.download(uids.three, "1.2", { uid: true });
const parts = [];
for await (const part of content) {
  parts.push(part);
}
assert.equal(Buffer.concat(parts).toString(), "<b>bold words</b>");

assert.ok(await session.messageFlagsAdd(uids.two, ["\\Flagged"], { uid: true }));
const moved = await session.messageMove(uids.three, "Project/Über", { uid: true });
assert.equal([...moved.uidMap.keys()][0], uids.three);
await session.messageCopy(uids.one, "Archive", { uid: true });
assert.ok(await session.messageDelete(uids.four, { uid: true }));
assert.deepEqual(await search({ all: true }), [uids.one, uids.two, uids.five]);

// What another session does is told while this one waits.
const told = new Promise(resolve => session.on("exists", resolve));
const waiting = session.idle();
const other = await connect();
await other.append("INBOX", letter("six"));
await other.mailboxRename("Project/Über", "Project/Under");
await other.logout();
assert.equal((await told).count, 4);
await session.noop();
await waiting;
assert.equal((await session.status("Project/Under", { messages: true })).messages, 1);
assert.ok((await session.getQuota("INBOX")) !== undefined);
await session.logout();
