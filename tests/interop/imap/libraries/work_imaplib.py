"""The day's work of libraries.rs with Python's own imaplib, after STARTTLS."""

import imaplib
import os
import ssl
import sys

imaplib._MAXLINE = 1 << 24


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


def connect():
    session = imaplib.IMAP4("127.0.0.1", int(os.environ["IMAP_PORT"]), timeout=60)
    assert "LOGINDISABLED" in session.capabilities or "STARTTLS" in session.capabilities
    ok(session.starttls(ssl._create_unverified_context()))
    ok(session.login(os.environ["IMAP_USER"], os.environ["IMAP_PASSWORD"]))
    return session


def letter(name):
    with open(f"{name}.eml", "rb") as file:
        return file.read()


def number(session, name):
    return ok(session.uid("SEARCH", "HEADER", "Message-ID", f"{name}@example.test"))[0].decode()


session = connect()
ok(session.create('"Project/&ANw-ber"'))
ok(session.subscribe('"Project/&ANw-ber"'))
ok(session.append("INBOX", r"(\Seen)", '"02-Jan-2026 03:04:05 +0100"', letter("one")))
for name, flags in (("two", None), ("three", "($Important)"), ("four", None), ("five", None)):
    ok(session.append("INBOX", flags, None, letter(name)))
assert ok(session.select("INBOX")) == [b"5"]

search = lambda *words: sorted(ok(session.uid("SEARCH", *words))[0].split())
uids = {name: number(session, name).encode() for name in ("one", "two", "three", "four", "five")}
assert search("UNSEEN") == sorted(uids[name] for name in ("two", "three", "four", "five"))
assert search("BODY", '"quiet letter"') == [uids["one"]]
session.literal = "привет".encode()
assert search("CHARSET", "UTF-8", "TEXT") == [uids["two"]]
assert search("OR", "KEYWORD", "$Important", "LARGER", "900000") == sorted([uids["three"], uids["five"]])
assert search("BEFORE", "3-Jan-2026") == [uids["one"]]

for name, uid in uids.items():
    data = ok(session.uid("FETCH", uid.decode(), "(BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT])"))
    whole, header, text = (part[1] for part in data if isinstance(part, tuple))
    assert whole == letter(name) and header + text == whole, name
part = ok(session.uid("FETCH", uids["three"].decode(), "(BODY.PEEK[1.2]<3.10>)"))
assert part[0][1] == b"bold words", part

ok(session.uid("STORE", uids["two"].decode(), "+FLAGS", r"(\Flagged)"))
ok(session.uid("MOVE", uids["three"].decode(), '"Project/&ANw-ber"'))
ok(session.uid("COPY", uids["one"].decode(), "Archive"))
ok(session.uid("STORE", uids["four"].decode(), "+FLAGS.SILENT", r"(\Deleted)"))
ok(session.expunge())
assert search("ALL") == sorted(uids[name] for name in ("one", "two", "five"))

other = connect()
ok(other.append("INBOX", None, None, letter("six")))
ok(other.rename('"Project/&ANw-ber"', "Project/Under"))
other.logout()
session.untagged_responses.clear()
ok(session.noop())
assert session.untagged_responses.get("EXISTS") == [b"4"], session.untagged_responses
ok(session.close())
session.logout()
