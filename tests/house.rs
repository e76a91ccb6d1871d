//! The rules of the house that the compiler does not know: who may import whom, who may name redb or read a clock,
//! why a dependency is there and under which licence, and which RFCs are kept.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "world/packages.rs"]
mod packages;

use packages::packages;

/// The floors, from the ground up; a room may import from lower floors and from rooms to its left.
const FLOORS: &[(&str, &[&str])] = &[
    ("F0", &["base", "telemetry"]),
    ("F1", &["sasl", "message", "smtp::wire", "smtp::machine", "smtp::machine::client", "imap::wire", "pop3::wire"]),
    ("F2", &["store"]),
    ("F3a", &["trace", "audit", "kept", "settings", "job", "tlspolicy", "tlsreport"]),
    ("F3b", &["directory", "dkim", "srs"]),
    ("F3c", &["mailbox", "search", "queue"]),
    ("F3d", &["trust", "turn"]),
    ("F3e", &["intake"]),
    ("F4a", &["tls", "dns", "net", "fetch"]),
    ("F4b", &["smtp::server", "smtp::client", "imap::server", "pop3::server", "sieve::server"]),
    ("F4c", &["delivery", "jobs", "exchange", "backup", "compaction", "rotation", "maintenance", "reporting"]),
    ("F5", &["http"]),
    ("F6", &["schema", "server", "cli", "main"]),
];

/// Floors whose rooms never import each other.
const APART: &[&str] = &["F3c", "F4b"];

/// The server's and the client's side of SMTP: no room of one imports a room of the other. `exchange` knows both.
const SIDES: [&[&str]; 2] = [&["smtp::machine", "smtp::server"], &["smtp::machine::client", "smtp::client"]];

/// These meet in the rooms below them, and never import each other on any floor.
const STRANGERS: &[&str] = &["smtp", "imap", "pop3", "sieve", "http"];

#[test]
fn rooms_import_from_below_or_from_their_left() {
    let mut wrong = Vec::new();
    for file in sources() {
        let tokens = tokens(&fs::read_to_string(&file).unwrap());
        let module = module_of(&file);
        let from = room_of(&module);
        for (line, path) in paths(&tokens, &module) {
            let Some(to) = room_of(&path) else { continue };
            let Some(from) = from else {
                wrong.push(format!("{}:{line}: lives in no room of the table", file.display()));
                continue;
            };
            if let Some(why) = forbidden(from, to) {
                let path = path.join("::");
                wrong.push(format!("{}:{line}: {} imports crate::{path}: {why}", file.display(), name(from)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_lives_in_a_room() {
    let homeless: Vec<_> = sources().into_iter().filter(|file| room_of(&module_of(file)).is_none()).collect();
    assert!(homeless.is_empty(), "not in the table of floors: {homeless:?}");
}

#[test]
fn only_the_store_names_redb() {
    assert_eq!(files_that_name(&["redb"], |room| name(room) != "store"), Vec::<String>::new());
}

#[test]
fn the_clock_is_passed_in() {
    let floor = |room: Room| FLOORS[room.0].0;
    assert_eq!(files_that_name(&["SystemTime", "::", "now"], |room| floor(room) != "F0"), Vec::<String>::new());
    // The store's threads wait for each other by the monotonic clock; nothing that is kept depends on it.
    let is_timeless = |room: Room| floor(room) == "F1" || floor(room).starts_with("F3");
    assert_eq!(files_that_name(&["Instant", "::", "now"], is_timeless), Vec::<String>::new());
}

#[test]
fn only_exchange_runs_a_connection_from_both_sides() {
    let serves = |path: &str| matches!(path, "smtp::server::serve");
    let drives = |path: &str| matches!(path, "smtp::client::drive");
    assert_eq!(rooms_that_name(serves), ["exchange"]);
    assert_eq!(rooms_that_name(drives), ["delivery", "exchange"]);
}

#[test]
fn outcomes_are_settled_in_one_place() {
    // The queue's own settle says what becomes of an entry, and makes no bounce: only `intake` may call it.
    assert_eq!(rooms_that_name(|path| path == "queue::settle"), ["intake"]);
    // `delivery` settles what it has tried, the REST interface what an operator has decided. `exchange` settles nothing:
    // a swapped session is `delivery`'s courier over another stream.
    assert_eq!(rooms_that_name(|path| path == "intake::Settle"), ["delivery", "http"]);
}

#[test]
fn an_attempt_is_opened_in_one_place() {
    assert_eq!(rooms_that_name(|path| path == "queue::Open"), ["delivery"]);
    assert_eq!(rooms_that_name(|path| path == "queue::Recover"), ["server"]);
}

#[test]
fn the_end_of_data_needs_an_open_attempt() {
    assert_eq!(rooms_that_name(|path| path.ends_with("::END_OF_DATA")), ["smtp::client"]);
    // The machine says it when the attempt is committed and the message is sent, and when nobody is to get it: `sent`
    // and `data_taken`. A third place would have to say why it may.
    let machine = files(&root().join("src/smtp/machine/client"), &|file| !is_test(file));
    let says = |file: &PathBuf| fs::read_to_string(file).unwrap().matches("vec![Effect::SendEnd").count();
    let names = |file: &PathBuf| fs::read_to_string(file).unwrap().matches("Effect::SendEnd").count();
    assert_eq!(machine.iter().map(says).sum::<usize>(), 2);
    assert_eq!(machine.iter().map(names).sum::<usize>(), 2);
}

#[test]
fn machines_and_parsers_do_no_io() {
    let in_f1 = |room: Room| FLOORS[room.0].0 == "F1";
    for word in ["async", "await", "tokio", "getrandom", "Instant", "SystemTime"] {
        assert_eq!(files_that_name(&[word], in_f1), Vec::<String>::new(), "{word}");
    }
    // A room inside another one has its lints.
    let is_inside = |room: &str| FLOORS[1].1.iter().any(|outer| room.starts_with(&format!("{outer}::")));
    for room in FLOORS[1].1.iter().filter(|room| !is_inside(room)) {
        let file = root().join("src").join(room.replace("::", "/")).join("mod.rs");
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for lint in ["indexing_slicing", "unwrap_used", "expect_used", "panic"] {
            assert!(text.contains("#![deny(") && text.contains(&format!("clippy::{lint}")), "{room} denies {lint}");
        }
    }
}

#[test]
fn every_test_target_is_a_part_of_all_tests() {
    let all = fs::read_to_string(root().join("tests/all")).unwrap();
    let mut targets = 0;
    for entry in fs::read_dir(root().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ext| ext == "rs") || path.join("main.rs").exists() {
            let target = path.file_stem().unwrap().to_str().unwrap().to_owned();
            assert!(all.contains(&format!("test_target {target}\n")), "tests/all does not run {target}");
            targets += 1;
        }
    }
    assert!(targets >= 7, "only {targets} test targets");
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (mut section, mut above, mut direct, mut silent) = ("", "", 0, Vec::new());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if section.ends_with("dependencies") && line.contains('=') && !line.starts_with([' ', '#', ']']) {
            direct += usize::from(section == "dependencies");
            if !above.starts_with("# ") {
                silent.push(line);
            }
        }
        above = line;
    }
    assert_eq!(silent, Vec::<&str>::new(), "no reason on the line above");
    assert!((1..=65).contains(&direct), "{direct} direct dependencies");
}

#[test]
fn every_licence_goes_with_ours() {
    let packages = packages();
    assert!(packages.len() > 50, "only {} packages", packages.len());
    for package in &packages {
        let (name, licence) = (&package["name"], package["license"].as_str().unwrap_or("none"));
        assert!(may_be_used(licence), "{name} is under {licence}");
    }
}

#[test]
fn a_licence_is_an_expression() {
    for good in ["MIT", "MIT OR Apache-2.0", "MIT/Apache-2.0", "MIT OR LGPL-2.1-or-later", "(MIT OR GPL-3.0) AND ISC"] {
        assert!(may_be_used(good), "{good}");
    }
    for bad in ["none", "GPL-3.0-or-later", "MIT AND GPL-2.0", "(MIT OR ISC) AND AGPL-3.0", "EUPL-1.2", "SSPL-1.0"] {
        assert!(!may_be_used(bad), "{bad}");
    }
}

#[test]
fn every_rfc_that_is_kept_is_cited_and_tested() {
    let table = fs::read_to_string(root().join("tests/rfc.txt")).unwrap();
    let readme = fs::read_to_string(root().join("README.md")).unwrap_or_default();
    let code: String = sources().iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let (code, tests_in_code) = (code.as_str(), tests_in(&code));
    let tests: String = files(&root().join("tests"), &|path| path.file_name() != Some("rfc.txt".as_ref()))
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .chain([tests_in_code])
        .collect();
    let mut missing = Vec::new();
    for row in table.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let (number, state) = (cells[1], cells[3]);
        assert!(["yes", "partly", "no"].contains(&state), "{row}");
        if !readme.is_empty() && !readme.contains(row) {
            missing.push(format!("README.md has no line {row}"));
        }
        for (place, text) in [("code", code), ("a test", tests.as_str())] {
            if state == "yes" && !cites(text, number) {
                missing.push(format!("RFC {number} is kept, but not cited in {place}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

// What follows reads files.

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(files(&entry, wanted));
        } else if wanted(&entry) {
            found.push(entry);
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<PathBuf> {
    files(&root().join("src"), &|path| path.extension() == Some("rs".as_ref()) && !path.ends_with("src/lib.rs"))
}

/// `src/smtp/wire/mod.rs` → `smtp::wire`.
fn module_of(file: &Path) -> Vec<String> {
    let inside = file.strip_prefix(root().join("src")).unwrap().with_extension("");
    let mut module: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

/// A room: its floor's and its own place.
type Room = (usize, usize);

fn name(room: Room) -> &'static str {
    FLOORS[room.0].1[room.1]
}

fn room_of(path: &[String]) -> Option<Room> {
    let rooms = FLOORS.iter().enumerate().flat_map(|(floor, (_, rooms))| (0..rooms.len()).map(move |at| (floor, at)));
    // A protocol's own mod.rs stands with its highest room: `smtp` is a name for what is in it.
    let is_in = |room: &Room| {
        let room: Vec<&str> = name(*room).split("::").collect();
        room.iter().zip(path).all(|(a, b)| a == b) && (path.len() >= room.len() || path.len() == 1)
    };
    rooms.rev().find(is_in)
}

/// Which of [`SIDES`] a room belongs to.
fn side(room: Room) -> Option<usize> {
    SIDES.iter().position(|side| side.contains(&name(room)))
}

fn forbidden(from: Room, to: Room) -> Option<&'static str> {
    let top = |room: Room| name(room).split("::").next().unwrap();
    if from == to {
        None
    } else if top(from) != top(to) && STRANGERS.contains(&top(from)) && STRANGERS.contains(&top(to)) {
        Some("they never import each other")
    } else if matches!((side(from), side(to)), (Some(one), Some(other)) if one != other) {
        Some("they are two sides of one protocol")
    } else if to.0 > from.0 {
        Some("it is above")
    } else if to.0 == from.0 && APART.contains(&FLOORS[to.0].0) {
        Some("rooms of this floor never import each other")
    } else if to.0 == from.0 && to.1 > from.1 {
        Some("it is to the right")
    } else {
        None
    }
}

/// The rooms outside their own that name such a path, tests left out.
fn rooms_that_name(wanted: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut rooms = BTreeSet::new();
    for file in sources().into_iter().filter(|file| !is_test(file)) {
        let source = fs::read_to_string(&file).unwrap();
        let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let module = module_of(&file);
        let tokens = tokens(source);
        let named = imported(&tokens, &module);
        let Some(from) = room_of(&module) else { continue };
        if named.iter().any(|path| wanted(path) && room_of(&split(path)) != Some(from)) {
            rooms.insert(name(from));
        }
    }
    rooms.into_iter().collect()
}

fn split(path: &str) -> Vec<String> {
    path.split("::").map(str::to_owned).collect()
}

fn is_test(file: &Path) -> bool {
    file.ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests")
}

/// Every path of [`paths`], and those that begin with a name that such a path has imported: `use crate::queue; …
/// queue::settle(…)` names `queue::settle`.
fn imported(tokens: &[Token], module: &[String]) -> Vec<String> {
    let mut found: Vec<String> = paths(tokens, module)
        .into_iter()
        .map(|(_, path)| path.join("::"))
        .map(|path| path.strip_suffix("::self").map_or(path.clone(), str::to_owned))
        .collect();
    let known: Vec<(String, String)> =
        found.iter().filter_map(|path| path.rsplit("::").next().map(|last| (last.to_owned(), path.clone()))).collect();
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    for at in 0..tokens.len() {
        if text(at + 1) != "::" || (at > 0 && text(at - 1) == "::") {
            continue;
        }
        for (_, path) in known.iter().filter(|(last, _)| last == text(at)) {
            let (mut path, mut next) = (path.clone(), at + 2);
            loop {
                path = format!("{path}::{}", text(next));
                if text(next + 1) != "::" {
                    break;
                }
                next += 2;
            }
            found.push(path);
        }
    }
    found
}

fn files_that_name(words: &[&str], applies: impl Fn(Room) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in sources().into_iter().filter(|file| room_of(&module_of(file)).is_some_and(&applies)) {
        let tokens = tokens(&fs::read_to_string(&file).unwrap());
        let names = |tokens: &[Token]| tokens.iter().map(|token| token.text.as_str()).eq(words.iter().copied());
        if let Some(tokens) = tokens.windows(words.len()).find(|tokens| names(tokens)) {
            found.push(format!("{}:{}", file.display(), tokens[0].line));
        }
    }
    found
}

// What follows reads Rust: just enough of it to find paths.

struct Token {
    line: usize,
    text: String,
}

/// Words and punctuation, without comments, strings and characters.
fn tokens(source: &str) -> Vec<Token> {
    let (mut found, mut line, mut rest) = (Vec::new(), 1, source);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => string_length(rest),
            'r' | 'b' if raw_string_length(rest).is_some() => raw_string_length(rest).unwrap(),
            '\'' => character_length(rest),
            c if c.is_alphanumeric() || c == '_' => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                found.push(Token { line, text: rest[..end].to_owned() });
                end
            }
            ':' if rest.starts_with("::") => {
                found.push(Token { line, text: "::".to_owned() });
                2
            }
            c if c.is_whitespace() => c.len_utf8(),
            c => {
                found.push(Token { line, text: c.to_string() });
                c.len_utf8()
            }
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `r"…"`, `br#"…"#`; `b"…"` is read as the word b and a string.
fn raw_string_length(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let inside = rest[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = inside.find(&end)? + end.len();
    Some(text.len() - inside.len() + length)
}

/// A character, or the quote of a lifetime.
fn character_length(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((at, c))) => {
            let from = at + c.len_utf8();
            text[from..].find('\'').map_or(text.len(), |end| from + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// Every path that begins with `crate`, `super` or the crate's own name, from the crate's root on.
fn paths(tokens: &[Token], module: &[String]) -> Vec<(usize, Vec<String>)> {
    let (mut found, mut scopes, mut depth) = (Vec::new(), Vec::<(usize, String)>::new(), 0);
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    for at in 0..tokens.len() {
        match text(at) {
            "{" => {
                depth += 1;
                if at >= 2 && text(at - 2) == "mod" {
                    scopes.push((depth, text(at - 1).to_owned()));
                }
            }
            "}" => {
                scopes.retain(|(opened, _)| *opened != depth);
                depth -= 1;
            }
            "crate" | "pillarbox" if text(at + 1) == "::" && (at == 0 || text(at - 1) != "::") => {
                collect(tokens, at + 2, Vec::new(), &mut found);
            }
            "super" if text(at + 1) == "::" && (at == 0 || text(at - 1) != "::") => {
                let mut place: Vec<String> = module.to_vec();
                place.extend(scopes.iter().map(|(_, name)| name.clone()));
                let mut next = at;
                while text(next) == "super" {
                    place.pop();
                    next += 2;
                }
                collect(tokens, next, place, &mut found);
            }
            _ => {}
        }
    }
    found
}

/// Reads the path or the use tree that begins at `at`, and comes back with where it ends.
fn collect(tokens: &[Token], mut at: usize, mut path: Vec<String>, found: &mut Vec<(usize, Vec<String>)>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let line = tokens.get(at).map_or(0, |token| token.line);
    if text(at) == "{" {
        at += 1;
        while !matches!(text(at), "}" | "") {
            at = collect(tokens, at, path.clone(), found);
            while text(at) == "as" || text(at) == "," || (text(at) != "}" && text(at - 1) == "as") {
                at += 1;
            }
        }
        return at + 1;
    }
    path.push(text(at).to_owned());
    if text(at + 1) == "::"
        && (text(at + 2) == "{" || text(at + 2).starts_with(|c: char| c.is_alphabetic() || c == '_'))
    {
        return collect(tokens, at + 2, path, found);
    }
    found.push((line, path));
    at + 1
}

#[test]
fn paths_are_found() {
    let source = "use crate::{base::{Clock, Reply as R}, store::Tx};\n// crate::no\nlet x = \"crate::no\"; let c = '\"';\n\
                  fn f<'a>(x: &'a crate::net::Permit) {}\nmod tests { use super::super::tls; use super::own; }\nr#\"crate::no\"#";
    let module = ["smtp".to_owned(), "server".to_owned()];
    let seen: Vec<String> = paths(&tokens(source), &module).into_iter().map(|(_, path)| path.join("::")).collect();
    let expected =
        ["base::Clock", "base::Reply", "store::Tx", "net::Permit", "smtp::tls", "smtp::server::own"].map(String::from);
    assert_eq!(seen, expected);
}

#[test]
fn paths_behind_an_import_are_found() {
    let source = "use crate::{queue, smtp::{self, client::Plan}}; fn f() { queue::settle(); smtp::server::serve(); \
                  queue::row::x(); Plan::new(); unknown::y() }";
    let seen = imported(&tokens(source), &["intake".to_owned()]);
    for expected in ["queue::settle", "smtp::server::serve", "queue::row::x", "smtp::client::Plan::new"] {
        assert!(seen.iter().any(|path| path == expected), "{expected} in {seen:?}");
    }
    assert!(!seen.iter().any(|path| path.contains("unknown")), "{seen:?}");
}

#[test]
fn directions_are_known() {
    let room = |path: &str| room_of(&path.split("::").map(String::from).collect::<Vec<_>>()).unwrap();
    let check = |from: &str, to: &str, allowed: bool| {
        assert_eq!(forbidden(room(from), room(to)).is_none(), allowed, "{from} imports {to}");
    };
    check("intake", "mailbox::deliver", true);
    check("mailbox", "intake::Accept", false);
    check("net::permits", "tls::Facts", true);
    check("tls", "net::Connection", false);
    check("smtp::server::session", "smtp::machine::State", true);
    check("smtp::machine", "smtp::wire::Command", true);
    check("smtp::wire", "smtp::machine::State", false);
    check("smtp::machine", "smtp::server", false);
    check("pop3::wire", "smtp::wire", false);
    check("http::api", "smtp::server", false);
    check("smtp::server", "smtp::client", false);
    check("mailbox", "queue", false);
    check("smtp::client", "smtp::machine::client::State", true);
    check("smtp::client", "smtp::machine::State", false);
    check("smtp::server", "smtp::machine::client", false);
    check("smtp::machine::client", "smtp::machine::State", false);
    check("smtp::machine", "smtp::machine::client", false);
    check("smtp::machine::client", "smtp::wire::Framer", true);
    check("smtp::client", "queue::Outcome", true);
    check("delivery", "smtp::client::drive", true);
    check("exchange", "smtp::server::serve", true);
    check("exchange", "delivery::PeerCourier", true);
    check("delivery", "exchange", false);
    check("smtp::client", "delivery", false);
    check("intake", "queue::settle", true);
    check("queue", "intake::Settle", false);
    check("turn", "queue::ROUTE_TOPIC", true);
    check("turn", "intake", false);
    check("net", "dns::Resolver", true);
    check("cli", "server::Config", true);
    check("server", "cli", false);
    check("base::reply", "base::id", true);
}

// What follows reads licences and citations.

/// Whether an SPDX expression can be met without a licence that we do not take.
fn may_be_used(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    either(&words, &mut at)
}

fn either(words: &[&str], at: &mut usize) -> bool {
    let mut met = both(words, at);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= both(words, at);
    }
    met
}

fn both(words: &[&str], at: &mut usize) -> bool {
    let mut met = one(words, at);
    while matches!(words.get(*at), Some(&"AND" | &"WITH")) {
        let is_exception = words[*at] == "WITH";
        *at += 1;
        let next = one(words, at);
        met &= is_exception || next;
    }
    met
}

fn one(words: &[&str], at: &mut usize) -> bool {
    let word = words.get(*at).copied().unwrap_or("none");
    *at += 1;
    if word == "(" {
        let met = either(words, at);
        *at += 1;
        return met;
    }
    word != "none" && !["GPL", "EUPL", "SSPL"].iter().any(|banned| word.contains(banned))
}

/// The text of all test modules, from `#[cfg(test)]` to the end of its file: they stand last.
fn tests_in(code: &str) -> String {
    let files: BTreeSet<&str> = code.split("#[cfg(test)]").skip(1).collect();
    files.into_iter().collect()
}

fn cites(text: &str, number: &str) -> bool {
    let citation = format!("RFC {number}");
    text.match_indices(&citation).any(|(at, _)| !text[at + citation.len()..].starts_with(|c: char| c.is_ascii_digit()))
}
