use actix_web::http::{Method, header};
use serde_json::{Value, json};

use super::{Seen, Site, ask};
use crate::base::{Address, MailboxId, MessageId, Random, Secret, SeededRandom, Timestamp};
use crate::directory::{self, PasswordHash, Scope};
use crate::mailbox::{self, Incoming, Placement};
use crate::store::{Halt, Op, StoreError, Tx};

const STATE: &str = "/api/v1/state";

/// An estate with something of everything.
fn estate() -> Value {
    json!({
        "version": 1,
        "settings": {"limits.recipients": 500, "directory.subaddress_separator": "-", "queue.retry_seconds": [60, 120]},
        "domains": {"x.test": {"aliases": ["y.test"], "default_quota_bytes": 1000}, "z.test": {"enabled": false}},
        "accounts": {
            "Alice@x.test": {"display_name": "Alice", "password": "correct horse", "send_as": ["@z.test"]},
            "bob@x.test": {"roles": ["domain_admin:x.test"], "password_hash": hash("battery staple"),
                "forward": {"to": ["bob@far.test"], "keep": false}},
        },
        "aliases": {"info@x.test": {"targets": ["alice@x.test", "team@x.test"]}, "team@x.test": {"targets": ["bob@x.test"]}},
        "routes": {"smart": {"match": {"default": true}, "kind": "relay", "host": "relay.test",
            "auth": {"user": "u", "secret": "first secret"}}},
        "peers": {"branch": {"verbs": ["atrn"], "domains": ["branch.test"],
            "auth": {"sasl_user": "branch", "secret": "peer secret"}}},
    })
}

fn hash(password: &str) -> String {
    let random = SeededRandom::new(random_seed(password));
    let hash = PasswordHash::of(&Secret::new(password.to_owned()), &random);
    serde_json::from_value(serde_json::to_value(hash).unwrap()).unwrap()
}

fn random_seed(text: &str) -> u64 {
    SeededRandom::new(text.len() as u64).next_u64()
}

async fn put(site: &Site, query: &str, state: &Value) -> Seen {
    site.send(site.admin(Method::PUT, &format!("{STATE}{query}")).set_json(state)).await
}

/// So many messages come in for an account.
struct Deliver {
    address: &'static str,
    count: u64,
}

impl Op for Deliver {
    type Plan = MailboxId;
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "test.deliver"
    }

    fn check(&self, tx: &Tx<'_>) -> Result<MailboxId, Halt<std::convert::Infallible>> {
        let account = directory::account(tx, &Address::parse(self.address).unwrap())?.unwrap();
        Ok(mailbox::inbox(tx, account.id)?.unwrap())
    }

    fn apply(&self, tx: &mut Tx<'_>, mailbox: MailboxId) -> Result<(), StoreError> {
        for number in 1..=self.count {
            let (id, at) = (MessageId(number), Timestamp(number));
            let message = Incoming { id, head: b"Subject: x\r\n", blob: None, body_bytes: 0, summary: None, at };
            mailbox::deliver(tx, &message, &[Placement { mailbox, own_lines: b"Return-Path: <>\r\n" }])?;
        }
        Ok(())
    }
}

/// Op and path of each change.
fn changes(seen: &Seen) -> Vec<String> {
    let items = seen.body["changes"].as_array().unwrap_or_else(|| panic!("{}", seen.body));
    items
        .iter()
        .map(|change| format!("{} {}", change["op"].as_str().unwrap(), change["path"].as_str().unwrap()))
        .collect()
}

#[actix_web::test]
async fn a_state_is_applied_once() {
    let site = Site::new();
    let dry = put(&site, "?force=true&dry_run=true", &estate()).await;
    assert_eq!((dry.status.as_u16(), &dry.body["applied"]), (200, &json!(false)), "{}", dry.body);
    assert_eq!(site.get("/api/v1/domains/x.test").await.status, 404);
    let first = put(&site, "?force=true", &estate()).await;
    assert_eq!(first.body["applied"], true);
    assert_eq!(first.body["changes"], dry.body["changes"], "a dry run tells what the real one does");
    assert_eq!(
        changes(&first),
        [
            "add /settings/directory.subaddress_separator",
            "add /settings/limits.recipients",
            "add /settings/queue.retry_seconds",
            "add /domains/x.test",
            "add /domains/z.test",
            "add /accounts/Alice@x.test",
            "add /accounts/bob@x.test",
            "add /aliases/info@x.test",
            "add /aliases/team@x.test",
            "add /peers/branch",
            "add /routes/smart",
        ]
    );
    let text = first.body.to_string();
    assert!(
        !["correct horse", "$argon2", "first secret", "peer secret"].iter().any(|secret| text.contains(secret)),
        "{text}"
    );
    let before = site.get(STATE).await;
    assert_eq!(before.header(header::ETAG), first.header(header::ETAG));
    let second = put(&site, "?force=true", &estate()).await;
    assert_eq!(changes(&second), [] as [&str; 0], "the same again changes nothing");
    assert_eq!(second.header(header::ETAG), first.header(header::ETAG));
    assert_eq!(changes(&put(&site, "?force=true&prune=true", &estate()).await), [] as [&str; 0]);
    assert_eq!(
        site.get("/api/v1/domains/x.test").await.body["subaddress_sep"],
        "-",
        "by the setting of the same state"
    );
    let one = site.get("/api/v1/settings/limits.recipients").await;
    assert_eq!((&one.body["source"], &one.body["value"]), (&json!("state"), &json!(500)));
}

#[actix_web::test]
async fn what_is_shown_can_be_brought_back() {
    let site = Site::new();
    put(&site, "?force=true", &estate()).await;
    let shown = site.get(STATE).await;
    assert_eq!(shown.body["accounts"]["Alice@x.test"]["password"], json!({"set": true}));
    assert_eq!(shown.body["routes"]["smart"]["auth"], json!({"user": "u", "secret": {"set": true}}));
    assert_eq!(shown.body["settings"]["queue.retry_seconds"], json!([60, 120]));
    let etag = shown.header(header::ETAG).to_owned();
    let back = async |query: &str, tag: &str, body: &Value| {
        let request = site.admin(Method::PUT, &format!("{STATE}{query}")).insert_header((header::IF_MATCH, tag));
        site.send(request.set_json(body)).await
    };
    let same = back("?prune=true", &etag, &shown.body).await;
    assert_eq!(changes(&same), [] as [&str; 0]);
    let mut changed = shown.body.clone();
    changed["accounts"]["Alice@x.test"]["display_name"] = "Alice A.".into();
    changed["routes"]["smart"]["auth"]["secret"] = "second secret".into();
    let done = back("", &etag, &changed).await;
    assert_eq!(
        done.body["changes"],
        json!([
            {"op": "change", "path": "/accounts/Alice@x.test/display_name", "before": "Alice", "after": "Alice A."},
            {"op": "change", "path": "/routes/smart/auth", "before": {"user": "u", "secret": {"set": true}},
                "after": {"user": "u", "secret": {"set": true, "new": true}}},
        ])
    );
    assert_eq!(back("", &etag, &changed).await.status, 412);
    assert_eq!(put(&site, "", &changed).await.status, 428);
    let fresh = site
        .send(site.admin(Method::GET, STATE).insert_header((header::IF_NONE_MATCH, done.header(header::ETAG))))
        .await;
    assert_eq!(fresh.status, 304);
}

#[actix_web::test]
async fn a_password_is_set_only_when_it_is_another() {
    let site = Site::new();
    put(&site, "?force=true", &estate()).await;
    let changed_at = async || site.get("/api/v1/accounts/alice@x.test").await.body["password"]["changed_at"].clone();
    let first = changed_at().await;
    site.clock.advance_ms(10_000);
    put(&site, "?force=true", &estate()).await;
    assert_eq!(changed_at().await, first);
    let state = json!({"accounts": {"alice@x.test": {"display_name": "Alice", "password": "another one", "send_as": ["@z.test"]}}});
    for query in ["?force=true&dry_run=true", "?force=true"] {
        let done = put(&site, query, &state).await;
        assert_eq!(
            done.body["changes"],
            json!([{"op": "change", "path": "/accounts/alice@x.test/password",
            "before": {"set": true}, "after": {"set": true, "new": true}}])
        );
    }
    assert_ne!(changed_at().await, first);
    let proves = |password: &str| {
        let (site, password) = (&site, Secret::new(password.to_owned()));
        async move { site.context.authenticator.proves("alice@x.test", &password).await.unwrap().is_some() }
    };
    assert!(proves("another one").await && !proves("correct horse").await);
}

#[actix_web::test]
async fn what_is_not_named_goes_only_when_that_is_asked() {
    let site = Site::new();
    put(&site, "?force=true", &estate()).await;
    let less = json!({"domains": {"x.test": {"default_quota_bytes": 1000}}, "aliases": {}, "settings": {}, "accounts": {"bob@x.test": {}}});
    let kept = put(&site, "?force=true&dry_run=true", &less).await;
    let of_bob = ["change /accounts/bob@x.test/forward", "change /accounts/bob@x.test/roles"];
    assert_eq!(changes(&kept), ["change /domains/x.test/aliases", of_bob[0], of_bob[1]]);
    let gone = put(&site, "?force=true&prune=true", &less).await;
    assert_eq!(
        changes(&gone),
        [
            "remove /settings/directory.subaddress_separator",
            "remove /settings/limits.recipients",
            "remove /settings/queue.retry_seconds",
            "change /domains/x.test/aliases",
            "change /domains/x.test/subaddress_sep",
            "remove /domains/z.test",
            "remove /accounts/Alice@x.test",
            "change /accounts/bob@x.test/forward",
            "change /accounts/bob@x.test/roles",
            "remove /aliases/info@x.test",
            "remove /aliases/team@x.test",
        ],
        "{}",
        gone.body
    );
    assert_eq!(site.get("/api/v1/routes/smart").await.status, 200, "a section that is left out is left alone");
}

#[actix_web::test]
async fn a_state_is_one_row_of_the_audit() {
    let site = Site::new();
    put(&site, "?force=true&dry_run=true", &estate()).await;
    put(&site, "?force=true", &estate()).await;
    let rows = site.get("/api/v1/audit").await.body["items"].clone();
    let rows: Vec<&Value> = rows.as_array().unwrap().iter().filter(|row| row["action"] == "put_state").collect();
    assert_eq!(rows.len(), 1, "a dry run is none");
    assert_eq!((&rows[0]["target"], &rows[0]["after"]["count"]), (&json!("state"), &json!(11)), "{}", rows[0]);
    assert!(!rows[0].to_string().contains("correct horse"));
}

#[actix_web::test]
async fn mail_is_lost_only_by_name() {
    let site = Site::new();
    put(&site, "?force=true", &estate()).await;
    let _ = site.context.store.write_blocking(Deliver { address: "alice@x.test", count: 3 }).unwrap();
    let empty = |allowed: Value| json!({"accounts": {}, "aliases": {}, "allow_data_loss": allowed});
    let refused = put(&site, "?force=true&prune=true&dry_run=true", &empty(json!([]))).await;
    assert_eq!((refused.status.as_u16(), refused.problem()), (409, "conflict"), "{}", refused.body);
    assert_eq!(refused.faults(), [("/accounts/Alice@x.test".to_owned(), "has_mail".to_owned())]);
    assert!(refused.body.to_string().contains("3 messages"), "{}", refused.body);
    let done = put(&site, "?force=true&prune=true", &empty(json!(["alice@X.test"]))).await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(site.get("/api/v1/accounts").await.body["items"], json!([]));
    assert_eq!(site.context.store.check().unwrap().lines(), [] as [&str; 0]);
}

#[actix_web::test]
async fn every_fault_is_told_and_nothing_is_done() {
    let site = Site::new();
    let check = async |state: Value, status: u16, faults: &[(&str, &str)]| {
        let before = site.get(STATE).await.body;
        let seen = put(&site, "?force=true", &state).await;
        let expected: Vec<_> = faults.iter().map(|(place, code)| ((*place).to_owned(), (*code).to_owned())).collect();
        assert_eq!((seen.status.as_u16(), seen.faults()), (status, expected), "{state}: {}", seen.body);
        assert_eq!(site.get(STATE).await.body, before, "{state}");
    };
    check(json!({"domain": {}}), 422, &[("/domain", "unknown_field")]).await;
    check(json!({"version": 2}), 422, &[("/version", "too_large")]).await;
    check(json!({"domains": {"x.test": {"enabeld": true}}}), 422, &[("/domains/x.test/enabeld", "unknown_field")])
        .await;
    check(
        json!({"domains": {"-": {}}, "accounts": {"a": {}}, "aliases": {"a/b~c": {"targets": ["a@x.test"]}}}),
        422,
        &[("/domains/-", "malformed"), ("/accounts/a", "malformed"), ("/aliases/a~1b~0c", "malformed")],
    )
    .await;
    check(json!({"accounts": {"a@x.test": {}, "A@X.test": {}}}), 422, &[("/accounts/a@x.test", "twice")]).await;
    for path in ["/nowhere.pem", "/dev/zero"] {
        let state = json!({"settings": {"delivery.ca_file": path}});
        check(state, 422, &[("/settings/delivery.ca_file", "unreadable")]).await;
    }
    check(
        json!({
            "settings": {"limits.recipient": 5},
            "domains": {"x.test": {"catch_all": "nobody"}, "y.test": {}},
            "accounts": {"a@w.test": {}, "b@y.test": {"roles": ["king"]}},
            "aliases": {"b@y.test": {"targets": ["c@y.test"]}, "c@y.test": {"targets": ["c@y.test"]}},
            "routes": {"r": {"match": {"default": true}, "kind": "relay"}},
        }),
        422,
        &[
            ("/settings/limits.recipient", "unknown_setting"),
            ("/domains/x.test/catch_all", "malformed"),
            ("/accounts/a@w.test", "no_such_domain"),
            ("/accounts/b@y.test/roles/0", "malformed"),
            ("/aliases/c@y.test/targets/0", "circle"),
            ("/routes/r/host", "required"),
        ],
    )
    .await;
    check(json!({"domains": {"x.test": {"max_accounts": 1}}, "accounts": {"a@x.test": {"password": "long enough"}, "b@x.test": {}}}),
        409, &[("/accounts/b@x.test", "conflict")]).await;
    let many: serde_json::Map<String, Value> = (0..10_001).map(|n| (format!("d{n}.test"), json!({}))).collect();
    check(json!({"domains": many}), 422, &[("", "too_many")]).await;
}

#[actix_web::test]
async fn names_go_from_one_thing_to_another() {
    let site = Site::new();
    let first = json!({
        "domains": {"b.test": {"aliases": ["n.test"]}, "a.test": {}},
        "accounts": {"x@a.test": {}},
        "aliases": {"y@a.test": {"targets": ["x@a.test"]}, "p@a.test": {"targets": ["q@a.test"]}},
    });
    assert_eq!(put(&site, "?force=true", &first).await.status, 200);
    let second = json!({
        "domains": {"a.test": {"aliases": ["n.test"]}, "b.test": {}},
        "accounts": {"y@a.test": {}},
        "aliases": {"x@a.test": {"targets": ["y@a.test"]}, "q@a.test": {"targets": ["p@a.test"]}, "p@a.test": {"targets": ["x@a.test"]}},
    });
    let done = put(&site, "?force=true&prune=true", &second).await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(changes(&put(&site, "?force=true&prune=true", &second).await), [] as [&str; 0]);
}

#[actix_web::test]
async fn who_may_not_make_administrators_does_not_by_a_state() {
    let site = Site::new();
    put(&site, "?force=true", &estate()).await;
    let root = json!({"accounts": {"root@x.test": {"roles": ["admin"]}}});
    put(&site, "?force=true", &root).await;
    let token = site.token(&[Scope::StateWrite], &[]);
    let send = async |state: &Value| {
        site.send(ask(Method::PUT, &format!("{STATE}?force=true&prune=true"), &token).set_json(state)).await
    };
    assert_eq!(send(&json!({"aliases": {}})).await.status, 200);
    let both = json!({"accounts": {"root@x.test": {"roles": ["admin"]}, "bob@x.test": {"roles": ["admin"]}, "Alice@x.test": {}}});
    let seen = send(&both).await;
    assert_eq!((seen.status.as_u16(), seen.faults()[0].0.as_str()), (403, "/accounts/bob@x.test"), "{}", seen.body);
    let without = send(&json!({"accounts": {"Alice@x.test": {}, "bob@x.test": {}}})).await;
    assert_eq!(
        (without.status.as_u16(), without.faults()[0].0.as_str()),
        (403, "/accounts/root@x.test"),
        "{}",
        without.body
    );
    let bound = site.token(&[Scope::StateWrite], &["x.test"]);
    assert_eq!(site.send(ask(Method::GET, STATE, &bound)).await.status, 403);
}

#[actix_web::test]
async fn a_thousand_accounts_are_one_change_of_the_file() {
    let site = Site::new();
    let one = hash("the same for all");
    let accounts: serde_json::Map<String, Value> =
        (0..1000).map(|n| (format!("user{n:04}@x.test"), json!({"password_hash": one}))).collect();
    let state = json!({"domains": {"x.test": {}}, "accounts": accounts});
    let done = put(&site, "?force=true", &state).await;
    assert_eq!(done.body["changes"].as_array().unwrap().len(), 1001);
    assert_eq!(changes(&put(&site, "?force=true", &state).await), [] as [&str; 0]);
    assert_eq!(site.context.store.check().unwrap().lines(), [] as [&str; 0]);
}

#[actix_web::test]
async fn what_a_state_keeps_is_shown_to_be_kept() {
    let site = Site::new();
    site.write(Method::PUT, "/api/v1/domains/own.test", json!({})).await;
    put(&site, "?force=true&dry_run=true", &estate()).await;
    let before = site.get("/api/v1/domains/own.test").await;
    assert_eq!((&before.body["managed_by"], before.header(header::ETAG)), (&json!(null), "\"1\""));
    put(&site, "?force=true", &estate()).await;
    let things = [
        ("domains", "x.test", json!({"max_accounts": 50})),
        ("accounts", "alice@x.test", json!({"display_name": "By hand"})),
        ("aliases", "info@x.test", json!({"note": "by hand"})),
        ("turn/peers", "branch", json!({"note": "by hand"})),
        ("routes", "smart", json!(null)),
    ];
    for (folder, name, patch) in &things {
        let path = format!("/api/v1/{folder}/{name}");
        assert_eq!(site.get(&path).await.body["managed_by"], "state", "{path}");
        let list = site.get(&format!("/api/v1/{folder}")).await.body["items"].clone();
        let kept = list.as_array().unwrap().iter().filter(|item| item["managed_by"] == "state").count();
        assert!(kept >= 1 && list.as_array().unwrap().iter().all(|item| item.get("managed_by").is_some()), "{list}");
        if patch.is_null() {
            continue;
        }
        // By hand it can be changed, and the answer says what keeps it.
        let seen = site.write(Method::PATCH, &path, patch.clone()).await;
        assert_eq!((seen.status.as_u16(), &seen.body["managed_by"]), (200, &json!("state")), "{path}: {}", seen.body);
        assert_eq!(site.get(&path).await.header(header::ETAG), seen.header(header::ETAG), "{path}");
    }
    let mut back = changes(&put(&site, "?force=true", &estate()).await);
    back.sort();
    let expected = ["accounts/Alice@x.test/display_name", "aliases/info@x.test/note", "domains/x.test/max_accounts"];
    let expected: Vec<String> = expected.iter().map(|path| format!("change /{path}")).collect();
    assert_eq!(back, [expected, vec!["change /peers/branch/note".into()]].concat());
    // Of what nobody has edited, the ETag changes with what is shown.
    assert_eq!(site.get("/api/v1/domains/own.test").await.body["managed_by"], json!(null));
    put(&site, "?force=true", &json!({"domains": {"own.test": {"subaddress_sep": "+"}}})).await;
    let known = ask(Method::GET, "/api/v1/domains/own.test", &site.admin);
    let after = site.send(known.insert_header((header::IF_NONE_MATCH, before.header(header::ETAG)))).await;
    assert_eq!((after.status.as_u16(), &after.body["managed_by"]), (200, &json!("state")));
    let edit = site.admin(Method::PATCH, "/api/v1/domains/own.test").insert_header((header::IF_MATCH, "\"1\""));
    assert_eq!(site.send(edit.set_json(json!({"enabled": false}))).await.status, 200, "nobody has edited it");
    // What is made anew by hand is nobody's but theirs.
    assert_eq!(site.send(site.admin(Method::DELETE, "/api/v1/domains/own.test")).await.status, 204);
    site.clock.advance_ms(1);
    site.write(Method::PUT, "/api/v1/domains/own.test", json!({})).await;
    assert_eq!(site.get("/api/v1/domains/own.test").await.body["managed_by"], json!(null));
    let one = async || site.get("/api/v1/settings/limits.recipients").await.body["managed_by"].clone();
    assert_eq!(one().await, "state");
    let by_hand = site.admin(Method::PATCH, "/api/v1/settings?force=true").set_json(json!({"limits.recipients": 5}));
    assert_eq!(site.send(by_hand).await.status, 200);
    assert_eq!(one().await, json!(null));
}
