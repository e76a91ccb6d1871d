use std::path::Path;
use std::time::Duration;

use clap::Subcommand;
use hyper::Method;
use serde_json::{Value, json};

use super::args::{Output, Place};
use super::client::Client;
use super::failure::Failure;
use super::{file, jobs, output, request};
use crate::http::path_segment;

const RESTORE: &str = "/api/v1/restore";
const JOBS: &str = "/api/v1/jobs";
const ITEMS: &str = "/api/v1/restore/items";
/// What a dry run shows of the mailboxes.
const MAILBOXES: &[&str] = &["name", "into", "made", "messages", "size_bytes", "still_there", "obstacle"];

/// How often a server that starts again is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long it may not answer at all: then nobody has started it again.
const GONE: Duration = Duration::from_secs(60);

#[derive(Subcommand)]
pub enum RestoreAction {
    /// Shows the copy that takes the place of the data file at the next start
    Show {
        #[command(flatten)]
        place: Place,
    },
    /// Removes that copy: the data file stays as it is
    Drop {
        #[command(flatten)]
        place: Place,
    },
    /// Brings an account, a mailbox or messages back from a backup into the running server
    #[command(after_help = "What is still there stays as it is and is not doubled: it can be run again.\n\n\
        Examples:\n  pillarbox restore items daily-20261122T030000Z ann@example.org --mailbox Projects --wait\n  \
        pillarbox restore items daily-20261122T030000Z ann@example.org --query invoice --into Restored --dry-run")]
    Items(Box<Items>),
}

#[derive(clap::Args)]
pub struct Items {
    #[command(flatten)]
    place: Place,
    /// The backup's id, as `pillarbox backup list` shows it
    backup: String,
    /// The account's address; one that is gone is made again
    account: String,
    /// This mailbox alone
    #[arg(long, value_name = "NAME")]
    mailbox: Option<String>,
    /// The message with this UID in the backup's mailbox; repeatable
    #[arg(long, value_name = "UID", requires = "mailbox")]
    uid: Vec<u32>,
    /// The message with this id, as in m_0123456789abc
    #[arg(long, value_name = "ID")]
    message: Option<String>,
    /// Messages with this in their From, To, Cc or Subject
    #[arg(long, value_name = "TEXT")]
    query: Option<String>,
    /// What came in at this time or later (RFC 3339)
    #[arg(long, value_name = "TIME")]
    after: Option<String>,
    /// What came in before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    /// Into this mailbox instead of that in which it was
    #[arg(long, value_name = "NAME")]
    into: Option<String>,
    /// Says what would come back, and does nothing
    #[arg(long)]
    dry_run: bool,
    /// Waits for the end
    #[arg(long)]
    wait: bool,
}

/// `pillarbox restore ACTION`
pub fn act(action: RestoreAction) -> Result<(), Failure> {
    match action {
        RestoreAction::Show { place } => {
            output::show(&Client::new(&place)?.send(Method::GET, RESTORE, &[], None)?.body, place.output)
        }
        RestoreAction::Drop { place } => Client::new(&place)?.send(Method::DELETE, RESTORE, &[], None).map(drop),
        RestoreAction::Items(items) => restore_items(*items),
    }
}

/// `pillarbox restore FILE`: through the running server, which checks the copy and puts it in place at its next start; where
/// none has the data file open, at once.
pub fn put(copy: &Path, restart: bool, data: &Path) -> Result<(), Failure> {
    let place = Place { data: data.to_owned(), url: None, token: None, ca_file: None, output: Output::Table };
    let client = Client::new(&place)?;
    match client.send(Method::GET, RESTORE, &[], None) {
        Err(Failure::Unreachable(_)) => return file::restore(copy, data),
        answer => answer?,
    };
    let job = client.upload(&format!("{RESTORE}?restart={restart}"), "application/octet-stream", copy)?;
    if !restart {
        jobs::started(job, true, &client, place.output)?;
        return output::print("at its next start the server has the copy; `pillarbox restore drop` prevents that\n");
    }
    let id = job["id"].as_str().unwrap_or_default().to_owned();
    // Shows how far it is; when the server goes, how it ends is seen when it is back.
    let _ = jobs::watch(&job, &client);
    let mut waited = Duration::ZERO;
    let mut rest = |is_there: bool| {
        waited = if is_there { Duration::ZERO } else { waited + LOOK };
        std::thread::sleep(LOOK);
        waited < GONE
    };
    restarted(&id, &mut |path| Ok(client.send(Method::GET, path, &[], None)?.body), &mut rest)?;
    output::print("the server has started again with the copy\n")
}

/// Waits until a server has started again with what the job `id` restores, and knows it: the file from before the restore
/// has that job, and no other file does. `rest` is told whether somebody answers, and says whether to wait on.
fn restarted(
    id: &str,
    ask: &mut dyn FnMut(&str) -> Result<Value, Failure>,
    rest: &mut dyn FnMut(bool) -> bool,
) -> Result<(), Failure> {
    let path = format!("{JOBS}/{}", path_segment(id));
    let mut look = || {
        let job = ask(&path)?;
        // Who restarts between two questions has the other file behind it: the job is asked for once more.
        let is_over = job["state"] == "succeeded" && ask(RESTORE)?["staged"].is_null();
        if is_over { ask(&path).map(|job| (job, true)) } else { Ok((job, false)) }
    };
    loop {
        let (job, is_over) = match look() {
            Err(Failure::Refused(404, _)) => return Ok(()),
            Err(error @ (Failure::Unreachable(_) | Failure::Refused(503, _))) => {
                if rest(matches!(error, Failure::Refused(..))) {
                    continue;
                }
                return Err(Failure::Unreachable(format!(
                    "the server went away and did not come back: look at it, and at `pillarbox restore show` ({error})"
                )));
            }
            seen => seen?,
        };
        match job["state"].as_str() {
            Some("succeeded") if is_over => {
                let why =
                    "the server does not have the copy: it was dropped, or did not open at the start (see its log)";
                return Err(Failure::Failed(why.into()));
            }
            // At work, or about to stop.
            Some("queued" | "running" | "succeeded") => rest(true),
            state => {
                let problem = output::line(job["problem"]["detail"].as_str().unwrap_or("nothing more is known"));
                return Err(Failure::Failed(format!("the job {id} is {}: {problem}", state.unwrap_or("gone"))));
            }
        };
    }
}

fn restore_items(items: Items) -> Result<(), Failure> {
    let Items { place, backup, account, mailbox, uid, message, query, after, before, into, dry_run, wait } = items;
    let client = Client::new(&place)?;
    let selector = request::given([
        ("account", Some(account.into())),
        ("mailbox", mailbox.map(Value::from)),
        ("uids", (!uid.is_empty()).then(|| uid.into())),
        ("message", message.map(Value::from)),
        ("query", query.map(Value::from)),
        ("after", after.map(Value::from)),
        ("before", before.map(Value::from)),
    ]);
    let mut body = json!({"backup": backup, "selector": selector, "dry_run": dry_run});
    if let Some(into) = into {
        body["into"] = into.into();
    }
    let answer = client.send(Method::POST, ITEMS, &[], Some(&body))?.body;
    if dry_run { preview(answer, place.output) } else { jobs::started(answer, wait, &client, place.output) }
}

fn preview(mut answer: Value, output: Output) -> Result<(), Failure> {
    if output == Output::Table
        && let Some(fields) = answer.as_object_mut()
    {
        fields.remove("items");
    }
    output::show_with_list(answer, "mailboxes", MAILBOXES, output)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the answers of a server mean, one behind the other; the last one stays.
    fn check(answers: &[Result<Value, u16>], expected: Result<(), &str>) {
        let (mut asked, mut rests) = (0, 0);
        let mut ask = |_: &str| {
            let answer = answers[asked.min(answers.len() - 1)].clone();
            asked += 1;
            answer.map_err(|status| match status {
                0 => Failure::Unreachable("no server".into()),
                status => Failure::Refused(status, Value::Null),
            })
        };
        let mut rest = |is_there: bool| {
            rests += usize::from(!is_there);
            rests < 3
        };
        let seen = restarted("j_1", &mut ask, &mut rest).map_err(|failure| failure.to_string());
        match expected {
            Ok(()) => assert_eq!(seen, Ok(()), "{answers:?}"),
            Err(word) => assert!(seen.as_ref().is_err_and(|seen| seen.contains(word)), "{answers:?}: {seen:?}"),
        }
    }

    #[test]
    fn a_restart_is_a_success_when_the_file_is_the_other_one() {
        let job = |state: &str| Ok(json!({"state": state, "problem": {"detail": "it is damaged"}}));
        let (running, done, failed) = (job("running"), job("succeeded"), job("failed"));
        let (waits, none) = (Ok(json!({"staged": {}})), Ok(json!({"staged": null})));
        let (away, early, unknown) = (Err(0), Err(503), Err(404));
        check(&[running.clone(), done.clone(), waits.clone(), early.clone(), away.clone(), unknown.clone()], Ok(()));
        check(&[done.clone(), none.clone(), unknown], Ok(()));
        check(&[running.clone(), failed.clone()], Err("it is damaged"));
        // It was killed in the middle, and somebody has started it again, with the file that it had.
        check(&[running.clone(), away.clone(), failed], Err("failed"));
        check(&[done.clone(), waits, early, done.clone(), none, done], Err("does not have the copy"));
        check(&[running.clone(), away], Err("did not come back"));
        check(&[running, Err(403)], Err("a token that may do this"));
    }
}
