//! Files of older schemas, with schemas of our own: what is there is migrated whole, or stays as it is.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::engine::Engine;
use super::fault::{FaultDisk, Operation};
use super::own::DAMAGED;
use super::tests::{NOTES, Note, SCHEMA, note, put, run};
use super::*;
use crate::base::{SeededRandom, Timestamp};

/// What version 4 makes of the notes, in their own table.
static MEASURED: Table<(u32, String), Measured> = Table::new("notes");
/// Where they stand from version 5 on.
static LINES: Table<(String, u32), Measured> = Table::new("lines");

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Measured {
    text: String,
    octets: u64,
}
crate::postcard_row!(Measured, 2);

static NEW: Schema = Schema {
    version: 5,
    tables: &[&LINES],
    checks: &[],
    migrations: &[FROM_3, Migration { run: Some(move_lines), ..FROM_4 }],
};
static MIDDLE: Schema = Schema { version: 4, tables: &[&MEASURED], checks: &[], migrations: &[FROM_3] };
/// Leads nowhere.
static BROKEN: Schema = Schema {
    version: 5,
    tables: &[&LINES],
    checks: &[],
    migrations: &[FROM_3, Migration { run: Some(fail), ..FROM_4 }],
};
/// Notes how far it is said to be.
static WATCHED: Schema =
    Schema { version: 4, tables: &[&MEASURED], checks: &[], migrations: &[Migration { run: Some(watch), ..FROM_3 }] };

const FROM_3: Migration = Migration { from: &SCHEMA, what: "notes are measured", run: Some(measure) };
const FROM_4: Migration = Migration { from: &MIDDLE, what: "notes stand by their names", run: Some(fail) };

fn measure(upgrade: &mut Upgrade<'_, '_>) -> Result<(), StoreError> {
    upgrade.each(&NOTES, |tx, key, Note(text)| {
        let octets = text.len() as u64;
        tx.put(&MEASURED, key, &Measured { text, octets })
    })
}

fn move_lines(upgrade: &mut Upgrade<'_, '_>) -> Result<(), StoreError> {
    upgrade.each(&MEASURED, |tx, (number, name), row| tx.put(&LINES, &(name.clone(), *number), &row))
}

fn fail(upgrade: &mut Upgrade<'_, '_>) -> Result<(), StoreError> {
    move_lines(upgrade)?;
    Err(StoreError::Storage("it is made to fail".into()))
}

static OPENING: Mutex<Option<Arc<Opening>>> = Mutex::new(None);
static SEEN: Mutex<Vec<Stage>> = Mutex::new(Vec::new());

fn watch(upgrade: &mut Upgrade<'_, '_>) -> Result<(), StoreError> {
    measure(upgrade)?;
    let stage = OPENING.lock().unwrap().as_ref().unwrap().stage();
    SEEN.lock().unwrap().push(stage);
    Ok(())
}

/// A folder with a file of version 3: more notes than are read at a time, and one that does not decode.
struct Site {
    folder: tempfile::TempDir,
    path: PathBuf,
}

/// Notes in it that decode.
const COUNT: u32 = 1500;

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mail.pbx");
        let site = Self { folder, path };
        let store = Store::open(site.options(), &SCHEMA).unwrap();
        store
            .write_blocking(run(|tx| {
                (0..COUNT).try_for_each(|number| tx.put(&NOTES, &(number, "a".into()), &note(&"x".repeat(9))))?;
                tx.put_bytes("notes", b"no key", b"\x01x")
            }))
            .unwrap()
            .into_inner();
        store.close();
        site
    }

    fn options(&self) -> Options {
        Options { disk_reserve_bytes: 0, disk_ballast_bytes: 0, ..Options::at(&self.path) }
    }

    fn octets(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn lines(read: &impl Read) -> Vec<(String, u32)> {
    let rows = read.rows(&LINES, Span::all(), usize::MAX).unwrap();
    assert!(rows.iter().all(|(_, row)| row.text == "x".repeat(9) && row.octets == 9));
    rows.into_iter().map(|(key, _)| key).collect()
}

fn is_old(options: Options) -> bool {
    let store = Store::open(options, &SCHEMA).unwrap();
    let rows = store.view().unwrap().rows(&NOTES, Span::all(), usize::MAX).unwrap();
    store.close();
    rows.len() == COUNT as usize && rows.iter().all(|(_, row)| *row == note(&"x".repeat(9)))
}

#[test]
fn rows_are_migrated_over_two_versions_behind_a_copy() {
    let site = Site::new();
    let before = site.octets();
    let opening = Arc::new(Opening::default());
    let store = Store::open(Options { opening: Arc::clone(&opening), ..site.options() }, &NEW).unwrap();
    assert_ne!(opening.stage(), Stage::Upgrading(99), "it is over");
    let view = store.view().unwrap();
    assert_eq!(lines(&view), (0..COUNT).map(|number| ("a".to_owned(), number)).collect::<Vec<_>>());
    // What could not be read is not lost with its table.
    let aside = view.rows(&DAMAGED, Span::all(), 9).unwrap();
    assert!(matches!(aside.as_slice(), [((table, 1), row)] if table == "notes" && row.key == b"no key"), "{aside:?}");
    drop(view);
    let mut counted = 0;
    let view = store.view().unwrap();
    for table in ["lines", "damaged", "counters", "meta"] {
        use redb::ReadableTable;
        let opened = view.transaction().open_table(redb::TableDefinition::<&[u8], &[u8]>::new(table)).unwrap();
        counted +=
            opened.iter().unwrap().map(Result::unwrap).map(|(k, v)| k.value().len() + v.value().len()).sum::<usize>();
    }
    drop(view);
    let known = store.health().live_bytes.unwrap();
    assert!(known.abs_diff(counted as u64) < 100, "{known} octets of rows, and there are {counted}");
    store.close();
    assert_eq!(verify(&site.options(), &NEW).unwrap().lines(), [] as [&str; 0]);
    assert_eq!(site.names(), ["mail.pbx", "mail.pbx.before-upgrade-3"]);
    let copy = site.beside("mail.pbx.before-upgrade-3");
    assert!(fs::read(&copy).unwrap() == before, "the copy is the file as it was");
    assert!(is_old(Options { disk_reserve_bytes: 0, ..Options::at(&copy) }));
    // It is done once; and an older program refuses it, and changes nothing.
    Store::open(site.options(), &NEW).unwrap().close();
    let upgraded = site.octets();
    for old in [&SCHEMA, &MIDDLE] {
        let refused = Store::open(site.options(), old).err().unwrap();
        assert!(matches!(refused, OpenError::Newer { found: 5, .. }), "{refused}");
    }
    assert!(site.octets() == upgraded && site.names().len() == 2);
}

#[test]
fn a_file_in_between_takes_the_rest_of_the_way() {
    let site = Site::new();
    Store::open(site.options(), &MIDDLE).unwrap().close();
    let store = Store::open(site.options(), &NEW).unwrap();
    assert_eq!(lines(&store.view().unwrap()).len(), COUNT as usize);
    assert_eq!(site.names(), ["mail.pbx", "mail.pbx.before-upgrade-3", "mail.pbx.before-upgrade-4"]);
}

#[test]
fn without_room_for_the_copy_nothing_is_changed() {
    let site = Site::new();
    let before = site.octets();
    let refused = Store::open(Options { disk_reserve_bytes: u64::MAX, ..site.options() }, &NEW).err().unwrap();
    assert!(matches!(refused, OpenError::NoRoom { free_bytes: 0, .. }), "{refused}");
    let line = refused.to_string();
    assert!(line.contains("mail.pbx.before-upgrade-3") && !line.contains('\n'), "{line}");
    assert!(site.octets() == before && site.names() == ["mail.pbx"]);
    assert!(is_old(site.options()));
}

#[test]
fn a_migration_that_fails_leaves_the_file_and_one_copy() {
    let site = Site::new();
    for _ in 0..3 {
        let refused = Store::open(site.options(), &BROKEN).err().unwrap();
        assert!(matches!(refused, OpenError::NotUpgraded { found: 3, .. }), "{refused}");
        assert!(refused.to_string().contains("it is made to fail"), "{refused}");
        assert!(is_old(site.options()));
        assert_eq!(site.names(), ["mail.pbx", "mail.pbx.before-upgrade-3"], "the copy that was made is good");
    }
    // The old program has gone on meanwhile: what it wrote is kept too, and the first copy stays.
    let first = fs::read(site.beside("mail.pbx.before-upgrade-3")).unwrap();
    let store = Store::open(site.options(), &SCHEMA).unwrap();
    store.write_blocking(put(COUNT, "a", &"x".repeat(9))).unwrap().into_inner();
    store.close();
    let store = Store::open(site.options(), &NEW).unwrap();
    assert_eq!(lines(&store.view().unwrap()).len(), COUNT as usize + 1);
    assert_eq!(site.names(), ["mail.pbx", "mail.pbx.before-upgrade-3", "mail.pbx.before-upgrade-3-2"]);
    assert!(fs::read(site.beside("mail.pbx.before-upgrade-3")).unwrap() == first);
}

#[test]
fn progress_is_told_and_an_upgrade_can_be_given_up() {
    let site = Site::new();
    let before = site.octets();
    let opening = Arc::new(Opening::default());
    opening.give_up();
    let given_up = Store::open(Options { opening, ..site.options() }, &WATCHED).err().unwrap();
    assert!(matches!(given_up, OpenError::Io { .. }), "{given_up}");
    assert!(site.octets() == before && site.names() == ["mail.pbx"]);
    let opening = Arc::new(Opening::default());
    *OPENING.lock().unwrap() = Some(Arc::clone(&opening));
    Store::open(Options { opening: Arc::clone(&opening), ..site.options() }, &WATCHED).unwrap().close();
    // At the end of its rows; what the file keeps for itself are some more.
    let seen = SEEN.lock().unwrap().clone();
    assert!(matches!(seen.as_slice(), [Stage::Upgrading(95..=99)]), "{seen:?}");
    assert_eq!(opening.stage(), Stage::Reading);
}

#[test]
fn what_only_looks_at_an_older_file_leaves_it_what_it_is() {
    let site = Site::new();
    let before = site.octets();
    let found = verify(&site.options(), &NEW).unwrap();
    assert_eq!(found.lines().len(), 1, "{found:?}");
    assert!(found.lines()[0].contains("table notes, key 6e6f206b6579: the key does not decode"), "{found:?}");
    let refused = Archive::open(&site.path, &NEW).err().unwrap();
    assert!(matches!(refused, OpenError::Older { found: 3, known: 5, .. }), "{refused}");
    assert!(site.octets() == before);
    // A repair mends it as the file that it is, and a restore puts it in place as that.
    let repaired = repair(&|| site.options(), &site.path, &site.beside("before"), &NEW, Timestamp(7)).unwrap();
    assert_eq!((repaired.mended.len(), repaired.left.lines().len()), (1, 0));
    assert!(is_old(site.options()));
    let other = site.beside("other");
    assert!(restore(&site.path, &other, &site.beside("aside"), &NEW).unwrap().lines().is_empty());
    let options = || Options { disk_reserve_bytes: 0, disk_ballast_bytes: 0, ..Options::at(&other) };
    assert!(is_old(options()));
    assert_eq!(lines(&Store::open(options(), &NEW).unwrap().view().unwrap()).len(), COUNT as usize);
    assert_eq!(site.names(), ["before", "mail.pbx", "other", "other.before-upgrade-3"]);
}

/// What a file on a test's disk holds: of the old version, or of the new one; never anything in between.
fn is_new(image: &[u8]) -> bool {
    let options = || Options::faulty(FaultDisk::holding(image.to_vec()), |_| {});
    match Engine::open(&options(), &SCHEMA) {
        Ok(engine) => {
            let rows = engine.view().unwrap().rows(&NOTES, Span::all(), usize::MAX).unwrap();
            assert_eq!(rows.len(), COUNT as usize);
            assert_eq!(engine.view().unwrap().rows(&LINES, Span::all(), 1).unwrap().len(), 0);
            false
        }
        Err(OpenError::Newer { found: 5, .. }) => true,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_crash_in_the_middle_leaves_the_one_version_whole_or_the_other() {
    let image = fs::read(&Site::new().path).unwrap();
    let random = SeededRandom::new(7);
    let disk = FaultDisk::holding(image.clone());
    Engine::open(&Options::faulty(Arc::clone(&disk), |_| {}), &NEW).unwrap().close();
    let steps: u64 =
        [Operation::Write, Operation::Sync, Operation::SetLen].into_iter().map(|what| disk.count(what)).sum();
    let (mut old, mut new) = (0, 0);
    for after in 0..steps {
        let disk = FaultDisk::holding(image.clone());
        disk.cut_power_after(after);
        let opened = Engine::open(&Options::faulty(Arc::clone(&disk), |_| {}), &NEW);
        if let Ok(engine) = opened {
            engine.close();
        }
        assert!(disk.is_dark(), "the power went in its course");
        for left in [disk.image(), disk.image_after_power_cut(&random), disk.image_after_power_cut(&random)] {
            *(if is_new(&left) { &mut new } else { &mut old }) += 1;
            let engine = Engine::open(&Options::faulty(FaultDisk::holding(left), |_| {}), &NEW).unwrap();
            assert_eq!(lines(&engine.view().unwrap()).len(), COUNT as usize, "cut after {after}");
        }
    }
    assert!(old > 10 && new > 2, "{old} old and {new} new of {steps} steps");
}

#[test]
fn where_rows_of_both_versions_are_read_the_number_rises_behind_a_copy() {
    const READ: Migration = Migration { run: None, ..FROM_3 };
    static BOTH: Schema = Schema { version: 4, tables: &[&NOTES], checks: &[], migrations: &[READ] };
    let site = Site::new();
    let before = site.octets();
    // A look into an old copy needs no upgrade.
    let archive = Archive::open(&site.path, &BOTH).unwrap();
    let notes = archive.read(|view| view.rows(&NOTES, Span::all(), usize::MAX)).unwrap();
    assert_eq!(notes.len(), COUNT as usize);
    drop(archive);
    assert!(site.octets() == before);
    let opened = Store::open(site.options(), &BOTH).unwrap();
    assert_eq!(opened.view().unwrap().rows(&NOTES, Span::all(), usize::MAX).unwrap().len(), COUNT as usize);
    opened.close();
    assert!(fs::read(site.beside("mail.pbx.before-upgrade-3")).unwrap() == before, "the way back");
    let refused = Store::open(site.options(), &SCHEMA).err().unwrap();
    assert!(matches!(refused, OpenError::Newer { found: 4, known: 3, .. }), "{refused}");
}

#[test]
fn the_version_stands_in_the_file_as_the_first_programs_wrote_it() {
    let store = Store::open(Options::memory(Arc::new(crate::base::SystemClock)), &SCHEMA).unwrap();
    let row = store.view().unwrap().get_bytes("meta", b"schema\0\0", <[u8]>::to_vec).unwrap();
    assert_eq!(row.as_deref(), Some([1, 3].as_slice()));
}

#[test]
fn a_version_that_brings_tables_alone_needs_no_copy() {
    static MORE: Schema = Schema { version: 4, tables: &[&NOTES, &LINES], checks: &[], migrations: &[] };
    let site = Site::new();
    let store = Store::open(site.options(), &MORE).unwrap();
    assert_eq!(store.view().unwrap().rows(&NOTES, Span::all(), usize::MAX).unwrap().len(), COUNT as usize);
    assert_eq!(site.names(), ["mail.pbx"]);
}
