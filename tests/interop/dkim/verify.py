"""Verifies the DKIM signatures of a message on stdin with dkimpy, by the records of a JSON file: name to text.

Prints a line for each: its domain, selector and algorithm, and whether it holds.
"""

import json
import sys

import dkim

with open(sys.argv[1], encoding="ascii") as file:
    records = json.load(file)


def look_up(name, timeout=5):
    text = records.get(name.decode("ascii").rstrip("."))
    return text.encode("ascii") if text else None


message = sys.stdin.buffer.read()
verifier = dkim.DKIM(message)
count = sum(1 for name, _ in verifier.headers if name.lower() == b"dkim-signature")
for place in range(count):
    verifier = dkim.DKIM(message)
    try:
        holds = verifier.verify(idx=place, dnsfunc=look_up)
    except dkim.DKIMException as error:
        print(error, file=sys.stderr)
        holds = False
    fields = {name: value.decode("ascii") for name, value in verifier.signature_fields.items()}
    print(fields[b"d"], fields[b"s"], fields[b"a"], "holds" if holds else "broken")
