"""The day's work of libraries.rs with IMAPClient."""

import os
import ssl
from datetime import date, datetime, timedelta, timezone

from imapclient import IMAPClient


def connect():
    context = ssl._create_unverified_context()
    session = IMAPClient("127.0.0.1", port=int(os.environ["IMAPS_PORT"]), ssl_context=context, timeout=60)
    session.login(os.environ["IMAP_USER"], os.environ["IMAP_PASSWORD"])
    return session


def letter(name):
    with open(f"{name}.eml", "rb") as file:
        return file.read()


session = connect()
session.id_({"name": "test"})
special = {name: flags for flags, _, name in session.list_folders()}
for name in ("Archive", "Drafts", "Junk", "Sent", "Trash"):
    assert f"\\{name}".encode() in special[name], special
assert session.namespace().personal == (("", "/"),)
session.create_folder("Project/Über")
session.subscribe_folder("Project/Über")
when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))
session.append("INBOX", letter("one"), flags=[rb"\Seen"], msg_time=when)
session.multiappend("INBOX", [letter("two"), {"msg": letter("three"), "flags": ["$Important"]}, letter("four")])
session.append("INBOX", letter("five"))
assert session.select_folder("INBOX")[b"EXISTS"] == 5

uids = {name: session.search(["HEADER", "Message-ID", f"{name}@example.test"])[0] for name in ("one", "two", "three", "four", "five")}
assert session.search("UNSEEN") == [uids[name] for name in ("two", "three", "four", "five")]
assert session.search(["BODY", "quiet letter"]) == [uids["one"]]
assert session.search(["TEXT", "привет"], charset="UTF-8") == [uids["two"]]
assert session.search(["OR", "KEYWORD", "$Important", "LARGER", 900000]) == [uids["three"], uids["five"]]
assert session.search(["BEFORE", date(2026, 1, 3)]) == [uids["one"]]

fetched = session.fetch(uids.values(), ["BODY.PEEK[]", "ENVELOPE", "BODYSTRUCTURE", "INTERNALDATE", "FLAGS", "RFC822.SIZE"])
for name, uid in uids.items():
    row = fetched[uid]
    assert row[b"BODY[]"] == letter(name) and row[b"RFC822.SIZE"] == len(letter(name)), name
    assert row[b"ENVELOPE"].message_id == f"<{name}@example.test>".encode(), row[b"ENVELOPE"]
envelope = fetched[uids["one"]][b"ENVELOPE"]
assert envelope.subject == b"Letter one, folded =?utf-8?b?w5xiZXI=?=", envelope
assert (envelope.from_[0].mailbox, envelope.from_[0].host) == (b"sender", b"elsewhere.test")
assert envelope.date.day == 1 and fetched[uids["one"]][b"INTERNALDATE"].replace(tzinfo=None) == when.astimezone().replace(tzinfo=None)
structure = fetched[uids["three"]][b"BODYSTRUCTURE"]
assert structure.is_multipart and structure[1].lower() == b"mixed", structure
assert [part[1].lower() for part in structure[0]][1:] == [b"rfc822", b"octet-stream"], structure

assert rb"\Flagged" in session.add_flags(uids["two"], [rb"\Flagged"])[uids["two"]]
session.move([uids["three"]], "Project/Über")
session.copy([uids["one"]], "Archive")
session.delete_messages([uids["four"]], silent=True)
session.uid_expunge([uids["four"]])
assert session.search() == [uids[name] for name in ("one", "two", "five")]

# What another session does is told while this one waits.
session.idle()
other = connect()
other.append("INBOX", letter("six"))
other.rename_folder("Project/Über", "Project/Under")
other.logout()
told = []
while (4, b"EXISTS") not in told:
    told += session.idle_check(timeout=30) or [None]
    assert None not in told, told
session.idle_done()
assert session.folder_status("Project/Under", ["MESSAGES", "UNSEEN"]) == {b"MESSAGES": 1, b"UNSEEN": 1}
session.logout()
