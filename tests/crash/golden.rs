//! Files that releases have written, one for each version of the schema: every later build opens them, finds them sound,
//! and serves all that is in them.
//!
//! A file is made once, by a real run of the release whose version it bears, and never changed: by
//! `PILLARBOX_GOLDEN=1 cargo test --test crash -- make_the_golden_file`, and of an older release with
//! `PILLARBOX_BIN` as its program too.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pillarbox::base::SeededRandom;
use pillarbox::queue::{self, State};
use pillarbox::schema::SCHEMA;
use pillarbox::store::{Options, Store};
use serde_json::{Value, json};

use crate::site::{self, PASSWORD, Site, binary, data_file, say};
use crate::wire::{Pop3, Smtp};

/// Where the version stands in the table of facts.
const SCHEMA_KEY: &[u8] = b"schema\0\0";
/// Where nobody answers, so that nothing leaves the queue.
const RESOLVER: [&str; 2] = ["--resolver", "127.0.0.1:9"];

/// The keys of a domain that has some.
const KEYS: &str = "/api/v1/domains/branch.test/dkim-keys";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// What later builds compare: the configuration, and each message as POP3 gives it.
fn listing(site: &Site) -> Value {
    let get = |path: &str| {
        let (status, body) = site.rest("GET", path, "");
        assert_eq!(status, 200, "{path}: {body}");
        body
    };
    let items = |path: &str, fields: &[&str]| -> Value {
        let page = get(path);
        let items = page["items"].as_array().unwrap_or_else(|| panic!("{path} is a list: {page}")).iter();
        let of = |item: &Value| fields.iter().map(|field| ((*field).to_owned(), item[*field].clone())).collect();
        Value::Array(items.map(|item| Value::Object(of(item))).collect())
    };
    let mut mail = BTreeMap::new();
    for user in ["alice", "bob"] {
        let address = format!("{user}@example.test");
        let mut pop3 = Pop3::login(site.address("pop3"), &address, PASSWORD).expect("the account logs in");
        let mails = pop3.retrieve_all().expect("RETR answers");
        mail.insert(address, mails.iter().map(|mail| blake3::hash(mail).to_string()).collect::<Vec<_>>());
    }
    json!({
        "state": get("/api/v1/state"),
        "mail": mail,
        "mailboxes": items("/api/v1/accounts/alice@example.test/mailboxes", &["name"]),
        "tokens": items("/api/v1/tokens", &["name", "scopes"]),
        "dkim_keys": if site.rest("GET", KEYS, "").0 == 404 {
            // A release that has none.
            Value::Null
        } else {
            items(KEYS, &["selector", "state", "record_value"])
        },
    })
}

/// The queue, as the file has it: a server that runs would go on with it as time passes.
fn queued(file: &Path) -> Value {
    let options = Options { disk_reserve_bytes: 0, disk_ballast_bytes: 0, ..Options::at(file) };
    let store = Store::open(options, &SCHEMA).expect("it opens");
    let entries = queue::entries(&store.view().expect("a view"), None, usize::MAX).expect("the queue is read");
    store.close();
    let state = |state: &State| match state {
        State::Waiting { .. } => "waiting".to_owned(),
        State::Held { reason } => format!("held: {reason}"),
        State::Parked { peer } => format!("parked for {peer}"),
    };
    let shown = |entry: &queue::Entry| json!({"recipient": entry.recipient.to_string(), "state": state(&entry.state)});
    Value::Array(entries.iter().map(|waiting| shown(&waiting.entry)).collect())
}

/// Everything that was there is there; a later release may say more of it, and mail may have come.
fn same(was: &Value, is: &Value, path: &str) {
    match (was, is) {
        (Value::Object(was), Value::Object(is)) => {
            for (name, value) in was {
                same(value, is.get(name).unwrap_or(&Value::Null), &format!("{path}/{name}"));
            }
        }
        (Value::Array(was), Value::Array(is)) => {
            assert!(was.len() <= is.len(), "{path}: {} of {}", is.len(), was.len());
            was.iter().zip(is).enumerate().for_each(|(at, (was, is))| same(was, is, &format!("{path}/{at}")));
        }
        _ => assert_eq!(was, is, "{path}"),
    }
}

#[test]
fn make_the_golden_file() {
    if std::env::var_os("PILLARBOX_GOLDEN").is_none() {
        return;
    }
    let home = tempfile::tempdir().expect("a temporary folder");
    let site = Site::serve(home.path(), &RESOLVER);
    fill(&site);
    assert!(site.stop().success());
    // What was begun by the first start is settled by the second: a later one finds the listing as it is.
    let site = Site::serve(home.path(), &RESOLVER);
    let mut listing = listing(&site);
    assert!(site.stop().success());
    site::check(&data_file(home.path()));
    let bytes = fs::read(data_file(home.path())).expect("the file is read");
    let packed = zstd::encode_all(&bytes[..], 19).expect("zstd packs");
    let name = format!("schema-{}", version(&data_file(home.path())));
    // Behind the rest: it is opened by this program, which upgrades it.
    listing["queue"] = queued(&data_file(home.path()));
    fs::write(folder().join(format!("{name}.redb.zst")), &packed).expect("the golden file is written");
    let text = serde_json::to_string_pretty(&listing).expect("JSON is written");
    fs::write(folder().join(format!("{name}.json")), text + "\n").expect("its listing is written");
    say(&format!("{name}: {} octets, packed {}", bytes.len(), packed.len()));
}

/// The rows of a table, as they stand in the file.
fn raw_rows(file: &Path, table: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    use redb::{ReadableDatabase, ReadableTable};
    // The storage engine writes where it opens.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy = folder.path().join("copy.redb");
    fs::copy(file, &copy).expect("it is copied");
    let database = redb::Database::open(copy).expect("it opens");
    let transaction = database.begin_read().expect("a transaction");
    let table = transaction.open_table(redb::TableDefinition::<&[u8], &[u8]>::new(table)).expect("the table is there");
    let rows = table.iter().expect("it is read").map(|row| row.expect("it is read"));
    rows.map(|(key, row)| (key.value().to_vec(), row.value().to_vec())).collect()
}

/// The schema of a file.
fn version(file: &Path) -> u8 {
    let row = raw_rows(file, "meta").into_iter().find(|(key, _)| key == SCHEMA_KEY).expect("it has a schema").1;
    assert_eq!((row.len(), row[0]), (2, 1), "a small number, and no checksum");
    row[1]
}

pub fn fill(site: &Site) {
    let put = |method: &str, path: &str, body: Value| {
        let (status, answer) = site.rest(method, path, &body.to_string());
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    };
    site.create_accounts(&["alice".into(), "bob".into()]);
    put("PUT", "/api/v1/domains/branch.test", json!({"aliases": ["branch.invalid"], "max_accounts": 10}));
    put(
        "PUT",
        "/api/v1/accounts/office@branch.test",
        json!({"password": PASSWORD, "roles": ["domain_admin:branch.test"]}),
    );
    let targets = json!({"targets": ["alice@example.test", "bob@example.test"], "note": "the office"});
    put("PUT", "/api/v1/aliases/info@example.test", targets);
    let van =
        json!({"verbs": ["atrn"], "domains": ["van.test"], "auth": {"sasl_user": "van", "secret": "on the road"}});
    put("PUT", "/api/v1/turn/peers/van", van);
    let far = json!({"match": {"domain": "far.test"}, "kind": "relay", "host": "relay.test", "port": 587, "tls": "required",
        "auth": {"user": "example", "secret": "let me out"}});
    put("PUT", "/api/v1/routes/smart", far);
    put("PUT", "/api/v1/routes/hold", json!({"match": {"domain": "van.test"}, "kind": "hold", "peer": "van"}));
    put("PATCH", "/api/v1/settings?force=true", json!({"limits.recipients": 500}));
    put("POST", "/api/v1/tokens", json!({"name": "reader", "scopes": ["queue:read"]}));
    let key = json!({"algorithm": "ed25519", "selector": "golden"});
    let (status, answer) = site.rest("POST", KEYS, &key.to_string());
    assert!(status == 201 || status == 404, "{status} {answer}");
    mail(site);
    let (status, job) = site.rest("POST", "/api/v1/maintenance/check", "{}");
    if status == 404 {
        // A release that has no such jobs.
        return;
    }
    assert_eq!(status, 202, "{job}");
    site.ended(&job);
}

/// Mail of all kinds: small, of several frames, shared by two, to a list, and to others in each state of the queue.
fn mail(site: &Site) {
    let random = SeededRandom::new(6);
    let mut session = Smtp::connect(site.address("smtp")).expect("the server greets");
    for (number, lines) in [1usize, 40, 4_000].into_iter().enumerate() {
        let text: String = (0..lines)
            .map(|line| format!("line {line} {:x}\r\n", pillarbox::base::Random::next_u64(&random)))
            .collect();
        let content =
            format!("Subject: {number}\r\nMessage-ID: <{number}@far.test>\r\nFrom: sender@far.test\r\n\r\n{text}");
        let to = ["alice@example.test", "info@example.test"];
        session.submit("sender@far.test", &to[number % 2..1 + number % 2], content.as_bytes()).expect("it is taken");
    }
    let mut session = Smtp::login(site.address("submission"), "alice@example.test", PASSWORD).expect("alice logs in");
    for (number, to) in ["a@far.test", "b@van.test", "c@other.test"].into_iter().enumerate() {
        let content = format!(
            "Subject: out {number}\r\nMessage-ID: <out{number}@example.test>\r\nFrom: alice@example.test\r\n\r\nbye\r\n"
        );
        session.submit("alice@example.test", &[to], content.as_bytes()).expect("it is taken");
    }
    let (_, queue) = site.rest("GET", "/api/v1/queue", "");
    let held = queue["items"].as_array().expect("a list").iter().find(|item| item["recipient"] == "c@other.test");
    let id = held.and_then(|item| item["id"].as_str()).expect("it waits");
    let (status, answer) = site.rest("POST", &format!("/api/v1/queue/{id}/hold"), r#"{"reason": "look"}"#);
    assert_eq!(status, 200, "{answer}");
}

#[test]
fn every_golden_file_is_sound_and_served_as_it_was() {
    let mut seen = Vec::new();
    for entry in fs::read_dir(folder()).expect("the golden files are there") {
        let path = entry.expect("the folder is read").path();
        if path.extension().is_none_or(|extension| extension != "zst") {
            continue;
        }
        seen.push(path.file_name().expect("it has a name").to_string_lossy().into_owned());
        let home = tempfile::tempdir().expect("a temporary folder");
        let packed = fs::read(&path).expect("it is read");
        let bytes = zstd::decode_all(&packed[..]).expect("zstd unpacks");
        fs::write(data_file(home.path()), &bytes).expect("it is written");
        site::check(&data_file(home.path()));
        assert!(fs::read(data_file(home.path())).expect("it is read") == bytes, "a check has changed it");
        let was = fs::read_to_string(path.with_extension("").with_extension("json")).expect("its listing is there");
        let mut was: Value = serde_json::from_str(&was).expect("its listing is JSON");
        let old = version(&data_file(home.path()));
        let site = Site::serve(home.path(), &RESOLVER);
        let queue = was["queue"].take();
        same(&was, &listing(&site), &path.display().to_string());
        assert!(site.stop().success());
        site::check(&data_file(home.path()));
        assert_eq!(queue, queued(&data_file(home.path())));
        assert_eq!(u32::from(version(&data_file(home.path()))), SCHEMA.version);
        let copy = home.path().join(format!("mail.redb.before-upgrade-{old}"));
        match u32::from(old) == SCHEMA.version {
            true => assert!(!copy.exists(), "there is nothing to upgrade"),
            false => assert!(fs::read(copy).expect("it is kept") == bytes, "the file of before is kept as it was"),
        }
    }
    seen.sort();
    let expected: Vec<String> = (2..=SCHEMA.version).map(|version| format!("schema-{version}.redb.zst")).collect();
    assert_eq!(seen, expected, "each version has its file");
}

/// The file of version 2 is of a program that wrote no checksums, and bodies, heads and rows of messages in their first
/// encodings: it would prove nothing if it had been made anew by a later one.
#[test]
fn the_golden_file_of_version_2_has_rows_of_that_time() {
    let packed = fs::read(folder().join("schema-2.redb.zst")).expect("it is read");
    let home = tempfile::tempdir().expect("a temporary folder");
    let file = data_file(home.path());
    fs::write(&file, zstd::decode_all(&packed[..]).expect("zstd unpacks")).expect("it is written");
    for (table, encoding) in [("blobs", 1), ("heads", 1), ("messages", 2), ("accounts", 2), ("queue_messages", 1)] {
        let rows = raw_rows(&file, table);
        assert!(!rows.is_empty() && rows.iter().all(|(_, row)| row[0] == encoding), "{table}: {:?}", rows[0].1);
    }
}

/// A file as the next release would have written it.
fn newer(home: &Path) -> Vec<u8> {
    let site = Site::serve(home, &RESOLVER);
    assert!(site.stop().success());
    let file = data_file(home);
    let database = redb::Database::open(&file).expect("it opens");
    let transaction = database.begin_write().expect("a transaction");
    {
        let mut meta =
            transaction.open_table(redb::TableDefinition::<&[u8], &[u8]>::new("meta")).expect("the table of facts");
        let next = u8::try_from(SCHEMA.version + 1).expect("a small number");
        meta.insert(SCHEMA_KEY, [1, next].as_slice()).expect("the row is written");
    }
    transaction.commit().expect("it commits");
    database.close().expect("it closes");
    fs::read(file).expect("it is read")
}

#[test]
fn a_file_of_a_newer_release_is_refused_in_one_line_and_not_changed() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let before = newer(home.path());
    let file = data_file(home.path());
    let mut served = Site::command("serve", home.path(), &RESOLVER);
    let mut checked = Command::new(binary());
    checked.arg("check").arg(&file).stdin(Stdio::null());
    let mut repaired = Command::new(binary());
    repaired.arg("check").arg("--repair").arg(&file).stdin(Stdio::null());
    let mut restored = Command::new(binary());
    restored.arg("restore").arg(&file).arg("--data").arg(home.path().join("other.redb")).stdin(Stdio::null());
    for command in [&mut served, &mut checked, &mut repaired, &mut restored] {
        let output = command.output().expect("it runs");
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{words}");
        let told: Vec<&str> = words.lines().filter(|line| line.contains("newer version")).collect();
        let found = format!("schema {}", SCHEMA.version + 1);
        assert!(matches!(told.as_slice(), [line] if line.contains(&found)), "{words}");
        assert!(fs::read(&file).expect("it is read") == before, "not one octet is changed");
    }
    assert_eq!(
        fs::read_dir(home.path())
            .expect("the folder")
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("mail.redb."))
            .count(),
        0
    );
}
