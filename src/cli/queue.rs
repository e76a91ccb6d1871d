use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;
use serde_json::{Value, json};

use super::args::Output;
use super::client::Client;
use super::failure::Failure;
use super::queue_rules::{self, RuleAction};
use super::request::{given, list, query, word};
use super::{jobs, output, watch};
use crate::http::path_segment;

/// What a list of entries shows.
const COLUMNS: &[&str] = &["id", "state", "sender", "recipient", "attempts", "next_attempt_at", "last.text"];
/// What the history of an entry shows.
const HISTORY: &[&str] = &["at", "kind", "actor", "mx", "code", "text"];
const QUEUE: &str = "/api/v1/queue";

#[derive(Subcommand)]
pub enum QueueAction {
    /// Lists the recipients that wait
    #[command(after_help = "Examples:\n  pillarbox queue list --state held\n  \
        pillarbox queue list --domain example.net --watch")]
    List {
        #[command(flatten)]
        which: Which,
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// Shows them again every other second
        #[arg(long)]
        watch: bool,
    },
    /// Shows an entry (q_…) with its history, or a message (m_…) with its recipients
    Show {
        /// The entry's or the message's id
        id: String,
    },
    /// Prints the header block of a message that is queued
    Headers {
        /// The message's id (m_…)
        id: String,
    },
    /// Prints a message that is queued, octet by octet
    Raw {
        /// The message's id (m_…)
        id: String,
    },
    /// Shows the queue in numbers
    Summary,
    /// Makes entries due at once
    Retry {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Holds entries until they are released
    Hold {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<String>,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// When they are released by themselves, as in 2027-01-31T00:00:00Z
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// Sends entries to another address elsewhere, or by another way
    Redirect {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<String>,
        /// The address
        #[arg(long, value_name = "ADDRESS", required_unless_present = "route")]
        to: Option<String>,
        /// The way for these entries alone: a route's name, or a server as in relay.example.org:25
        #[arg(long, value_name = "ROUTE|HOST")]
        route: Option<String>,
    },
    /// Ends the hold of entries: due at once
    Release {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Gives entries up and tells their senders so
    Bounce {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<String>,
        /// Why: the sender reads it
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Removes entries and tells nobody
    Drop {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<String>,
        /// Says that you know that the senders are not told
        #[arg(long)]
        silent: bool,
    },
    /// Holds or suspends mail by standing rules
    Rule {
        #[command(subcommand)]
        action: RuleAction,
    },
    /// Pauses all mail that goes out
    Pause {
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// When it ends by itself, as in 2027-01-31T00:00:00Z
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// Ends the pause
    Resume,
    /// Makes due at once what waits: all, or a part of it
    Flush {
        #[command(flatten)]
        part: Part,
        /// Counts, shows the first 20, and changes nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Does something to many entries, as a job
    Actions {
        /// What
        action: Bulk,
        /// This entry; repeatable
        #[arg(long = "id", value_name = "ID", conflicts_with_all = ["all"])]
        ids: Vec<String>,
        #[command(flatten)]
        which: Which,
        /// Every entry
        #[arg(long)]
        all: bool,
        /// Why: for hold and bounce
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// When a hold ends by itself: for hold
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Where they go: for redirect
        #[arg(long, value_name = "ADDRESS")]
        to: Option<String>,
        /// By which way they go: for redirect
        #[arg(long, value_name = "ROUTE|HOST")]
        route: Option<String>,
        /// Counts, shows the first 20, and changes nothing
        #[arg(long)]
        dry_run: bool,
        /// Waits for the end of the job
        #[arg(long)]
        wait: bool,
    },
}

/// Which entries; what is left out fits all.
#[derive(Args)]
pub struct Which {
    /// Only those in this state
    #[arg(long)]
    state: Option<State>,
    /// Only recipients of this domain
    #[arg(long)]
    domain: Option<String>,
    /// Only from this address; <> is the null sender
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// Only for this address
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<String>,
    /// Only what came in before, as in 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    /// Only what came in then or later
    #[arg(long, value_name = "TIME")]
    after: Option<String>,
}

/// A part of the queue, for a flush.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Part {
    /// Everything that waits for its next attempt
    #[arg(long)]
    all: bool,
    /// What goes to this domain, also when it waits for a peer
    #[arg(long)]
    domain: Option<String>,
    /// What comes from this address; <> is the null sender
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// What waits for this peer
    #[arg(long)]
    peer: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum State {
    Due,
    Waiting,
    InFlight,
    Held,
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Bulk {
    Retry,
    Hold,
    Release,
    Redirect,
    Bounce,
    Delete,
}

/// `pillarbox queue …`
pub fn act(action: QueueAction, client: &Client, output: Output) -> Result<(), Failure> {
    match action {
        QueueAction::List { which, limit, watch } => {
            let state = which.state.map(word);
            let parameters = [
                ("state", state.as_deref()),
                ("domain", which.domain.as_deref()),
                ("sender", which.sender.as_deref()),
                ("recipient", which.recipient.as_deref()),
                ("before", which.before.as_deref()),
                ("after", which.after.as_deref()),
            ];
            let list = || list(client, QUEUE, &parameters, limit, COLUMNS, output);
            if watch { watch::watch(output, list) } else { list() }
        }
        QueueAction::Show { id } => show(&id, client, output),
        QueueAction::Headers { id } => {
            let mut body = client.send(Method::GET, &content(&id, "headers"), &[], None)?.body;
            let fields = body["headers"].as_array_mut().map(std::mem::take).unwrap_or_default();
            output::list(fields, &["name", "value"], output)
        }
        QueueAction::Raw { id } => {
            client.stream(&content(&id, "raw"), &[], |octets| output::print_octets(octets).map(|()| true))
        }
        QueueAction::Summary => {
            let path = format!("{QUEUE}/summary");
            output::show(&client.send(Method::GET, &path, &[], None)?.body, output)
        }
        QueueAction::Retry { ids } => each(&ids, "retry", None, client, output),
        QueueAction::Release { ids } => each(&ids, "release", None, client, output),
        QueueAction::Hold { ids, reason, until } => {
            let body = given([("reason", Some(reason.into())), ("until", until.map(Value::from))]);
            each(&ids, "hold", Some(Value::Object(body)), client, output)
        }
        QueueAction::Redirect { ids, to, route } => {
            let body = given([("recipient", to.map(Value::from)), ("route", route.map(Value::from))]);
            each(&ids, "redirect", Some(Value::Object(body)), client, output)
        }
        QueueAction::Bounce { ids, reason } => each(&ids, "bounce", Some(json!({"reason": reason})), client, output),
        QueueAction::Drop { silent: false, .. } => Err(Failure::Usage(
            "the senders would not be told: say --silent if that is meant, or use `queue bounce`".into(),
        )),
        QueueAction::Drop { ids, .. } => ids.iter().try_for_each(|id| {
            let path = format!("{QUEUE}/{}?{}", path_segment(id), query(&[("confirm", Some("silent"))]));
            client.send(Method::DELETE, &path, &[], None).map(drop)
        }),
        QueueAction::Rule { action } => queue_rules::act(action, client, output),
        QueueAction::Pause { reason, until } => {
            let body = given([("reason", Some(reason.into())), ("until", until.map(Value::from))]);
            let path = format!("{QUEUE}/pause");
            output::show(&client.send(Method::PUT, &path, &[], Some(&Value::Object(body)))?.body, output)
        }
        QueueAction::Resume => client.send(Method::DELETE, &format!("{QUEUE}/pause"), &[], None).map(drop),
        QueueAction::Flush { part, dry_run } => {
            let path = format!("{QUEUE}/flush");
            let flushed = client.send(Method::POST, &path, &[], Some(&part.body(dry_run)))?.body;
            counted(flushed, output)
        }
        QueueAction::Actions { action, ids, which, all, reason, until, to, route, dry_run, wait } => {
            let selector = which.selector();
            let body = given([
                ("action", Some(word(action).into())),
                ("ids", (!ids.is_empty()).then(|| ids.into())),
                ("selector", selector.as_object().is_some_and(|fields| !fields.is_empty()).then_some(selector)),
                ("all", all.then_some(true.into())),
                ("reason", reason.map(Value::from)),
                ("until", until.map(Value::from)),
                ("recipient", to.map(Value::from)),
                ("route", route.map(Value::from)),
                ("dry_run", Some(dry_run.into())),
            ]);
            let path = format!("{QUEUE}/actions");
            let answer = client.send(Method::POST, &path, &[], Some(&Value::Object(body)))?.body;
            if dry_run { counted(answer, output) } else { jobs::started(answer, wait, client, output) }
        }
    }
}

impl Which {
    fn selector(self) -> Value {
        Value::Object(given([
            ("state", self.state.map(|state| word(state).into())),
            ("domain", self.domain.map(Value::from)),
            ("sender", self.sender.map(Value::from)),
            ("recipient", self.recipient.map(Value::from)),
            ("before", self.before.map(Value::from)),
            ("after", self.after.map(Value::from)),
        ]))
    }
}

impl Part {
    fn body(self, dry_run: bool) -> Value {
        if self.all {
            return json!({"all": true, "dry_run": dry_run});
        }
        let selector = given([
            ("domain", self.domain.map(Value::from)),
            ("sender", self.sender.map(Value::from)),
            ("peer", self.peer.map(Value::from)),
        ]);
        json!({"selector": selector, "dry_run": dry_run})
    }
}

fn show(id: &str, client: &Client, output: Output) -> Result<(), Failure> {
    let is_message = id.starts_with("m_");
    let folder = if is_message { "queue/messages" } else { "queue" };
    let path = format!("/api/v1/{folder}/{}", path_segment(id));
    let thing = client.send(Method::GET, &path, &[], None)?.body;
    if is_message {
        output::show_with_list(thing, "recipients", COLUMNS, output)
    } else {
        output::show_with_list(thing, "history", HISTORY, output)
    }
}

fn content(id: &str, part: &str) -> String {
    format!("{QUEUE}/messages/{}/{part}", path_segment(id))
}

/// Does the same to each, and shows them as they are then. The first refusal ends it.
fn each(ids: &[String], action: &str, body: Option<Value>, client: &Client, output: Output) -> Result<(), Failure> {
    let mut done = Vec::new();
    let mut failed = None;
    for id in ids {
        let path = format!("{QUEUE}/{}/{action}", path_segment(id));
        match client.send(Method::POST, &path, &[], body.as_ref()) {
            Ok(answer) => done.push(answer.body),
            Err(failure) => {
                failed = Some(failure);
                break;
            }
        }
    }
    if !done.is_empty() {
        let columns: &[&str] = if action == "bounce" { &["id", "message_id", "recipient"] } else { COLUMNS };
        output::list(done, columns, output)?;
    }
    failed.map_or(Ok(()), Err)
}

/// A count, and the first of what was counted where that is told.
fn counted(answer: Value, output: Output) -> Result<(), Failure> {
    if answer["items"].is_array() {
        return output::show_with_list(answer, "items", COLUMNS, output);
    }
    output::show(&answer, output)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        action: QueueAction,
    }

    fn parse(line: &str) -> Option<QueueAction> {
        Line::try_parse_from(line.split(' ')).ok().map(|line| line.action)
    }

    #[test]
    fn a_flush_names_one_part() {
        let check = |line: &str, expected: Option<Value>| {
            let seen = parse(line).map(|action| match action {
                QueueAction::Flush { part, dry_run } => part.body(dry_run),
                _ => panic!("{line}"),
            });
            assert_eq!(seen, expected, "{line}");
        };
        check("queue flush --all", Some(json!({"all": true, "dry_run": false})));
        check("queue flush --domain x.test", Some(json!({"selector": {"domain": "x.test"}, "dry_run": false})));
        check("queue flush --sender <> --dry-run", Some(json!({"selector": {"sender": "<>"}, "dry_run": true})));
        check("queue flush --peer branch", Some(json!({"selector": {"peer": "branch"}, "dry_run": false})));
        check("queue flush", None);
        check("queue flush --all --domain x.test", None);
        check("queue flush --domain x.test --peer branch", None);
    }

    #[test]
    fn a_selector_says_what_was_given() {
        let check = |line: &str, expected: Value| {
            let Some(QueueAction::Actions { which, .. }) = parse(line) else { panic!("{line}") };
            assert_eq!(which.selector(), expected, "{line}");
        };
        check("queue actions retry --all", json!({}));
        check("queue actions hold --reason x --state in_flight", json!({"state": "in_flight"}));
        check(
            "queue actions delete --sender <> --domain x.test --before 2027-01-31T00:00:00Z",
            json!({"sender": "<>", "domain": "x.test", "before": "2027-01-31T00:00:00Z"}),
        );
    }
}
