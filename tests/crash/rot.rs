//! Bits that rot on the disk: whatever is read of a damaged file is what was written, or an error that says so, and what
//! is not damaged is still there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use pillarbox::base::{Random, SeededRandom};
use pillarbox::schema::SCHEMA;
use pillarbox::store::{Options, Store, StoreError};
use pillarbox::{directory, mailbox};

use crate::imap::Imap;
use crate::kill::{count_from_environment, seed};
use crate::site::{self, Guarded, PASSWORD, Site, binary, data_file, say};
use crate::wire::{Pop3, Smtp};

/// Damaged files of one run; 1,000 on demand: `PILLARBOX_ROT`.
const FILES: u64 = 100;
/// Damaged pages that are given to the server; 1,000 on demand: `PILLARBOX_ROT_STARTS`.
const STARTS: u64 = 40;
/// A fault that no slow machine explains.
const START_LIMIT: Duration = Duration::from_secs(60);
/// One of so many is given to the real server.
const SERVED_ONE_IN: u64 = 20;
/// Octets of a page of the file.
const PAGE_BYTES: usize = 4096;

/// Message bodies of all kinds: in one frame, in several, of text and of noise.
fn bodies(random: &SeededRandom) -> Vec<String> {
    let word = |number: u64| format!("{:x} ", number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    [10, 300, 3_000, 20_000, 150_000, 400_000]
        .into_iter()
        .cycle()
        .take(24)
        .map(|bytes| {
            let mut text = String::new();
            while text.len() < bytes {
                text.extend((0..8).map(|_| word(random.next_u64() % 500)));
                text.push_str("\r\n");
            }
            text
        })
        .collect()
}

/// A file with mail in it, as a server left it, and each message as POP3 gives it.
fn written(folder: &Path, random: &SeededRandom) -> (Vec<u8>, Vec<Vec<u8>>) {
    let site = Site::serve(folder, &["--resolver", "127.0.0.1:9"]);
    site.create_accounts(&["alice".into(), "bob".into()]);
    let mut session = Smtp::connect(site.address("smtp")).expect("the server greets");
    for (number, body) in bodies(random).iter().enumerate() {
        let text = format!("Subject: {number}\r\nMessage-ID: <{number}@far.test>\r\n\r\n{body}");
        let to = ["alice@example.test", "bob@example.test"];
        session.submit("sender@far.test", &to[..1 + number % 2], text.as_bytes()).expect("it is taken");
    }
    let mut pop3 = Pop3::login(site.address("pop3"), "alice@example.test", PASSWORD).expect("alice logs in");
    let count = pop3.count().expect("STAT answers");
    let mails = (1..=count).map(|number| pop3.retrieve(number).expect("RETR answers")).collect();
    drop(pop3);
    assert!(site.stop().success());
    site::check(&data_file(folder));
    (fs::read(data_file(folder)).expect("the file is read"), mails)
}

/// Does damage: bits, pages, or the end.
fn rot(bytes: &mut Vec<u8>, random: &SeededRandom) -> String {
    let below = |count: usize| (random.next_u64() % count as u64) as usize;
    let page = |bytes: &[u8]| below(bytes.len() / PAGE_BYTES) * PAGE_BYTES;
    match random.next_u64() % 8 {
        0 => {
            let length = below(bytes.len());
            bytes.truncate(length);
            format!("cut to {length}")
        }
        1 => {
            let at = page(bytes);
            bytes[at..at + PAGE_BYTES].fill(0);
            format!("page at {at} zeroed")
        }
        2 => {
            let at = page(bytes);
            random.fill(&mut bytes[at..at + PAGE_BYTES]);
            format!("page at {at} is noise")
        }
        3 => {
            let (from, to) = (page(bytes), page(bytes));
            bytes.copy_within(from..from + PAGE_BYTES, to);
            format!("page at {to} is that at {from}")
        }
        flips => {
            let count = if flips == 4 { 1 } else { 64 };
            let places: Vec<usize> = (0..count).map(|_| below(bytes.len() * 8)).collect();
            places.iter().for_each(|bit| bytes[bit / 8] ^= 1 << (bit % 8));
            format!("bits {places:?} flipped")
        }
    }
}

fn run(arguments: &[&str], file: &Path) -> Output {
    let output = Command::new(binary()).args(arguments).arg(file).stdin(Stdio::null()).output().expect("it runs");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_some(), "{arguments:?} ended by a signal: {words}");
    output
}

/// What a run of the program says of a damaged file: 0 where the damage lies where nothing is, else 65.
fn check(file: &Path, what: &str) -> bool {
    let before = fs::read(file).expect("the file is read");
    let output = run(&["check"], file);
    let (out, words) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    match output.status.code() {
        Some(0) => {}
        Some(65) => assert!(words.contains("damaged") || words.contains("can't be opened"), "{what}: {out} {words}"),
        code => panic!("{what}: exit code {code:?}: {out} {words}"),
    }
    assert!(fs::read(file).expect("the file is read") == before, "{what}: a check has changed the file");
    output.status.success()
}

/// Every message of alice's that opens is one that she got; how many do, or why the file is refused. It is read by a process
/// of its own: at the close, the storage engine may abort where its record of free pages contradicts itself.
fn read_all(folder: &Path, what: &str) -> Result<usize, String> {
    let _ = fs::remove_file(folder.join(FOUND));
    let mut reader = Command::new(std::env::current_exe().expect("this program has a name"));
    reader.args(["rot::a_rotten_file_is_read_for_another_process", "--exact"]).env(ROTTEN, folder);
    let output = reader.stdin(Stdio::null()).output().expect("it runs");
    let found = fs::read_to_string(folder.join(FOUND));
    let found = found.unwrap_or_else(|_| panic!("{what}: {}", String::from_utf8_lossy(&output.stdout)));
    found.parse().map_err(|_| found)
}

/// Where the other process leaves how many it has read, or why it is refused.
const FOUND: &str = "found";
/// Where it finds the messages that came.
const MAILS: &str = "mails";
/// Tells it the folder.
const ROTTEN: &str = "PILLARBOX_ROTTEN";

#[test]
fn a_rotten_file_is_read_for_another_process() {
    // The test below sets it, for each of its files.
    let Some(folder) = std::env::var_os(ROTTEN).map(PathBuf::from) else { return };
    let mails: Vec<Vec<u8>> = fs::read_dir(folder.join(MAILS))
        .expect("the messages are there")
        .map(|mail| fs::read(mail.expect("a file").path()).expect("a message is read"))
        .collect();
    let options = Options {
        disk_reserve_bytes: 0,
        disk_ballast_bytes: 0,
        on_failure: Box::new(|_| {}),
        ..Options::at(&data_file(&folder))
    };
    let store = Store::open(options, &SCHEMA);
    // A file that does not open is restored from a backup.
    let found = match &store {
        Ok(store) => read_mailbox(store, &mails).unwrap_or_default().to_string(),
        Err(error) => error.to_string(),
    };
    fs::write(folder.join(FOUND), found).expect("it is written");
}

fn read_mailbox(store: &Store, mails: &[Vec<u8>]) -> Result<usize, StoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let address = pillarbox::base::Address::parse("alice@example.test").expect("an address");
    let mut read = 0;
    let listing = runtime.block_on(store.read(move |view| {
        let Some(account) = directory::account(view, &address)? else { return Ok(None) };
        let Some(inbox) = mailbox::inbox(view, account.id)? else { return Ok(None) };
        Ok(Some((inbox, mailbox::listing(view, inbox)?)))
    }))?;
    let Some((inbox, listing)) = listing else { return Ok(0) };
    for entry in listing {
        let whole = runtime.block_on(async {
            let Some(mut content) = mailbox::content(store, inbox, entry.uid)? else { return Ok(None) };
            let mut octets = Vec::new();
            while let Some(piece) = content.next().await? {
                octets.extend_from_slice(&piece);
            }
            Ok::<_, StoreError>(Some(octets))
        });
        if let Ok(Some(octets)) = whole {
            let is_one = mails.contains(&octets);
            assert!(is_one, "uid {} is none of the messages that came: {}", entry.uid, nearest(&octets, mails));
            read += 1;
        }
        // A part of it is what it was, or an error.
        let (first, count) = (entry.size_bytes / 2, 5_000);
        let part = runtime.block_on(async {
            let Some(mut content) = mailbox::content_range(store, inbox, entry.uid, first, count)? else {
                return Ok(None);
            };
            let mut octets = Vec::new();
            while let Some(piece) = content.next().await? {
                octets.extend_from_slice(&piece);
            }
            Ok::<_, StoreError>(Some(octets))
        });
        if let Ok(Some(octets)) = part {
            let is_one = |mail: &Vec<u8>| mail.get(first as usize..).is_some_and(|rest| rest.starts_with(&octets));
            assert!(mails.iter().any(is_one), "a part of uid {} is of none of the messages", entry.uid);
        }
    }
    Ok(read)
}

/// How a message differs from the one that it resembles most.
fn nearest(octets: &[u8], mails: &[Vec<u8>]) -> String {
    let alike = |mail: &&Vec<u8>| mail.iter().zip(octets).take_while(|(one, other)| one == other).count();
    let nearest = mails.iter().max_by_key(alike).expect("mail came");
    let at = alike(&nearest);
    let from = |text: &[u8]| String::from_utf8_lossy(&text[at..text.len().min(at + 80)]).into_owned();
    let (one, other) = (from(octets), from(nearest));
    format!("{one:?} instead of {other:?} at {at}, {} octets instead of {}", octets.len(), nearest.len())
}

/// The real server on the file, with `more` arguments: it serves what is sound, or says why it can't start. It is started once: after a kill, the
/// storage engine looks at all pages, and refuses what it had trusted.
fn serve(folder: &Path, more: &[&str], mails: &[Vec<u8>], what: &str) -> bool {
    let ready = folder.join("ready.json");
    let _ = fs::remove_file(&ready);
    let log = fs::File::create(folder.join("rot.log")).expect("the log file opens");
    let arguments = [&["--resolver", "127.0.0.1:9", "--hostname", "mx.example.test"], more].concat();
    let mut command = Site::command("serve", folder, &arguments);
    let mut child = Guarded(command.stdout(Stdio::null()).stderr(log).spawn().expect("it starts"));
    let deadline = Instant::now() + START_LIMIT;
    let listeners: Option<serde_json::Value> = loop {
        if let Ok(text) = fs::read_to_string(&ready) {
            break serde_json::from_str(&text).ok();
        }
        if let Some(status) = child.0.try_wait().expect("a child can be asked") {
            assert_eq!(
                status.code(),
                Some(65),
                "{what}: {}",
                fs::read_to_string(folder.join("rot.log")).unwrap_or_default()
            );
            break None;
        }
        assert!(Instant::now() < deadline, "{what}: it neither serves nor ends");
        std::thread::sleep(Duration::from_millis(2));
    };
    let served = listeners.is_some();
    let pop3 = listeners.and_then(|ready| ready["listeners"]["pop3"].as_str()?.parse().ok());
    if let Some(Ok(mut pop3)) = pop3.map(|pop3| Pop3::login(pop3, "alice@example.test", PASSWORD)) {
        for number in 1..=pop3.count().unwrap_or_default() {
            if let Ok(mail) = pop3.retrieve(number) {
                assert!(mails.contains(&mail), "{what}: POP3 gives what never came");
            }
        }
    }
    drop(child);
    let words = fs::read_to_string(folder.join("rot.log")).unwrap_or_default();
    assert!(!words.contains("panicked at src"), "{what}: the server panicked: {words}");
    served
}

#[test]
fn what_is_read_of_a_rotten_file_is_what_was_written_or_an_error() {
    let seed = seed();
    let random = SeededRandom::new(seed);
    let files = count_from_environment("PILLARBOX_ROT", FILES);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (sound, mails) = written(folder.path(), &random);
    fs::create_dir(folder.path().join(MAILS)).expect("a folder is made");
    for (number, mail) in mails.iter().enumerate() {
        fs::write(folder.path().join(MAILS).join(number.to_string()), mail).expect("a message is written");
    }
    let begun = Instant::now();
    let (mut harmless, mut refused, mut served, mut lost) = (0, 0, 0, 0);
    for number in 0..files {
        let mut bytes = sound.clone();
        let what = rot(&mut bytes, &random);
        let what = format!("file {number}, {what}");
        let file = data_file(folder.path());
        fs::write(&file, &bytes).expect("the file is written");
        harmless += u64::from(check(&file, &what));
        if number % SERVED_ONE_IN == 0 {
            served += u64::from(serve(folder.path(), &[], &mails, &what));
            fs::write(&file, &bytes).expect("the file is written");
        }
        match read_all(folder.path(), &what) {
            Ok(read) => lost += mails.len().saturating_sub(read),
            Err(error) => {
                refused += 1;
                let is_unchanged = fs::read(&file).expect("the file is read") == bytes;
                assert!(is_unchanged, "{what}: a refused file was changed: {error}");
            }
        }
    }
    say(&format!(
        "pillarbox: {files} rotten files of {} octets with {} messages of one account: {harmless} with the damage where nothing \
         is, {refused} refused, {served} of {} given to the server served, {lost} messages not readable, none wrong; {:?}",
        sound.len(),
        mails.len(),
        files.div_ceil(SERVED_ONE_IN),
        begun.elapsed()
    ));
    assert!(harmless < files, "no damage was seen");
    // A run of a few may meet nothing but files that do not open.
    if files >= FILES {
        let opened = usize::try_from(files - refused).expect("a small number") * mails.len();
        assert!(refused < files * 3 / 4, "nearly no file opens: {refused} of {files} are refused");
        assert!(lost < opened / 2, "of {opened} messages in files that open, {lost} can't be read");
    }
}

/// A small file is all tables, and the start reads most of them: each damaged page, one at a time, is given to the server.
#[test]
fn a_start_on_a_damaged_page_serves_or_says_that_the_file_is_damaged() {
    let random = SeededRandom::new(seed());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site = Site::serve(folder.path(), &["--resolver", "127.0.0.1:9"]);
    site.create_accounts(&["alice".into()]);
    assert!(site.stop().success());
    let file = data_file(folder.path());
    let sound = fs::read(&file).expect("the file is read");
    let is_used = |page: &usize| sound[page * PAGE_BYTES..][..PAGE_BYTES].iter().any(|octet| *octet != 0);
    let used: Vec<usize> = (0..sound.len() / PAGE_BYTES).filter(is_used).collect();
    let starts = count_from_environment("PILLARBOX_ROT_STARTS", STARTS) as usize;
    let wanted = folder.path().join("state.json");
    fs::write(
        &wanted,
        r#"{"domains": {"example.test": {}}, "accounts": {"alice@example.test": {"quota_bytes": 1000000000}}}"#,
    )
    .expect("it is written");
    let wanted = wanted.to_str().expect("a path");
    let (mut served, begun) = (0, Instant::now());
    for number in 0..starts {
        let at = used[number * used.len() / starts % used.len()] * PAGE_BYTES;
        let mut bytes = sound.clone();
        let page = &mut bytes[at..at + PAGE_BYTES];
        let how = match number % 4 {
            0 => {
                page.fill(0);
                "zeroed"
            }
            1 => {
                random.fill(page);
                "noise"
            }
            2 => {
                let from = used[(random.next_u64() % used.len() as u64) as usize] * PAGE_BYTES;
                page.copy_from_slice(&sound[from..from + PAGE_BYTES]);
                "another page"
            }
            _ => {
                (0..8).for_each(|_| {
                    let bit = (random.next_u64() % (PAGE_BYTES as u64 * 8)) as usize;
                    page[bit / 8] ^= 1 << (bit % 8);
                });
                "with 8 bits flipped"
            }
        };
        fs::write(&file, &bytes).expect("the file is written");
        // Half of them read a state first, by the way on which it is applied.
        let arguments = if number % 8 < 4 { &["--state", wanted] as &[&str] } else { &[] };
        served += usize::from(serve(folder.path(), arguments, &[], &format!("start {number}, page at {at} {how}")));
    }
    say(&format!(
        "pillarbox: {starts} starts on a file of {} pages with one damaged: {served} serve, the others say that the file is \
         damaged; {:?}",
        used.len(),
        begun.elapsed()
    ));
    assert!(served > 0 && served < starts, "{served} of {starts} served");
}

/// Flips a bit in the last row of a table; of the domains in the first, which is not that of most accounts.
fn spoil(file: &Path, table: &str) {
    let database = redb::Database::open(file).expect("it opens");
    let transaction = database.begin_write().expect("a transaction");
    {
        use redb::ReadableTable;
        let mut rows = transaction
            .open_table(redb::TableDefinition::<&[u8], &[u8]>::new(table))
            .unwrap_or_else(|error| panic!("{table}: {error}"));
        let chosen = if table == "domains" { rows.first() } else { rows.last() };
        let last = chosen.expect("it reads").map(|(key, row)| (key.value().to_vec(), row.value().to_vec()));
        let (key, mut row) = last.unwrap_or_else(|| panic!("{table} has rows"));
        let middle = row.len() / 2;
        row[middle] ^= 4;
        rows.insert(key.as_slice(), row.as_slice()).expect("it writes");
    }
    transaction.commit().expect("it commits");
    database.close().expect("it closes");
}

/// Where the pieces of bodies lie in a file that nobody has open.
fn pieces(file: &Path) -> BTreeSet<Vec<u8>> {
    use redb::{ReadableDatabase, ReadableTable};
    let database = redb::Database::open(file).expect("it opens");
    let bodies = redb::TableDefinition::<&[u8], &[u8]>::new("blob_data");
    let rows = database.begin_read().expect("a view").open_table(bodies).expect("the table opens");
    rows.iter().expect("it reads").map(|row| row.expect("it reads").0.value().to_vec()).collect()
}

/// A file with something in every table that a person fills: mail, and what waits in the queue.
fn furnished(folder: &Path) -> usize {
    let site = Site::serve(folder, &["--resolver", "127.0.0.1:9"]);
    crate::golden::fill(&site);
    let count = Pop3::count_of(site.address("pop3"), "alice@example.test", PASSWORD).expect("alice logs in");
    assert!(site.stop().success());
    count
}

/// The server on a file with damaged rows: whoever is not concerned notices nothing.
fn goes_on(folder: &Path, count: usize, spoilt: &[&str]) {
    let site = Site::serve(folder, &["--resolver", "127.0.0.1:9"]);
    for list in
        ["accounts", "domains", "aliases", "queue", "tokens", "routes", "turn/peers", "jobs", "settings", "overview"]
    {
        let (status, body) = site.rest("GET", &format!("/api/v1/{list}"), "");
        assert_eq!(status, 200, "{list} with {spoilt:?} damaged: {body}");
    }
    let mut session = Smtp::connect(site.address("smtp")).expect("the server greets");
    let mail = b"Subject: more\r\nMessage-ID: <more@far.test>\r\n\r\nmore\r\n";
    session.submit("sender@far.test", &["alice@example.test"], mail).expect("mail is taken");
    let mut pop3 = Pop3::login(site.address("pop3"), "alice@example.test", PASSWORD).expect("alice logs in");
    let there = pop3.count().expect("STAT answers");
    assert!(there >= count, "{there} of {count} messages with {spoilt:?} damaged");
    let read = (1..=there).filter(|number| pop3.retrieve(*number).is_ok()).count();
    assert!(read + 1 >= there, "{read} of {there} messages are read with {spoilt:?} damaged");
    let mut imap = Imap::login(site.address("imap"), "alice@example.test", PASSWORD).expect("alice logs in");
    for command in ["SELECT INBOX", "FETCH 1:* (FLAGS RFC822.SIZE)", "SEARCH SUBJECT more", "LIST \"\" *"] {
        let done = imap.command(command).expect("IMAP answers");
        assert_eq!(done.status.kind, "OK", "{command} with {spoilt:?} damaged: {}", done.status.text);
    }
    // A message that is damaged is told at the end; the others come.
    let fetched = imap.command("FETCH 1:* (BODY.PEEK[])").expect("IMAP answers");
    assert!(matches!(fetched.status.kind.as_str(), "OK" | "NO"), "{}", fetched.status.text);
    assert!(site.stop().success());
}

/// Damages a row of each of these tables: the server goes on, and a repair leaves the rest clean. What is left.
fn costs_itself(spoilt: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let count = furnished(folder.path());
    let file = data_file(folder.path());
    let bodies = pieces(&file);
    spoilt.iter().for_each(|table| spoil(&file, table));
    let found = run(&["check"], &file);
    let lines = String::from_utf8_lossy(&found.stdout).into_owned();
    assert_eq!(found.status.code(), Some(65), "{spoilt:?}: {lines}");
    for table in spoilt.iter().filter(|table| **table != "blob_data") {
        assert!(lines.contains(&format!("table {table}, key ")), "{table} is named: {lines}");
    }
    goes_on(folder.path(), count - 1, spoilt);
    let mended = run(&["check", "--repair"], &file);
    let told = String::from_utf8_lossy(&mended.stdout).into_owned();
    assert!(told.contains("mended: "), "{spoilt:?}: {told} {}", String::from_utf8_lossy(&mended.stderr));
    // What is left is said by both: messages that have lost a part of themselves, and bodies that may be a part of what
    // was damaged.
    let left: Vec<&str> = told.lines().filter(|line| !line.starts_with("mended: ")).collect();
    assert_eq!(mended.status.code(), run(&["check"], &file).status.code(), "{spoilt:?}: {left:?}");
    let is_lost =
        |line: &&&str| line.contains("its head is not") || line.contains("body ") || line.contains("its body is not");
    if mended.status.code() != Some(0) {
        let others: Vec<_> = left.iter().filter(|line| !is_lost(line)).collect();
        assert!(others.is_empty(), "{spoilt:?} leaves {others:?}");
    }
    let keeps_copy = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().contains(".before-repair-");
    let copies: Vec<_> =
        fs::read_dir(folder.path()).expect("the folder").filter_map(Result::ok).filter(keeps_copy).collect();
    assert_eq!(copies.len(), 1, "{spoilt:?}");
    copies.iter().for_each(|copy| fs::remove_file(copy.path()).expect("it is removed"));
    goes_on(folder.path(), count - 1, spoilt);
    assert!(pieces(&file).is_superset(&bodies), "{spoilt:?} costs bodies that are sound");
    left.join("\n")
}

#[test]
fn damaged_mail_costs_itself() {
    let left = costs_itself(&["messages", "queue", "trace", "jobs", "tokens", "aliases", "modseq_log"]);
    assert!(left.contains("and 0 messages point to it"), "{left}");
}

#[test]
fn damaged_lines_and_settings_cost_themselves() {
    costs_itself(&["own_lines", "routes", "turn_peers", "settings"]);
}

#[test]
fn damaged_heads_and_mailboxes_cost_themselves() {
    costs_itself(&["heads", "queue_heads", "mailboxes", "usage"]);
}

#[test]
fn damaged_accounts_and_bodies_cost_themselves() {
    costs_itself(&["blobs", "accounts", "credentials", "domains"]);
}

#[test]
fn damaged_pieces_of_bodies_and_counters_cost_themselves() {
    costs_itself(&["blob_data", "counters", "queue_messages"]);
}
