// What carries hostile words to the server: encoded as mail encodes them, or in the answers of a server elsewhere.
import { createServer } from "node:net";
import { once } from "node:events";

/** Octets of an encoded word's text, so that with its frame it stays below the 75 of RFC 2047 §2. */
const WORD_OCTETS = 42;

/** Encoded words (RFC 2047), as many as the text's length asks for. @param {string} text */
export function encodedWords(text) {
  const pieces = [""];
  for (const letter of text) {
    const last = pieces.length - 1;
    if (Buffer.byteLength(pieces[last] + letter) > WORD_OCTETS) pieces.push(letter);
    else pieces[last] += letter;
  }
  return pieces.map((piece) => `=?utf-8?B?${Buffer.from(piece).toString("base64")}?=`).join("\r\n ");
}

/** A parameter's value (RFC 2231). @param {string} text */
export function extended(text) {
  const octets = [...Buffer.from(text)].map((octet) => {
    const letter = String.fromCharCode(octet);
    return /[A-Za-z0-9]/.test(letter) ? letter : `%${octet.toString(16).padStart(2, "0").toUpperCase()}`;
  });
  return `utf-8''${octets.join("")}`;
}

/** A local part as a quoted string (RFC 5321 §4.1.2), or null where it can't be one. @param {string} text */
export function quotedLocal(text) {
  if (!/^[\x20-\x7e]+$/.test(text)) return null;
  const quoted = `"${text.replace(/[\\"]/g, "\\$&")}"`;
  return quoted.length <= 64 ? quoted : null;
}

/** A message that says the text in every place where a stranger may say something. @param {string} text */
export function message(text) {
  const body = Buffer.from(text).toString("base64").replace(/.{1,76}/g, "$&\r\n");
  const part = (type, more) => [`--frame`, `Content-Type: ${type}`, ...more, "Content-Transfer-Encoding: base64", "", body].join("\r\n");
  return [
    `From: ${encodedWords(text)} <stranger@hostile.test>`,
    "To: <alice@example.test>",
    `Subject: ${encodedWords(text)}`,
    "MIME-Version: 1.0",
    "Content-Type: multipart/mixed; boundary=frame",
    "",
    part("text/plain; charset=utf-8", []),
    part("text/html; charset=utf-8", []),
    part("application/octet-stream", [`Content-Disposition: attachment;\r\n filename*=${extended(text)}`]),
    "--frame--",
    ".",
  ].join("\r\n");
}

/**
 * A server that takes no mail, and says so in words of others: to `uNUMBER@…` in those of that number.
 * @param {string[]} words
 */
export async function unwilling(words) {
  const server = createServer((socket) => {
    let text = "";
    socket.on("error", () => {});
    socket.write("220 sink.hostile.test ESMTP\r\n");
    socket.on("data", (data) => {
      text += data;
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        socket.write(answer(text.slice(0, end).trim(), words));
        text = text.slice(end + 1);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: server.address().port, close: () => server.close() };
}

/** @param {string} line @param {string[]} words */
function answer(line, words) {
  const number = /^RCPT TO:<u(\d+)@/i.exec(line)?.[1];
  if (number) return `451 4.2.0 ${words[Number(number)]}\r\n`;
  if (/^EHLO/i.test(line)) return "250-sink.hostile.test\r\n250 SMTPUTF8\r\n";
  return /^QUIT/i.test(line) ? "221 bye\r\n" : "250 ok\r\n";
}
