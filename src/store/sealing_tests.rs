use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::tests::{note, run};
use super::*;
use crate::base::{KeyRing, SeededRandom, SystemRandom};

static LOGINS: Table<String, Account> = Table::new("logins");
static OTHERS: Table<String, Account> = Table::new("others");
static SCHEMA: Schema =
    Schema { version: 3, tables: &[&LOGINS, &OTHERS, &super::tests::NOTES], checks: &[], migrations: &[] };

const SECRET: &str = "correct horse battery staple";

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Account {
    host: String,
    secret: String,
}
crate::postcard_row!(Account, 1, secret);

impl HoldsSecret for Account {
    const WHAT: &'static str = "login";
    fn secret(&self) -> Option<&[u8]> {
        Some(self.secret.as_bytes())
    }
    fn set_secret(&mut self, secret: &[u8]) -> Option<()> {
        self.secret = String::from_utf8(secret.to_vec()).ok()?;
        Some(())
    }
}

fn account(secret: &str) -> Account {
    Account { host: "smtp.example.net".into(), secret: secret.into() }
}

fn line(seed: u64) -> String {
    format!("{}\n", KeyRing::new_line(&SeededRandom::new(seed)).expose())
}

fn keys(lines: &str) -> Sealing {
    Sealing::Keys(KeyRing::parse(lines.as_bytes(), Arc::new(SystemRandom)).expect("a key"))
}

fn options(path: &Path, sealing: Sealing) -> Options {
    Options { disk_reserve_bytes: 0, sealing: Arc::new(sealing), ..Options::at(path) }
}

fn open(path: &Path, sealing: Sealing) -> Result<Store, OpenError> {
    Store::open(options(path, sealing), &SCHEMA)
}

fn put(store: &Store, name: &str, row: Account) -> Result<(), WriteError<std::convert::Infallible>> {
    let name = name.to_owned();
    store.write_blocking(run(move |tx| tx.put(&LOGINS, &name, &row))).map(Committed::into_inner)
}

fn secret(store: &Store, name: &str) -> Option<String> {
    store.view().unwrap().get(&LOGINS, &name.to_owned()).unwrap().map(|row| row.secret)
}

fn holds(path: &Path, text: &str) -> bool {
    std::fs::read(path).unwrap().windows(text.len()).any(|piece| piece == text.as_bytes())
}

/// A file that a store made and closed.
fn made(folder: &Path, sealing: Sealing) -> std::path::PathBuf {
    let path = folder.join("mail");
    let store = open(&path, sealing).unwrap();
    put(&store, "smarthost", account(SECRET)).unwrap();
    put(&store, "open", account("")).unwrap();
    store.close();
    path
}

#[test]
fn what_is_sealed_from_the_first_start_is_nowhere_in_the_file_nor_in_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let path = made(folder.path(), keys(&line(1)));
    let store = open(&path, keys(&line(1))).unwrap();
    assert_eq!((secret(&store, "smarthost").as_deref(), secret(&store, "open").as_deref()), (Some(SECRET), Some("")));
    assert!(matches!(store.secrets(), Secrets::Sealed { plain_until_compacted: false, .. }));
    let copy = folder.path().join("copy");
    store.copy_to(&copy, CopyOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(store.check().unwrap().lines(), [""; 0]);
    store.close();
    assert!(!holds(&path, SECRET) && !holds(&copy, SECRET));
    assert!(holds(&path, "smtp.example.net"), "the rest of the row can be read");
    // The negative control.
    let plain = tempfile::tempdir().unwrap();
    assert!(holds(&made(plain.path(), Sealing::Plain), SECRET));
}

#[test]
fn a_file_opens_with_its_key_alone_or_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let path = made(folder.path(), keys(&line(1)));
    let check = |sealing: Sealing, expected: &str| {
        let error = open(&path, sealing).err().expect("it is refused").to_string();
        assert!(error.contains(expected) && error.contains("login smarthost)"), "{error}");
    };
    let before = std::fs::read(&path).unwrap();
    check(Sealing::Plain, "no key is given: start with --key-file");
    check(keys(&line(2)), "not in the key file");
    assert_eq!(std::fs::read(&path).unwrap(), before, "a refused file is left as it is");
    assert!(matches!(verify(&options(&path, Sealing::Plain), &SCHEMA), Err(OpenError::Sealed { .. })));
    assert!(matches!(verify(&options(&path, keys(&line(2))), &SCHEMA), Err(OpenError::OtherKey { .. })));
    assert_eq!(verify(&options(&path, keys(&line(1))), &SCHEMA).unwrap().lines(), [""; 0]);
    assert_eq!(verify(&options(&path, Sealing::Untouched), &SCHEMA).unwrap().lines(), [""; 0]);
    // Dropped once, the file needs no key any more.
    let store = open(&path, Sealing::WithoutKey).unwrap();
    assert_eq!(secret(&store, "smarthost").as_deref(), Some(""));
    store.close();
    let store = open(&path, Sealing::Plain).unwrap();
    assert_eq!((secret(&store, "smarthost").as_deref(), store.secrets()), (Some(""), Secrets::Plain));
    put(&store, "smarthost", account("another")).unwrap();
    assert_eq!(secret(&store, "smarthost").as_deref(), Some("another"));
}

#[test]
fn a_key_is_given_later_and_changed_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = made(folder.path(), Sealing::Plain);
    assert!(holds(&path, SECRET));
    let (old, both) = (line(1), line(2) + &line(1));
    let sealed = |lines: &str, plain: bool| {
        let store = open(&path, keys(lines)).unwrap();
        assert_eq!(secret(&store, "smarthost").as_deref(), Some(SECRET));
        let Secrets::Sealed { plain_until_compacted, .. } = store.secrets() else { panic!("it is sealed") };
        assert_eq!(plain_until_compacted, plain);
        store.close();
    };
    sealed(&old, true);
    // It is known at the next start too, until somebody compacts the file.
    sealed(&old, true);
    assert!(open(&path, Sealing::Plain).is_err());
    sealed(&both, true);
    let store = open(&path, keys(&line(2))).unwrap();
    store.compact(&mut |_| ControlFlow::Continue(())).unwrap();
    assert!(matches!(store.secrets(), Secrets::Sealed { plain_until_compacted: false, .. }));
    store.close();
    assert!(!holds(&path, SECRET), "no page is left that held it");
    sealed(&line(2), false);
    assert!(open(&path, keys(&old)).is_err(), "nothing is left that the old key opens");
}

#[test]
fn a_row_that_was_moved_or_changed_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = made(folder.path(), keys(&line(1)));
    let store = open(&path, keys(&line(1))).unwrap();
    let bytes = |name: &str| {
        let key = view::encode_key(&name.to_owned());
        store.view().unwrap().get_bytes(LOGINS.name(), &key, <[u8]>::to_vec).unwrap().unwrap()
    };
    // Whoever writes the file can make the checksum of a row: it is the seal that has to hold.
    let whole = bytes("smarthost");
    let whole = row::contents(&whole).map(|(version, rest)| [&[version], rest].concat()).unwrap();
    let check = |table: &'static str, name: &str, row: Vec<u8>, fault: &str| {
        let key = view::encode_key(&name.to_owned());
        let row = row::close_row::<Account>(table, &key, row);
        store.write_blocking(run(move |tx| tx.put_bytes(table, &key, &row))).unwrap().into_inner();
        let view = store.view().unwrap();
        let read = view.get(if table == LOGINS.name() { &LOGINS } else { &OTHERS }, &name.to_owned());
        match read {
            Err(StoreError::Damaged { what, .. }) => assert!(what.contains(fault), "{name}: {what}"),
            other => panic!("{name}: {other:?}"),
        }
        let findings = store.check().unwrap();
        assert!(findings.lines().iter().any(|line| line.contains(fault)), "{:?}", findings.lines());
    };
    check(LOGINS.name(), "another", whole.clone(), "belongs elsewhere");
    check(OTHERS.name(), "smarthost", whole.clone(), "belongs elsewhere");
    let to_another_host = {
        let at = whole.windows(4).position(|piece| piece == b"smtp").expect("the host is in the clear");
        let mut row = whole.clone();
        row[at..at + 4].copy_from_slice(b"evil");
        row
    };
    check(LOGINS.name(), "led away", to_another_host, "belongs elsewhere");
    for cut in [1, 2, 20, whole.len() - 1] {
        check(LOGINS.name(), &format!("cut at {cut}"), whole[..cut].to_vec(), "");
    }
    // The length of the sealed part, the sealed part, the row behind it.
    for place in [1, 2, 10, 60, whole.len() - 1] {
        let mut row = whole.clone();
        row[place] ^= 0x20;
        check(LOGINS.name(), &format!("changed at {place}"), row, "");
    }
    assert_eq!(secret(&store, "smarthost").as_deref(), Some(SECRET));
}

#[test]
fn a_row_whose_secret_is_out_of_sight_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = made(folder.path(), keys(&line(1)));
    let store = open(&path, Sealing::Untouched).unwrap();
    assert_eq!(secret(&store, "smarthost").as_deref(), Some(""));
    assert!(matches!(put(&store, "smarthost", account("")), Err(WriteError::Damaged(_))));
    put(&store, "open", account("")).unwrap();
    store.write_blocking(super::tests::put(1, "a", "one")).unwrap().into_inner();
    assert_eq!(store.view().unwrap().get(&super::tests::NOTES, &(1, "a".into())).unwrap(), Some(note("one")));
    store.close();
    assert_eq!(secret(&open(&path, keys(&line(1))).unwrap(), "smarthost").as_deref(), Some(SECRET));
}

#[test]
fn a_draft_reads_what_it_seals() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("mail"), keys(&line(1))).unwrap();
    let tried = run(|tx| {
        let mut draft = tx.draft();
        draft.put(&LOGINS, &"a".to_owned(), &account(SECRET))?;
        let seen = draft.get(&LOGINS, &"a".to_owned())?.map(|row| row.secret);
        let last = draft.last(&LOGINS, Span::all())?.map(|(_, row)| row.secret);
        let draft = draft.into_draft();
        tx.adopt(draft)?;
        Ok((seen, last, tx.remove(&LOGINS, &"a".to_owned())?.map(|row| row.secret)))
    });
    let own = || Some(SECRET.to_owned());
    assert_eq!(store.write_blocking(tried).unwrap().into_inner(), (own(), own(), own()));
}

/// Flips a bit in this octet of a row, counted from its beginning or from its end, in a file that nobody has open.
fn spoil(path: &Path, table: &str, key: &str, octet: isize) {
    let key = super::view::encode_key(&key.to_owned());
    let database = redb::Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut rows = transaction.open_table(redb::TableDefinition::<&[u8], &[u8]>::new(table)).unwrap();
        let mut row = {
            use redb::ReadableTable;
            rows.get(key.as_slice()).unwrap().expect("the row is there").value().to_vec()
        };
        let place = if octet < 0 { row.len().saturating_add_signed(octet) } else { octet.unsigned_abs() };
        row[place] ^= 4;
        rows.insert(key.as_slice(), row.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
    database.close().unwrap();
}

/// Damages every page of the file in which the text stands, but for what says that it is one with rows: the storage engine
/// looks at that of all pages when a test opens the file.
fn tear(path: &Path, text: &str) {
    const PAGE_BYTES: usize = 4096;
    const HEAD_BYTES: usize = 4;
    let mut bytes = std::fs::read(path).unwrap();
    let is_there = |page: &[u8]| page.windows(text.len()).any(|piece| piece == text.as_bytes());
    let pages: Vec<&mut [u8]> = bytes.chunks_mut(PAGE_BYTES).filter(|page| is_there(page)).collect();
    assert!(!pages.is_empty(), "{text} is there");
    pages.into_iter().for_each(|page| page[HEAD_BYTES..].fill(0xff));
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_torn_page_of_secrets_costs_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = made(folder.path(), keys(&line(1)));
    let store = open(&path, keys(&line(1))).unwrap();
    let other = account(SECRET);
    store.write_blocking(run(move |tx| tx.put(&OTHERS, &"other".into(), &other))).unwrap().into_inner();
    store.close();
    tear(&path, "smarthost");
    for (sealing, known) in [(keys(&line(1)), Some(SECRET)), (Sealing::WithoutKey, Some(""))] {
        let store = open(&path, sealing).unwrap();
        let view = store.view().unwrap();
        assert!(matches!(view.get(&LOGINS, &"smarthost".into()), Err(StoreError::Damaged { .. })));
        assert_eq!(view.get(&OTHERS, &"other".into()).unwrap().map(|row| row.secret).as_deref(), known);
        drop(view);
        store.close();
    }
}

#[test]
fn no_key_leaves_a_secret_in_a_row_that_was_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = made(folder.path(), Sealing::Plain);
    // In its checksum.
    spoil(&path, "logins", "smarthost", -1);
    let untouched = || options(&path, Sealing::Untouched);
    let repaired =
        repair(&untouched, &path, &folder.path().join("before"), &SCHEMA, crate::base::Timestamp(7)).unwrap();
    assert_eq!((repaired.mended.len(), holds(&path, SECRET)), (1, true));
    let store = open(&path, keys(&line(1))).unwrap();
    assert!(matches!(store.secrets(), Secrets::Sealed { plain_until_compacted: true, .. }));
    let kept = store.view().unwrap().rows(&super::own::DAMAGED, Span::all(), 9).unwrap();
    assert!(matches!(kept.as_slice(), [((table, 1), aside)] if table == "logins" && aside.row.is_empty()), "{kept:?}");
    store.compact(&mut |_| ControlFlow::Continue(())).unwrap();
    store.close();
    assert!(!holds(&path, SECRET));
}

#[test]
fn a_damaged_row_keeps_no_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let path = made(folder.path(), keys(&line(1)));
    // In the id of the key that has sealed it: it is no other key's for that.
    spoil(&path, "logins", "smarthost", 6);
    spoil(&path, "meta", super::own::LIVE_BYTES, 1);
    let store = open(&path, keys(&line(1))).unwrap();
    assert!(matches!(store.view().unwrap().get(&LOGINS, &"smarthost".into()), Err(StoreError::Damaged { .. })));
}
