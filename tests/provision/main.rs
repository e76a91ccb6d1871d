//! The same estate, made by three kinds of programs as operators write them, each run twice: the second time nothing
//! changes. And whole states: applied, compared, a thousand accounts, at the start of the server.

mod exit_codes;
mod site;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use serde_json::{Map, Value, json};

use site::{PASSWORD, PASSWORD_HASH, Site, binary, file, has, serve};

/// Where `tests/provision/programs fetch` has put what it fetched.
fn ansible() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    target.join("provision/python/bin/ansible-playbook")
}

/// The estate as it is shown.
fn estate() -> Value {
    let account = |name: &str| {
        json!({"display_name": name, "enabled": true, "roles": ["user"], "password": {"set": true}, "send_as": [],
            "protocols": ["submission", "pop3", "imap", "http"]})
    };
    json!({
        "version": 1,
        "settings": {"limits.recipients": 500},
        "domains": {
            "example.test": {"aliases": ["example.invalid"], "enabled": true, "subaddress_sep": "+",
                "default_quota_bytes": 1_073_741_824},
            "branch.test": {"aliases": [], "enabled": true, "subaddress_sep": "+", "max_accounts": 10},
        },
        "accounts": {
            "alice@example.test": account("Alice"),
            "bob@example.test": account("Bob"),
            "office@branch.test": {"display_name": "", "enabled": true, "roles": ["domain_admin:branch.test"],
                "password": {"set": true}, "send_as": [], "protocols": ["imap", "submission"]},
        },
        "aliases": {"info@example.test": {"targets": ["alice@example.test", "bob@example.test"], "enabled": true,
            "internal_only": false, "note": "the office"}},
        "peers": {"van": {"verbs": ["atrn"], "direction": "accept", "port": 366, "domains": ["van.test"],
            "auth": {"sasl_user": "van", "secret": {"set": true}}, "tls": {"mode": "pkix"}, "networks": [],
            "enabled": true, "note": ""}},
        "routes": {"smarthost": {"match": {"default": true}, "kind": "relay", "host": "relay.test", "port": 587,
            "auth": {"user": "example", "secret": {"set": true}}, "tls": "verified", "note": ""}},
    })
}

/// Whether `actual` has everything that is expected; it may show more fields of a thing.
fn covers(actual: &Value, expected: &Value, path: &str) {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => {
            for (name, value) in expected {
                covers(actual.get(name).unwrap_or(&Value::Null), value, &format!("{path}/{name}"));
            }
        }
        _ => assert_eq!(actual, expected, "{path}"),
    }
}

/// Runs a program twice: it makes the estate, and then changes nothing. What it has printed, both times.
fn twice(site: &Site, program: &Path, arguments: &[&str]) -> [String; 2] {
    let first = site.must(program, arguments);
    let state = site.state();
    covers(&state, &estate(), "");
    for section in ["domains", "accounts", "aliases", "peers", "routes", "settings"] {
        let names = |state: &Value| state[section].as_object().expect("a section").keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&state), names(&estate()), "{section}");
    }
    let second = site.must(program, arguments);
    assert_eq!(site.state(), state, "the second run changes nothing");
    site.log_in("alice@example.test", PASSWORD);
    [first, second]
}

#[test]
fn a_shell_script_makes_the_estate() {
    if !has(Path::new("curl")) || !has(Path::new("jq")) {
        return;
    }
    let site = Site::start(&[]);
    let [first, second] = twice(&site, &file("estate.sh"), &[]);
    assert_eq!((first.lines().count(), second.as_str()), (8, ""), "{first}");
}

#[test]
fn a_python_script_makes_the_estate() {
    if !has(Path::new("python3")) {
        return;
    }
    let site = Site::start(&[]);
    let [first, second] = twice(&site, &file("estate.py"), &[]);
    assert_eq!((first.lines().count(), second.as_str()), (9, ""), "{first}");
}

#[test]
fn a_playbook_makes_the_estate() {
    if !has(&ansible()) {
        return;
    }
    let site = Site::start(&[]);
    let playbook = file("playbook/estate.yml");
    let playbook = playbook.to_str().expect("a path in UTF-8");
    let [first, second] = twice(&site, &ansible(), &["--inventory", "localhost,", playbook]);
    assert!(first.contains("changed=3 ") && first.contains("failed=0 "), "{first}");
    assert!(second.contains("changed=0 ") && second.contains("failed=0 "), "{second}");
}

fn thousand() -> Value {
    let account = |n: usize| (format!("user{n:04}@example.test"), json!({"password_hash": PASSWORD_HASH}));
    json!({"domains": {"example.test": {}}, "accounts": (0..1000).map(account).collect::<Map<_, _>>()})
}

#[test]
fn a_thousand_accounts_come_from_one_file() {
    let site = Site::start(&[]);
    let state = site.folder.path().join("thousand.json");
    fs::write(&state, thousand().to_string()).expect("the state is written");
    let state = state.to_str().expect("a path in UTF-8");
    let began = Instant::now();
    let first = site.pillarbox(&["state", "apply", state]);
    let (applied, began) = (began.elapsed(), Instant::now());
    let second = site.pillarbox(&["state", "apply", "--prune", state]);
    eprintln!("1,000 accounts: applied in {applied:.1?}, again in {:.1?}", began.elapsed());
    assert!(first.ends_with("1001 added, 0 changed, 0 removed\n"), "{}", &first[first.len().saturating_sub(200)..]);
    assert_eq!(second, "no changes\n");
    site.log_in("user0777@example.test", PASSWORD);
}

#[test]
fn differences_are_told_by_lines_and_exit_codes() {
    let site = Site::start(&[]);
    let state = site.folder.path().join("estate.yaml");
    let path = state.to_str().expect("a path in UTF-8");
    let write = |text: &str| fs::write(&state, text).expect("the state is written");
    let diff = |arguments: &[&str]| {
        let output = site.run(&binary(), &[&["state", "diff"], arguments, &[path]].concat());
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    write("domains: {example.test: {}}\naccounts: {carol@example.test: {password: a good one}}\n");
    let (code, out, _) = diff(&[]);
    assert_eq!(code, Some(1));
    assert!(
        out.starts_with("+ domains/example.test {") && out.ends_with("2 to add, 0 to change, 0 to remove\n"),
        "{out}"
    );
    site.pillarbox(&["state", "apply", path]);
    assert_eq!(diff(&[]), (Some(0), "no changes\n".into(), String::new()));
    site.log_in("carol@example.test", "a good one");
    // What is shown can be applied.
    let shown = site.pillarbox(&["state", "get"]);
    write(&shown);
    assert_eq!(diff(&["--prune"]), (Some(0), "no changes\n".into(), String::new()), "{shown}");
    write("accounts: {}\n");
    let (code, _, err) = diff(&["--prune"]);
    assert_eq!(code, Some(4), "{err}");
    assert!(err.contains("carol@example.test has 1 messages: name it in allow_data_loss"), "{err}");
    let (code, out, _) = diff(&["--prune", "--allow-data-loss", "carol@example.test"]);
    assert_eq!((code, out.as_str()), (Some(1), "- accounts/carol@example.test\n0 to add, 0 to change, 1 to remove\n"));
    write("accounts: {dora@nowhere.test: {}, eve@example.test: {roles: [queen]}}\n");
    let (code, _, err) = diff(&[]);
    assert_eq!(code, Some(2));
    assert!(
        err.contains("\n  /accounts/dora@nowhere.test: ") && err.contains("\n  /accounts/eve@example.test/roles/0: "),
        "{err}"
    );
}

#[test]
fn a_server_starts_with_its_state() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let state = folder.path().join("estate.yaml");
    let write = |text: &str| fs::write(&state, text).expect("the state is written");
    let path = state.to_str().expect("a path in UTF-8");
    write(
        "settings: {limits.recipients: 7}\ndomains: {example.test: {}}\naccounts: {alice@example.test: {password: pillarbox}}\n",
    );
    let site = Site::start(&["--state", path]);
    let recipients = site.pillarbox(&["settings", "get", "limits.recipients", "-o", "json"]);
    let recipients: Value = serde_json::from_str(&recipients).expect("JSON");
    assert_eq!(
        (&recipients["value"], &recipients["source"], &recipients["in_force"]),
        (&json!(7), &json!("state"), &json!(true))
    );
    site.log_in("alice@example.test", "pillarbox");
    drop(site);
    for (text, word) in [
        (
            "accounts: {alice@example.test: {}}\n",
            "/accounts/alice@example.test: example.test is not a domain of this server",
        ),
        ("domain: {}\n", "there is no field \"domain\" here"),
        ("domains: [\n", "line 2"),
        ("settings: {limits.recipient: 7}\n", "the nearest is limits.recipients"),
    ] {
        write(text);
        let other = tempfile::tempdir().expect("a temporary folder");
        let output =
            serve(other.path(), &["--state", path]).stderr(Stdio::piped()).output().expect("the server starts");
        let err = String::from_utf8_lossy(&output.stderr);
        let line = err.lines().find(|line| line.starts_with("pillarbox: ")).unwrap_or_default();
        assert!(output.status.code() == Some(2) && line.contains(word), "{text:?}: {:?} {err}", output.status.code());
        assert!(!other.path().join("ready.json").exists());
    }
}
