"""The ARC chain of a message on stdin, by dkimpy and the records of a JSON file (name to text).

verify RECORDS: one line: what came of it (none, pass, fail, or ended), and the domain of each set, the last one first.
seal RECORDS DOMAIN SELECTOR KEY: the message with one more set; its results are those of DOMAIN in the message.
"""

import json
import sys

import dkim


def look_up(name, timeout=5):
    text = records.get(name.decode("ascii").rstrip("."))
    return text.encode("ascii") if text else None


what, path, *place = sys.argv[1:]
with open(path, encoding="ascii") as file:
    records = json.load(file)
message = sys.stdin.buffer.read()
if what == "seal":
    domain, selector, key = place
    with open(key, "rb") as file:
        fields = dkim.arc_sign(message, selector.encode(), domain.encode(), file.read(), domain.encode())
    sys.stdout.buffer.write(b"".join(fields) + message)
else:
    status, sets, reason = dkim.arc_verify(message, dnsfunc=look_up)
    print(reason, file=sys.stderr)
    print(" ".join(part.decode("ascii") for part in [status or b"ended", *(each["as-domain"] for each in sets)]))
