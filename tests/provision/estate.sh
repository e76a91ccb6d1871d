#!/usr/bin/env bash
# Makes the estate by curl, a thing at a time. PUT creates or replaces, so it may be run as often as one likes.
# Needs PILLARBOX_URL and PILLARBOX_TOKEN; prints a line for each thing that was not there before.
set -euo pipefail

put() {
    local path=$1 body=$2 answer
    answer=$(curl --silent --show-error --fail-with-body --request PUT "$PILLARBOX_URL/api/v1/$path" \
        --header "Authorization: Bearer $PILLARBOX_TOKEN" --header "Content-Type: application/json" \
        --data "$body" --write-out '\n%{http_code}')
    if [ "${answer##*$'\n'}" = 201 ]; then
        jq --raw-output '"created \(.name // .address)"' <<<"${answer%$'\n'*}"
    fi
}

curl --silent --show-error --fail-with-body --request PATCH "$PILLARBOX_URL/api/v1/settings?force=true" \
    --header "Authorization: Bearer $PILLARBOX_TOKEN" --header "Content-Type: application/merge-patch+json" \
    --data '{"limits.recipients": 500}' >/dev/null

put domains/example.test '{"aliases": ["example.invalid"], "default_quota_bytes": 1073741824}'
put domains/branch.test '{"max_accounts": 10}'
for name in alice bob; do
    put "accounts/$name@example.test" "$(jq --null-input --arg name "${name^}" --arg hash "$PASSWORD_HASH" \
        '{display_name: $name, password_hash: $hash}')"
done
put accounts/office@branch.test "$(jq --null-input --arg hash "$PASSWORD_HASH" \
    '{password_hash: $hash, roles: ["domain_admin:branch.test"], protocols: ["imap", "submission"]}')"
put aliases/info@example.test '{"targets": ["alice@example.test", "bob@example.test"], "note": "the office"}'
put turn/peers/van '{"verbs": ["atrn"], "domains": ["van.test"], "auth": {"sasl_user": "van", "secret": "on the road"}}'
put routes/smarthost '{"match": {"default": true}, "kind": "relay", "host": "relay.test", "port": 587,
    "auth": {"user": "example", "secret": "let me out"}}'
