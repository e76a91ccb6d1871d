use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use hyper::Method;
use serde_json::json;

use super::args::Output;
use super::client::Client;
use super::failure::Failure;
use super::{file, jobs, output, request};
use crate::http::path_segment;
use crate::schema::SCHEMA;
use crate::store::{CopyError, CopyOptions, CopyProgress, OpenError, Options, Store, give_name};

const BACKUPS: &str = "/api/v1/backups";
const COLUMNS: &[&str] = &["id", "origin", "made_at", "file_bytes", "disk_bytes", "path"];
/// What a list of the accounts in one shows, of their mailboxes, of the messages there.
const ACCOUNTS: &[&str] = &["address", "display_name", "messages", "size_bytes", "is_there"];
const MAILBOXES: &[&str] = &["name", "special_use", "messages", "size_bytes", "is_there"];
const MESSAGES: &[&str] = &["uid", "id", "at", "from", "subject", "size_bytes", "is_there"];
/// How long the server may take until the first octet of a copy comes: it makes and checks all of it before.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// Octets that are written or left out as one.
const BLOCK_BYTES: usize = 4096;

#[derive(Subcommand)]
pub enum BackupAction {
    /// Lists those that lie beside the data file, the newest first
    List {
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Shows one
    Show {
        /// Its id, as in daily-20261122T030000Z
        id: String,
    },
    /// Makes one beside the data file, and checks it
    Create {
        /// Without the free pages: smaller, and more work
        #[arg(long)]
        compact: bool,
        /// Waits for its end
        #[arg(long)]
        wait: bool,
    },
    /// Writes one into a file here
    Fetch {
        /// Its id
        id: String,
        /// The file; it must not be there yet
        file: PathBuf,
    },
    /// Lists the accounts in one
    Accounts {
        /// Its id
        id: String,
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Lists the mailboxes of an account in one
    Mailboxes {
        /// Its id
        id: String,
        /// The account's address
        account: String,
    },
    /// Lists the messages of a mailbox in one, the newest first
    Messages {
        /// Its id
        id: String,
        /// The account's address
        account: String,
        /// The mailbox
        #[arg(default_value = "INBOX")]
        mailbox: String,
        /// Only those with this in their From, To, Cc or Subject
        #[arg(long, value_name = "TEXT")]
        query: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Opens one and checks all of it once more
    Verify {
        /// Its id
        id: String,
        /// Waits for the end
        #[arg(long)]
        wait: bool,
    },
    /// Removes one
    Delete {
        /// Its id
        id: String,
    },
}

/// `pillarbox backup ACTION`
pub fn act(action: BackupAction, client: &Client, form: Output) -> Result<(), Failure> {
    match action {
        BackupAction::List { limit } => request::list(client, BACKUPS, &[], limit, COLUMNS, form),
        BackupAction::Show { id } => output::show(&client.send(Method::GET, &path(&id), &[], None)?.body, form),
        BackupAction::Create { compact, wait } => {
            let job = client.send(Method::POST, BACKUPS, &[], Some(&json!({"compact": compact})))?.body;
            jobs::started(job, wait, client, form)
        }
        BackupAction::Fetch { id, file } => fetch(client, &format!("{}/file", path(&id)), &file),
        BackupAction::Verify { id, wait } => {
            let job = client.send(Method::POST, &format!("{}/verify", path(&id)), &[], None)?.body;
            jobs::started(job, wait, client, form)
        }
        BackupAction::Accounts { id, limit } => {
            request::list(client, &format!("{}/accounts", path(&id)), &[], limit, ACCOUNTS, form)
        }
        BackupAction::Mailboxes { id, account } => {
            let answer = client.send(Method::GET, &mailboxes(&id, &account), &[], None)?.body;
            output::list(answer["items"].as_array().cloned().unwrap_or_default(), MAILBOXES, form)
        }
        BackupAction::Messages { id, account, mailbox, query, limit } => {
            let messages = format!("{}/{}/messages", mailboxes(&id, &account), path_segment(&mailbox));
            request::list(client, &messages, &[("q", query.as_deref())], Some(limit), MESSAGES, form)
        }
        BackupAction::Delete { id } => client.send(Method::DELETE, &path(&id), &[], None).map(drop),
    }
}

/// `pillarbox backup FILE`: through the running server; where none has the data file open, from the file itself.
pub fn make(to: &Path, compact: bool, data: &Path, is_local: bool, client: &Client) -> Result<(), Failure> {
    if to.exists() {
        return Err(exists(to));
    }
    let asked = fetch(client, &format!("/api/v1/backup?compact={compact}"), to);
    match asked {
        Err(Failure::Unreachable(_)) if is_local && data.exists() => copy(to, compact, data),
        asked => asked,
    }
}

/// A copy of a file that no server has open.
fn copy(to: &Path, compact: bool, data: &Path) -> Result<(), Failure> {
    let store = Store::open(Options { disk_ballast_bytes: 0, ..Options::at(data) }, &SCHEMA).map_err(Failure::Open)?;
    let mut is_said = false;
    let made = store.copy_to(to, CopyOptions { compact }, &mut |progress: CopyProgress| {
        if matches!(progress, CopyProgress::Checking(_)) && !std::mem::replace(&mut is_said, true) {
            eprintln!("pillarbox: the copy is written; it is being checked");
        }
        ControlFlow::Continue(())
    });
    store.close();
    made.map_err(|error| match error {
        CopyError::Exists(path) => exists(&path),
        CopyError::NotGood(what) => Failure::Damaged(what),
        CopyError::Io(error) => Failure::Open(OpenError::Io { path: to.to_owned(), error }),
        error => Failure::Failed(error.to_string()),
    })?;
    said(to)
}

/// Writes what the server gives into a file, and checks it before it gets its name.
fn fetch(client: &Client, path: &str, to: &Path) -> Result<(), Failure> {
    if to.exists() {
        return Err(exists(to));
    }
    let part = with_suffix(to, &format!(".{}.part", std::process::id()));
    let done = download(client, path, &part).and_then(|()| {
        file::check_quietly(&part)?;
        give_name(&part, to).map_err(|error| failed(to, error))
    });
    // Nothing can be done if it stays.
    let _ = fs::remove_file(&part);
    done.and_then(|()| said(to))
}

fn download(client: &Client, path: &str, part: &Path) -> Result<(), Failure> {
    let opened = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(part);
    let file = opened.map_err(|error| failed(part, error))?;
    let mut written_bytes = 0;
    client.patient(PATIENCE).stream(path, &[], |bytes| {
        write_what_is_no_hole(&file, written_bytes, bytes).map_err(|error| failed(part, error))?;
        written_bytes += bytes.len() as u64;
        Ok(true)
    })?;
    file.set_len(written_bytes).and_then(|()| file.sync_all()).map_err(|error| failed(part, error))
}

/// A data file has long runs of zeros: they take no room.
fn write_what_is_no_hole(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    for (block, start) in bytes.chunks(BLOCK_BYTES).zip((offset..).step_by(BLOCK_BYTES)) {
        if block.iter().any(|byte| *byte != 0) {
            file.write_all_at(block, start)?;
        }
    }
    Ok(())
}

fn said(to: &Path) -> Result<(), Failure> {
    let there = fs::metadata(to).map_err(|error| failed(to, error))?;
    output::print(&format!("{}: {} octets, opened and checked\n", to.display(), there.len()))
}

fn path(id: &str) -> String {
    format!("{BACKUPS}/{}", path_segment(id))
}

fn mailboxes(id: &str, account: &str) -> String {
    format!("{}/accounts/{}/mailboxes", path(id), path_segment(account))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn exists(path: &Path) -> Failure {
    Failure::Usage(format!("{} is there already: name another file, or remove it", path.display()))
}

fn failed(path: &Path, error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => Failure::Open(OpenError::Io { path: path.to_owned(), error }),
    }
}
