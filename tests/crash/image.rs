//! The power is cut: the server writes to an ext4 file system in an image, the image is copied as it is at one instant,
//! and what is in the copy is mounted, which replays its journal, checked and served.
//!
//! The image lies in another file system, which is frozen for the copy: so the copy holds every write that had ended by
//! then, and none that came after. Whoever may not mount (no root, no loop devices) is told that it was skipped.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pillarbox::base::{Random, SeededRandom};

use crate::kill::{count_from_environment, seed};
use crate::mails;
use crate::mounts::{self, run, text};
use crate::site::{self, PASSWORD, Site, data_file, say};
use crate::wire::{Pop3, Smtp, stuff};

/// Cuts of one run; 200 on demand: `PILLARBOX_IMAGE_CUTS`.
const CUTS: u64 = 2;
const SENDERS: u64 = 4;
const OUTER_BYTES: u64 = 3 << 30;
const INNER_BYTES: u64 = 2 << 30;
/// A fault that no slow machine explains.
const ACKNOWLEDGE_LIMIT: Duration = Duration::from_secs(60);

/// A file system in a file, mounted until it is dropped.
struct Image {
    place: PathBuf,
}

impl Image {
    /// A new one of `bytes`.
    fn make(file: &Path, place: &Path, bytes: u64) -> Result<Self, String> {
        std::fs::File::create(file).and_then(|file| file.set_len(bytes)).map_err(|error| error.to_string())?;
        run("mkfs.ext4", &["-q", "-F", text(file)])?;
        Self::mount(file, place)
    }

    fn mount(file: &Path, place: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(place).map_err(|error| error.to_string())?;
        run("mount", &["-o", "loop", text(file), text(place)])?;
        Ok(Self { place: place.to_owned() })
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        mounts::unmount(&self.place);
    }
}

/// A file system that takes no writes until this is dropped.
struct Frozen<'a>(&'a Path);

impl<'a> Frozen<'a> {
    fn freeze(place: &'a Path) -> Self {
        run("fsfreeze", &["--freeze", text(place)]).expect("it is frozen");
        Self(place)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        run("fsfreeze", &["--unfreeze", text(self.0)]).expect("it goes on");
    }
}

#[test]
fn what_was_acknowledged_is_there_after_the_power_was_cut() {
    let cuts = count_from_environment("PILLARBOX_IMAGE_CUTS", CUTS);
    let folder = mounts::folder();
    let at = |name: &str| folder.path().join(name);
    let outer = match Image::make(&at("outer.img"), &at("outer"), OUTER_BYTES) {
        Ok(outer) => outer,
        Err(why) => return say(&format!("SKIPPED: a cut of the power needs root and loop devices: {why}")),
    };
    let inner_file = outer.place.join("inner.img");
    let inner = Image::make(&inner_file, &at("inner"), INNER_BYTES).expect("what was mounted once is mounted again");
    let data = inner.place.join("data");
    std::fs::create_dir(&data).expect("a folder in the image");
    let random = SeededRandom::new(seed());
    let site = Site::serve(&data, &["--set", "disk.reserve_bytes=8388608"]);
    site.create_accounts(&["u0".to_owned()]);

    let (told, stop, pause) = (Mutex::new(Vec::new()), AtomicBool::new(false), AtomicBool::new(false));
    let (mut acknowledged, mut repaired) = (0, 0);
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        for sender in 0..SENDERS {
            let (site, told, stop, pause, seed) = (&site, &told, &stop, &pause, random.next_u64());
            scope.spawn(move || send(site, sender, seed, told, [stop, pause]));
        }
        let mut before = 0;
        for _ in 0..cuts {
            wait_for_more(&told, before);
            std::thread::sleep(Duration::from_millis(random.next_u64() % 1000));
            let expected: Vec<String> = told.lock().expect("no sender panicked").clone();
            before = expected.len();
            let copy = at("copy.img");
            {
                let _frozen = Frozen::freeze(&outer.place);
                run("cp", &["--sparse=always", text(&inner_file), text(&copy)]).expect("the image is copied");
            }
            // What comes in meanwhile would fill the image before many cuts are made.
            pause.store(true, Ordering::SeqCst);
            repaired += open_copy(&copy, &at("copy"), &expected);
            pause.store(false, Ordering::SeqCst);
            acknowledged += expected.len();
        }
    });
    drop(site);
    say(&format!(
        "pillarbox: the power was cut {cuts} times: each of {acknowledged} acknowledged messages was there, {repaired} files \
         needed a repair, every file was whole"
    ));
}

/// Waits until more messages than `before` are acknowledged.
fn wait_for_more(told: &Mutex<Vec<String>>, before: usize) {
    let deadline = Instant::now() + ACKNOWLEDGE_LIMIT;
    while told.lock().expect("no sender panicked").len() <= before {
        assert!(Instant::now() < deadline, "more than {before} messages are acknowledged");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Ends the senders however the test ends.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Sends until it is told to stop, not while it is told to pause, and notes the id in each 250.
fn send(site: &Site, sender: u64, seed: u64, told: &Mutex<Vec<String>>, [stop, pause]: [&AtomicBool; 2]) {
    let random = SeededRandom::new(seed);
    let mut session = Smtp::connect(site.address("smtp")).expect("the server greets");
    for number in 0.. {
        while pause.load(Ordering::SeqCst) && !stop.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let bytes = 1000 + (random.next_u64() % 20_000) as usize;
        let content = mails::of_size(&format!("cut.{sender}.{number}"), random.next_u64(), bytes);
        let reply = session.envelope("sender@load.test", &["u0@example.test"]).expect("a reply");
        assert_eq!(reply.code, 354, "{}", reply.text);
        let reply = session.message(&stuff(&content)).expect("a reply");
        let id = reply.text.split(' ').find(|word| word.starts_with("m_"));
        told.lock().expect("no sender panicked").push(id.unwrap_or_else(|| panic!("{}", reply.text)).to_owned());
        // Not to fill the image.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Opens what the cut left, and looks for the messages by their ids; how many repairs that took.
fn open_copy(copy: &Path, place: &Path, expected: &[String]) -> usize {
    let image = Image::mount(copy, place).expect("the copy's journal is replayed");
    let data = image.place.join("data");
    site::check(&data_file(&data));
    std::fs::remove_file(data.join("stderr.log")).expect("the log of the server that was cut off");
    let site = Site::serve(&data, &["--set", "disk.reserve_bytes=8388608"]);
    let mut session = Pop3::login(site.address("pop3"), "u0@example.test", PASSWORD).expect("the account logs in");
    let there = session.ids().expect("UIDL answers");
    let lost: Vec<&String> = expected.iter().filter(|id| there.binary_search(id).is_err()).collect();
    assert!(lost.is_empty(), "of {} messages {} are lost: {lost:?}", expected.len(), lost.len());
    session.quit().expect("QUIT answers");
    let repaired = crate::start::repairs(&data);
    assert!(site.stop().success(), "the server stops");
    drop(image);
    std::fs::remove_file(copy).expect("the copy is removed");
    repaired
}
