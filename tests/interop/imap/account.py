"""Changes and reads an account over TLS with imaplib, for the tests: nothing of Pillarbox's own is between them and the
server.

    account.py PORT USER PASSWORD FOLDER < ACTIONS

ACTIONS is a JSON list of lists, done in their order:
    ["create" | "delete" | "subscribe", MAILBOX], ["rename", MAILBOX, MAILBOX],
    ["append", MAILBOX, FLAGS, DATE, FILE], ["store", MAILBOX, NAME, "+FLAGS" | "-FLAGS" | "FLAGS", FLAGS],
    ["copy" | "move", MAILBOX, NAME, MAILBOX], ["expunge", MAILBOX]
where NAME stands for the message with the Message-ID <NAME@example.test>. Then it prints everything that the account
holds as JSON, and writes each message to a file in FOLDER. It ends with an error when any answer is not OK, or when two
ways to ask for the same thing disagree.
"""

import base64
import imaplib
import json
import os
import re
import ssl
import sys

imaplib._MAXLINE = 1 << 24

LIST = re.compile(rb'\((?P<attributes>[^)]*)\) (?P<separator>"."|NIL) (?P<name>.*)', re.DOTALL)
UID = re.compile(rb"UID (\d+)")
SIZE = re.compile(rb"RFC822\.SIZE (\d+)")
FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
DATE = re.compile(rb'INTERNALDATE "([^"]*)"')


def encode(name):
    """A mailbox name as IMAP4rev1 spells it, quoted. RFC 3501 section 5.1.3"""
    out, run = "", ""
    for character in name + "\0":
        if not 0x20 <= ord(character) <= 0x7E and character != "\0":
            run += character
            continue
        if run:
            out += "&" + base64.b64encode(run.encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"
            run = ""
        out += "&-" if character == "&" else character.replace("\0", "")
    return '"' + out.replace("\\", "\\\\").replace('"', '\\"') + '"'


def decode(name):
    """The other way round."""

    def piece(match):
        text = match.group(1)
        if not text:
            return "&"
        text = text.replace(",", "/")
        return base64.b64decode(text + "=" * (-len(text) % 4)).decode("utf-16-be")

    return re.sub("&([^-]*)-", piece, name)


def ok(answer):
    kind, data = answer
    if kind != "OK":
        sys.exit(f"{kind} {data}")
    return data


def mailboxes(session):
    """Name to attributes."""
    found = {}
    for line in ok(session.list()):
        literal = None
        if isinstance(line, tuple):
            line, literal = line
        if not line:
            continue
        match = LIST.fullmatch(line)
        assert match, f"LIST answers {line!r}"
        name = literal if literal is not None else match["name"]
        if literal is None and name.startswith(b'"'):
            name = re.sub(rb"\\(.)", rb"\1", name[1:-1])
        # Whether something has come since the last look is a matter of who looked.
        passing = (b"\\marked", b"\\unmarked")
        attributes = sorted(word.decode() for word in match["attributes"].split() if word.lower() not in passing)
        assert match["separator"] in (b'"/"', b"NIL"), f"the separator is {match['separator']!r}"
        name = decode(name.decode())
        assert name not in found, f"{name} is listed twice"
        found[name] = attributes
    return found


def find(session, mailbox, name):
    ok(session.select(encode(mailbox)))
    uids = ok(session.uid("SEARCH", "HEADER", "Message-ID", f'"<{name}@example.test>"'))[0].split()
    if len(uids) != 1:
        sys.exit(f"{name} is in {mailbox} {len(uids)} times")
    return uids[0].decode()


def act(session, action):
    verb, mailbox, *rest = action
    if verb in ("create", "delete", "subscribe"):
        ok(getattr(session, verb)(encode(mailbox)))
    elif verb == "rename":
        ok(session.rename(encode(mailbox), encode(rest[0])))
    elif verb == "append":
        flags, date, file = rest
        with open(file, "rb") as content:
            # Bytes as they are: imaplib's own append() would change line ends.
            session.literal = content.read()
        words = [encode(mailbox)] + ([f"({flags})"] if flags else []) + ([f'"{date}"'] if date else [])
        ok(session._simple_command("APPEND", *words))
    elif verb == "store":
        name, how, flags = rest
        ok(session.uid("STORE", find(session, mailbox, name), how, f"({flags})"))
    elif verb == "copy":
        ok(session.uid("COPY", find(session, mailbox, rest[0]), encode(rest[1])))
    elif verb == "move":
        ok(session.uid("MOVE", find(session, mailbox, rest[0]), encode(rest[1])))
    elif verb == "expunge":
        ok(session.select(encode(mailbox)))
        ok(session.expunge())
    else:
        sys.exit(f"no such action: {verb}")


def read(session, mailbox, folder, number):
    """What STATUS and EXAMINE say of a mailbox, and each message of it."""
    status = ok(session.status(encode(mailbox), "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)"))
    status = re.search(rb"\(([^()]*)\)\s*$", status[-1]).group(1).split()
    status = {key.decode(): int(value) for key, value in zip(status[::2], status[1::2])}
    count = int(ok(session.select(encode(mailbox), readonly=True))[0])
    assert count == status["MESSAGES"], f"{mailbox}: {count} and {status}"
    assert int(session.response("UIDVALIDITY")[1][0]) == status["UIDVALIDITY"]
    messages = []
    data = ok(session.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE)")) if count else []
    for line in data:
        uid, flags = int(UID.search(line)[1]), FLAGS.search(line)[1].split()
        file = os.path.join(folder, f"{number}-{uid}")
        body = [part for part in ok(session.uid("FETCH", str(uid), "(BODY.PEEK[])")) if isinstance(part, tuple)]
        assert len(body) == 1 and len(body[0][1]) == int(SIZE.search(line)[1]), f"{mailbox} {uid}: its size"
        with open(file, "wb") as out:
            out.write(body[0][1])
        messages.append(
            {
                "uid": uid,
                # What is recent depends on who asks.
                "flags": sorted(flag.decode() for flag in flags if flag.lower() != b"\\recent"),
                # The day may begin with a space or a zero.
                "date": DATE.search(line)[1].decode().strip().rjust(26, "0"),
                "file": file,
            }
        )
    uids = [message["uid"] for message in messages]
    assert len(uids) == count and uids == sorted(set(uids)), f"{mailbox}: {count} messages, UIDs {uids}"
    assert not uids or uids[-1] < status["UIDNEXT"], f"{mailbox}: {uids[-1]} and {status}"
    unseen = sum("\\Seen" not in message["flags"] for message in messages)
    assert unseen == status["UNSEEN"], f"{mailbox}: {unseen} unseen and {status}"
    if count:
        ok(session.unselect())
    return {"uid_validity": status["UIDVALIDITY"], "uid_next": status["UIDNEXT"], "messages": messages}


def main():
    port, user, password, folder = sys.argv[1:]
    session = imaplib.IMAP4_SSL("127.0.0.1", int(port), ssl_context=ssl._create_unverified_context(), timeout=120)
    session.login(user, password)
    for action in json.load(sys.stdin):
        try:
            act(session, action)
        except imaplib.IMAP4.error as error:
            sys.exit(f"{action}: {error}")
    account = {}
    for number, (name, attributes) in enumerate(sorted(mailboxes(session).items())):
        if any(word.lower() in ("\\noselect", "\\nonexistent") for word in attributes):
            account[name] = {"attributes": attributes, "uid_validity": 0, "uid_next": 0, "messages": []}
        else:
            account[name] = {"attributes": attributes, **read(session, name, folder, number)}
    json.dump(account, sys.stdout)
    session.logout()


main()
