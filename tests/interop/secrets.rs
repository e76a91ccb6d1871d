//! Secrets at rest: with a key file nothing that has to be readable can be read out of the file, its backups or the
//! log; without one it can, which proves that the search would find it. And who may open what the server makes.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::site::{self, Guarded, Site, binary, data_file};

/// What is planted: a route's password and a peer's.
const PLANTED: [&str; 2] = ["plantedroutesecret0123456789", "plantedpeersecret9876543210"];
/// How a P-256 private key begins in PKCS#8 (RFC 5208, RFC 5915), up to where its 32 octets follow.
const KEY_BEGINS: [u8; 13] = [0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20];

/// Runs the command line on `folder`'s server, or on its file.
fn pillarbox(folder: &Path, arguments: &[&str]) -> Output {
    let mut line = Command::new(binary());
    line.args(arguments)
        .env("PILLARBOX_DATA", data_file(folder))
        .env_remove("PILLARBOX_URL")
        .env_remove("PILLARBOX_TOKEN");
    let output = line.stdin(Stdio::null()).output().expect("the program runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output
}

/// Makes a key file and returns the flags that name it.
fn key(folder: &Path) -> [String; 2] {
    let file = folder.join("key").display().to_string();
    pillarbox(folder, &["key", "create", &file]);
    ["--key-file".to_owned(), file]
}

fn plant(site: &Site) {
    let route = format!(
        r#"{{"match":{{"default":true}},"kind":"relay","host":"smtp.example.net","port":587,
            "auth":{{"user":"me","secret":"{}"}}}}"#,
        PLANTED[0]
    );
    let peer = format!(
        r#"{{"verbs":["atrn"],"direction":"accept","domains":["branch.example"],
            "auth":{{"sasl_user":"branch","secret":"{}"}}}}"#,
        PLANTED[1]
    );
    for (path, body) in [("/api/v1/routes/smarthost", route), ("/api/v1/turn/peers/branch", peer)] {
        let (status, answer) = site.rest("PUT", path, &body);
        assert!(status == 200 || status == 201, "{path}: {status} {answer}");
    }
}

/// A server with what is planted, a backup beside its file and one elsewhere; stopped again. The files that it left.
fn used(folder: &Path, flags: &[&str]) -> Vec<PathBuf> {
    let site = Site::serve(folder, flags);
    plant(&site);
    let copy = folder.join("copy.redb");
    pillarbox(folder, &["backup", copy.to_str().expect("a path that is UTF-8")]);
    pillarbox(folder, &["backup", "create", "--wait"]);
    let state = pillarbox(folder, &["state", "get"]).stdout;
    assert_eq!(found(&state), [""; 0], "the state tells no secret");
    assert!(site.stop().success());
    site::check(&data_file(folder));
    files(folder)
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder that can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

/// What of the secrets is in there, as it is or in base64 at any of its three alignments (which a PEM file has too).
fn found(octets: &[u8]) -> Vec<&'static str> {
    let needles = |secret: &[u8]| {
        let shifted = (0..3).map(|shift| {
            let encoded = STANDARD.encode([&vec![0; shift], secret].concat());
            // Without the characters that depend on what stands before and behind.
            encoded.as_bytes()[(shift * 8).div_ceil(6)..(shift + secret.len()) * 8 / 6].to_vec()
        });
        std::iter::once(secret.to_vec()).chain(shifted).collect::<Vec<_>>()
    };
    let is_in = |secret: &[u8]| {
        needles(secret).iter().any(|needle| octets.windows(needle.len()).any(|piece| piece == needle.as_slice()))
    };
    let mut all: Vec<&'static str> = PLANTED.into_iter().filter(|secret| is_in(secret.as_bytes())).collect();
    if is_in(&KEY_BEGINS) {
        all.push("a private key");
    }
    all
}

fn found_in(path: &Path) -> Vec<&'static str> {
    found(&fs::read(path).expect("a file that can be read"))
}

#[test]
fn the_search_finds_what_is_there() {
    for secret in PLANTED {
        for before in ["", "a", "ab", "abc"] {
            let text = format!("{before}{secret}behind");
            assert_eq!(found(text.as_bytes()), [secret]);
            assert_eq!(found(STANDARD.encode(text).as_bytes()), [secret], "{before:?} in base64");
        }
    }
    assert_eq!(found(b"nothing of the kind"), [""; 0]);
}

#[test]
fn a_sealed_file_gives_no_secret_away() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let key = key(folder.path());
    let left = used(folder.path(), &key.each_ref().map(String::as_str));
    let backups = left.iter().filter(|path| path.extension().is_some_and(|ending| ending == "redb")).count();
    assert!(backups >= 3, "the file and two copies: {left:?}");
    for path in left {
        assert_eq!(found_in(&path), [""; 0], "{}", path.display());
    }
    // The negative control: without a key the same search finds all three, in the file and in the copies.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let all = [PLANTED[0], PLANTED[1], "a private key"];
    let left = used(folder.path(), &[]);
    let holding: Vec<_> = left.iter().filter(|path| found_in(path) == all).collect();
    assert_eq!(holding.len(), backups, "{left:?}");
    let logs = left.iter().filter(|path| path.extension().is_some_and(|ending| ending == "log"));
    for log in logs {
        assert_eq!(found_in(log), [""; 0], "the log tells no secret: {}", log.display());
    }
}

#[test]
fn a_key_that_is_given_later_seals_what_was_there_once_the_file_is_compacted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    let backup = |name: &str| {
        let copy = path(name);
        pillarbox(folder.path(), &["backup", copy.to_str().expect("a path that is UTF-8")]);
        copy
    };
    let all = [PLANTED[0], PLANTED[1], "a private key"];
    let site = Site::serve(folder.path(), &[]);
    plant(&site);
    assert_eq!(found_in(&backup("before.redb")), all);
    assert!(site.stop().success());
    let data = data_file(folder.path());
    assert_eq!(found_in(&data), all);
    let key = key(folder.path());
    let site = Site::serve(folder.path(), &key.each_ref().map(String::as_str));
    let told = |site: &Site| {
        let checks = site.rest("GET", "/api/v1/overview", "").1["checks"].clone();
        let secrets = checks.as_array().and_then(|checks| checks.iter().find(|check| check["id"] == "secrets"));
        secrets.expect("the overview has the check")["state"].clone()
    };
    assert_eq!(told(&site), "warning", "free room in the file may hold them");
    pillarbox(folder.path(), &["compact"]);
    assert_eq!(told(&site), "ok");
    assert_eq!(found_in(&data), [""; 0], "also while the server runs");
    assert_eq!(found_in(&backup("after.redb")), [""; 0]);
    pillarbox(folder.path(), &["backup", "create", "--wait"]);
    assert!(site.stop().success());
    let left = files(folder.path());
    assert!(
        left.iter().filter(|path| path.extension().is_some_and(|ending| ending == "redb")).count() >= 4,
        "{left:?}"
    );
    for path in left.iter().filter(|path| !path.ends_with("before.redb")) {
        assert_eq!(found_in(path), [""; 0], "{}", path.display());
    }
    // What is sealed is still what it was: it opens with the key.
    let site = Site::serve(folder.path(), &key.each_ref().map(String::as_str));
    for path in ["/api/v1/routes/smarthost", "/api/v1/turn/peers/branch"] {
        assert_eq!(site.rest("GET", path, "").1["auth"]["secret"]["set"], true, "{path}");
    }
    assert!(site.stop().success());
    site::check(&data);
}

#[test]
fn a_backup_opens_with_its_key_or_without_its_secrets() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let flags = key(folder.path());
    let flags = flags.each_ref().map(String::as_str);
    used(folder.path(), &flags);
    let copy = folder.path().join("copy.redb");
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    pillarbox(elsewhere.path(), &["restore", copy.to_str().expect("a path that is UTF-8")]);
    let secrets = |site: &Site| {
        let set = |path: &str| site.rest("GET", path, "").1["auth"]["secret"]["set"].clone();
        let version = site.rest("GET", "/api/v1/version", "").1["secrets"].clone();
        (set("/api/v1/routes/smarthost"), set("/api/v1/turn/peers/branch"), version)
    };
    // Without the key it does not start, and says what it is about; another key is none.
    let other = elsewhere.path().join("other");
    pillarbox(elsewhere.path(), &["key", "create", other.to_str().expect("a path that is UTF-8")]);
    let refused = |flags: &[&str], word: &str| {
        let output = Site::command("serve", elsewhere.path(), flags).output().expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(6), "{said}");
        for word in [word, "certificate mx.example.test", "route smarthost", "peer branch", "--without-key"] {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert_eq!(said.trim_end().lines().count(), 1, "one line: {said}");
    };
    refused(&[], "no key is given");
    refused(&["--key-file", other.to_str().expect("a path that is UTF-8")], "not in the key file");
    let site = Site::serve(elsewhere.path(), &flags);
    assert_eq!(secrets(&site), (true.into(), true.into(), "sealed".into()));
    assert!(site.stop().success());
    // The key is changed: what was sealed with the old one is sealed with the new one.
    pillarbox(elsewhere.path(), &["key", "rotate", flags[1]]);
    let site = Site::serve(elsewhere.path(), &flags);
    assert_eq!(secrets(&site), (true.into(), true.into(), "sealed".into()));
    assert!(site.stop().success());
    let new = fs::read_to_string(flags[1]).expect("the key file");
    fs::write(flags[1], new.lines().take(2).collect::<Vec<_>>().join("\n")).expect("the old key is taken out");
    let site = Site::serve(elsewhere.path(), &flags);
    assert_eq!(secrets(&site), (true.into(), true.into(), "sealed".into()));
    assert!(site.stop().success());
    // The key is lost: the secrets are dropped, once, and the log says which.
    let site = Site::serve(elsewhere.path(), &["--without-key"]);
    assert_eq!(secrets(&site), (false.into(), false.into(), "plain".into()));
    assert!(site.stop().success());
    let log = fs::read_to_string(elsewhere.path().join("stderr.log")).expect("the log");
    for name in ["certificate mx.example.test", "route smarthost", "peer branch"] {
        let line = log.lines().find(|line| line.contains("secret_dropped") && line.contains(name));
        assert!(line.is_some(), "{name}: {log}");
    }
    let site = Site::serve(elsewhere.path(), &[]);
    plant(&site);
    assert_eq!(secrets(&site), (true.into(), true.into(), "plain".into()));
    assert!(site.stop().success());
    site::check(&data_file(elsewhere.path()));
}

/// Starts the server by way of `change`, waits for its ready file, and hands it to `look`.
fn with_server(folder: &Path, change: impl Fn(&Command) -> Command, look: impl FnOnce(u32)) {
    let line = Site::command("serve", folder, &["--hostname", "mx.example.test"]);
    let log = File::create(folder.join("stderr.log")).expect("the log file opens");
    let mut child = Guarded(change(&line).stdin(Stdio::null()).stderr(log).spawn().expect("the program starts"));
    let deadline = Instant::now() + Duration::from_secs(60);
    while !folder.join("ready.json").exists() {
        let ended = child.0.try_wait().expect("a child can be asked");
        let log = fs::read_to_string(folder.join("stderr.log")).unwrap_or_default();
        assert!(ended.is_none() && Instant::now() < deadline, "it starts: {ended:?} {log}");
        std::thread::sleep(Duration::from_millis(2));
    }
    look(child.0.id());
    assert!(child.0.try_wait().expect("a child can be asked").is_none(), "it runs until it is killed");
}

#[test]
fn what_the_server_makes_is_for_its_user_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("a folder");
    let without_umask = |line: &Command| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(line.get_program()).args(line.get_args());
        shell
    };
    with_server(&data, without_umask, |_| {
        pillarbox(&data, &["backup", "create", "--wait"]);
        pillarbox(&data, &["backup", data.join("copy").to_str().expect("a path that is UTF-8")]);
        key(&data);
        let made: Vec<PathBuf> = files(&data).into_iter().filter(|path| !path.ends_with("stderr.log")).collect();
        // The file, its socket, the ready file, a backup beside it, one that was fetched, the key.
        assert!(made.len() >= 6, "{made:?}");
        for path in made {
            let mode = fs::symlink_metadata(&path).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} has the mode {mode:o}", path.display());
        }
        let folders = fs::read_dir(&data).expect("a folder").map(|entry| entry.expect("an entry").path());
        for path in folders.filter(|path| path.is_dir()) {
            let mode = fs::metadata(&path).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} has the mode {mode:o}", path.display());
        }
    });
}

/// The files of a process in /proc belong to root, and not to its user, once no core file of it may be written.
#[test]
fn a_crash_leaves_no_core_file() {
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        return site::say("SKIPPED: another user's process can be started by root alone");
    }
    let folder = tempfile::Builder::new().prefix("pillarbox-core-").tempdir_in("/tmp").expect("a temporary folder");
    std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("root may do so");
    // Where the binary lies may be out of that user's sight.
    let program = folder.path().join("pillarbox");
    fs::copy(binary(), &program).expect("the binary is copied");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("root may do so");
    let as_nobody = |line: &Command| {
        let mut line_as = Command::new(&program);
        line_as.args(line.get_args()).uid(NOBODY).gid(NOBODY);
        line_as
    };
    with_server(folder.path(), as_nobody, |pid| {
        let owner = |path: String| fs::metadata(path).expect("a process that runs").uid();
        assert_eq!((owner(format!("/proc/{pid}")), owner(format!("/proc/{pid}/mem"))), (NOBODY, 0));
    });
}
