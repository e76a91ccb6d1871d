#!/usr/bin/env python3
"""Makes the estate with one PUT of the whole state, with nothing but the standard library.

Needs PILLARBOX_URL and PILLARBOX_TOKEN; prints a line for each change.
"""
import json
import os
import sys
import urllib.error
import urllib.request

HASH = os.environ["PASSWORD_HASH"]
ESTATE = {
    "settings": {"limits.recipients": 500},
    "domains": {
        "example.test": {"aliases": ["example.invalid"], "default_quota_bytes": 1 << 30},
        "branch.test": {"max_accounts": 10},
    },
    "accounts": {
        **{f"{name}@example.test": {"display_name": name.capitalize(), "password_hash": HASH} for name in ("alice", "bob")},
        "office@branch.test": {
            "password_hash": HASH,
            "roles": ["domain_admin:branch.test"],
            "protocols": ["imap", "submission"],
        },
    },
    "aliases": {"info@example.test": {"targets": ["alice@example.test", "bob@example.test"], "note": "the office"}},
    "peers": {"van": {"verbs": ["atrn"], "domains": ["van.test"], "auth": {"sasl_user": "van", "secret": "on the road"}}},
    "routes": {
        "smarthost": {
            "match": {"default": True},
            "kind": "relay",
            "host": "relay.test",
            "port": 587,
            "auth": {"user": "example", "secret": "let me out"},
        }
    },
}


def ask(method, path, body=None, etag=None):
    request = urllib.request.Request(os.environ["PILLARBOX_URL"] + "/api/v1" + path, method=method)
    request.add_header("Authorization", "Bearer " + os.environ["PILLARBOX_TOKEN"])
    if etag:
        request.add_header("If-Match", etag)
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer), answer.headers["ETag"]
    except urllib.error.HTTPError as refusal:
        problem = json.load(refusal)
        for fault in problem.get("errors", []):
            print(fault.get("pointer"), fault["message"], file=sys.stderr)
        sys.exit(problem["detail"])


_, etag = ask("GET", "/state")
planned, _ = ask("PUT", "/state?dry_run=true", ESTATE, etag)
done, _ = ask("PUT", "/state", ESTATE, etag)
assert planned["changes"] == done["changes"], "a dry run tells what the real one does"
for change in done["changes"]:
    print(change["op"], change["path"])
