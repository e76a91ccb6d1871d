//! What an archive of real mail takes of the disk, beside the same mail as Maildir.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use redb::{ReadableDatabase, ReadableTableMetadata, TableDefinition, TableHandle};

use crate::mails::{self, Mail};
use crate::site::{Site, data_file, say};
use crate::stand;

/// Hundredths of an octet of disk for an octet of mail, at most: indexes, traces and the directory included.
const PERCENT_MAX: u64 = 100;

/// All mails of the corpus go into one mailbox by IMAP; then the file is compacted while the server runs. What it takes
/// of the disk then, the room laid by for a full disk not counted, is no more than the mail has octets.
#[test]
fn an_archive_takes_no_more_of_the_disk_than_its_mail_has_octets() {
    let mails = mails::real();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    // What is laid by for a full disk is no part of the figure.
    let site = stand::serve(folder.path(), &["--set", "disk.ballast_bytes=0"]);
    stand::fill(&site, &mails);
    let before = allocated(&data_file(folder.path()));
    let (pause_ms, used_bytes) = compact(&site);
    assert!(site.stop().success());
    let file = data_file(folder.path());
    let (after, length) = (allocated(&file), fs::metadata(&file).expect("the file is there").len());
    if std::env::var_os("PILLARBOX_SIZE_TABLES").is_some() {
        tables(&file);
    }
    crate::site::check(&file);
    let octets: u64 = mails.iter().map(|mail| mail.content.len() as u64).sum();
    let maildir = maildir(&folder.path().join("maildir"), &mails);
    let ratio = |bytes: u64| bytes as f64 / octets as f64;
    say(&format!(
        "size: {} mails of {octets} octets: {:.3} octets of disk for each ({:.3} before the compaction, which held writers up \
         for {pause_ms:.1} ms), as Maildir {:.3}",
        mails.len(),
        ratio(after),
        ratio(before),
        ratio(maildir)
    ));
    assert!(
        after * 100 <= octets * PERCENT_MAX,
        "{after} octets of disk ({used_bytes} said), {length} long, for {octets}"
    );
}

/// Compacts the file of the running server: how many milliseconds writers waited, and what it takes of the disk.
fn compact(site: &Site) -> (f64, u64) {
    let (status, job) = site.rest("POST", "/api/v1/maintenance/compact", "");
    assert_eq!(status, 202, "{job}");
    let job = site.ended(&job);
    assert_eq!(job["state"], "succeeded", "{job}");
    let used = site.rest("GET", "/api/v1/overview", "").1["file_used_bytes"].as_u64();
    (job["result"]["pause_ms"].as_f64().expect("a pause"), used.expect("octets"))
}

fn allocated(file: &Path) -> u64 {
    fs::metadata(file).expect("the file is there").blocks() * 512
}

/// What the same mail takes in a file each, with the line ends of Maildir.
fn maildir(folder: &Path, mails: &[Mail]) -> u64 {
    let write = |(number, mail): (usize, &Mail)| -> io::Result<u64> {
        let path = folder.join(format!("1700000000.M{number}P1.mx.example.test:2,S"));
        let lines: Vec<&[u8]> = mail.content.split(|octet| *octet == b'\n').collect();
        let lines: Vec<&[u8]> = lines.into_iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
        fs::write(&path, lines.join(&b"\n"[..]))?;
        File::open(&path)?.sync_all()?;
        Ok(allocated(&path))
    };
    fs::create_dir(folder).expect("a folder");
    let files: u64 = mails.iter().enumerate().map(|mail| write(mail).expect("the mail is written")).sum();
    files + allocated(folder)
}

/// Prints what each table takes, for whoever looks for octets.
fn tables(file: &Path) {
    let database = redb::Database::open(file).expect("the file opens");
    let read = database.begin_read().expect("it is read");
    let mut lines: Vec<(u64, String)> = Vec::new();
    for table in read.list_tables().expect("tables") {
        let opened = read.open_table(TableDefinition::<&[u8], &[u8]>::new(table.name())).expect("a table opens");
        let stats = opened.stats().expect("it is counted");
        let (rows, wasted) = (opened.len().expect("it is counted"), stats.fragmented_bytes());
        let all = stats.stored_bytes() + stats.metadata_bytes() + wasted;
        lines.push((
            all,
            format!("{:>20} {rows:>8} rows {:>10} stored {wasted:>10} wasted", table.name(), stats.stored_bytes()),
        ));
    }
    lines.sort();
    lines.iter().rev().for_each(|(all, line)| say(&format!("size: {all:>10} {line}")));
}
