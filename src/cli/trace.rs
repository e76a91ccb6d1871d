use std::collections::HashMap;
use std::time::Duration;

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::Value;

use super::args::Output;
use super::client::Client;
use super::failure::Failure;
use super::output::{self, line};
use super::request::query;
use crate::base::limits;
use crate::http::path_segment;
use crate::trace::{Direction, Outcome};

const TRACE: &str = "/api/v1/trace";
/// How often `--watch` looks.
const LOOK: Duration = Duration::from_secs(1);
/// The newest stories that `--watch` looks at each time.
const WATCHED: usize = 100;

#[derive(Subcommand)]
pub enum TraceAction {
    /// Looks for messages, the newest first: what became of each in one sentence
    List {
        /// An address, a Message-ID, an id, an IP address, or a text in the replies of servers
        q: Option<String>,
        #[command(flatten)]
        which: Which,
        /// At most so many [default: 50]
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// Goes on and shows what is new, and what has become otherwise, until it is stopped
        #[arg(long, conflicts_with = "limit")]
        watch: bool,
    },
    /// Tells the story of a message (m_…) or of a refused transaction (t_…)
    Show {
        /// Its id
        id: String,
    },
    /// Shows what was said in an attempt, or before a refusal
    Transcript {
        /// The id of the message or of the refused transaction
        id: String,
        /// Which: the number that `show` gives [default: the last]
        number: Option<u32>,
    },
}

/// Which stories; what is left out fits all.
#[derive(Args)]
pub struct Which {
    /// Only from this address; <> is the null sender
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// Only for this address
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<String>,
    /// Only what began at this time or later, as in 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    after: Option<String>,
    /// Only what began before this time
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    /// Only with this outcome
    #[arg(long, value_parser = words(Outcome::ALL.iter().map(|value| value.as_str())))]
    outcome: Option<String>,
    /// Only in this direction
    #[arg(long, value_parser = words(Direction::ALL.iter().map(|value| value.as_str())))]
    direction: Option<String>,
}

fn words(all: impl Iterator<Item = &'static str>) -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(all)
}

/// `pillarbox trace …`
pub fn act(action: TraceAction, client: &Client, output: Output) -> Result<(), Failure> {
    match action {
        TraceAction::List { q, which, watch: true, .. } => watch(&parameters(q.as_ref(), &which), client, output),
        TraceAction::List { q, which, limit, .. } => {
            let stories = read(&parameters(q.as_ref(), &which), limit.unwrap_or(50), client)?;
            if output != Output::Table {
                return output::list(stories, &[], output);
            }
            if stories.is_empty() {
                eprintln!("none");
            }
            stories.iter().try_for_each(|story| output::print(&entry(story)))
        }
        TraceAction::Show { id } => {
            let story = get(&id, client)?;
            if output == Output::Table { output::print(&tell(&story)) } else { output::show(&story, output) }
        }
        TraceAction::Transcript { id, number } => transcript(&id, number, client, output),
    }
}

fn parameters<'a>(q: Option<&'a String>, which: &'a Which) -> Vec<(&'static str, Option<&'a str>)> {
    let of = |value: Option<&'a String>| value.map(String::as_str);
    vec![
        ("q", of(q)),
        ("sender", of(which.sender.as_ref())),
        ("recipient", of(which.recipient.as_ref())),
        ("after", of(which.after.as_ref())),
        ("before", of(which.before.as_ref())),
        ("outcome", of(which.outcome.as_ref())),
        ("direction", of(which.direction.as_ref())),
    ]
}

fn get(id: &str, client: &Client) -> Result<Value, Failure> {
    Ok(client.send(Method::GET, &format!("{TRACE}/{}", path_segment(id)), &[], None)?.body)
}

/// Page after page, at most `wanted` stories.
fn read(parameters: &[(&str, Option<&str>)], wanted: usize, client: &Client) -> Result<Vec<Value>, Failure> {
    let (mut items, mut cursor) = (Vec::new(), None::<String>);
    while items.len() < wanted {
        let limit = (wanted - items.len()).min(limits::PAGE_ITEMS_MAX).to_string();
        let mut all = vec![("limit", Some(limit.as_str())), ("cursor", cursor.as_deref())];
        all.extend_from_slice(parameters);
        let mut page = client.send(Method::GET, &format!("{TRACE}?{}", query(&all)), &[], None)?.body;
        items.extend(page["items"].as_array_mut().map(std::mem::take).unwrap_or_default());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    Ok(items)
}

/// Shows the stories of which there is something new to say, the oldest first, again and again.
fn watch(parameters: &[(&str, Option<&str>)], client: &Client, output: Output) -> Result<(), Failure> {
    let mut known: HashMap<String, String> = HashMap::new();
    let mut is_first = true;
    loop {
        let stories = read(parameters, WATCHED, client)?;
        for story in stories.iter().rev() {
            let (id, sentence) = (text(&story["id"]), text(&story["sentence"]));
            // What there was before is only shown once it changes.
            if known.insert(id, sentence.clone()).is_none_or(|before| before != sentence) && !is_first {
                match output {
                    Output::Table => output::print(&entry(story))?,
                    Output::Json => output::print(&format!("{story}\n"))?,
                    Output::Yaml => {
                        output::print("---\n")?;
                        output::show(story, output)?;
                    }
                }
            }
        }
        let ids: std::collections::HashSet<String> = stories.iter().map(|story| text(&story["id"])).collect();
        known.retain(|id, _| ids.contains(id));
        is_first = false;
        std::thread::sleep(LOOK);
    }
}

fn transcript(id: &str, number: Option<u32>, client: &Client, output: Output) -> Result<(), Failure> {
    let number = match number {
        Some(number) => u64::from(number),
        None => {
            let story = get(id, client)?;
            let events = story["events"].as_array();
            let last = events.and_then(|events| events.iter().rev().find_map(|event| event["transcript_id"].as_u64()));
            last.ok_or_else(|| Failure::Failed(format!("no dialogue was written down for {id}")))?
        }
    };
    let path = format!("{TRACE}/{}/transcripts/{number}", path_segment(id));
    let body = client.send(Method::GET, &path, &[], None)?.body;
    let dialogue = body.as_str().unwrap_or_default();
    if output != Output::Table {
        return output::show(&serde_json::json!({ "id": id, "n": number, "transcript": dialogue }), output);
    }
    output::print(&dialogue.lines().map(|one| format!("{}\n", line(one))).collect::<String>())
}

/// A story in a list: who wrote to whom, and below it what became of it.
fn entry(story: &Value) -> String {
    let recipients: Vec<String> = story["recipients"].as_array().into_iter().flatten().map(text).collect();
    let more = story["recipient_count"].as_u64().unwrap_or_default().saturating_sub(3);
    let to = match recipients.as_slice() {
        [] => "-".to_owned(),
        some => some.iter().take(3).cloned().collect::<Vec<_>>().join(", "),
    };
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(
        "{}  {}  {}  {} -> {to}{more}\n    {}\n",
        time(&story["at"]),
        text(&story["id"]),
        text(&story["outcome"]),
        sender(&story["sender"]),
        text(&story["sentence"]),
    )
}

/// A story: the sentence and the next step first, then each recipient, then what happened.
fn tell(story: &Value) -> String {
    let mut told = format!("{}\n", text(&story["verdict"]["sentence"]));
    told.push_str(&format!("Next: {}\n\n", text(&story["verdict"]["next_step"])));
    told.push_str(&format!("{}  from {}", text(&story["id"]), sender(&story["sender"])));
    if let Some(size) = story["size_bytes"].as_u64() {
        told.push_str(&format!(", {size} octets"));
    }
    if story["message_id"].is_string() {
        told.push_str(&format!(", Message-ID {}", text(&story["message_id"])));
    }
    told.push('\n');
    let recipients: Vec<&Value> = story["recipients"].as_array().into_iter().flatten().collect();
    for recipient in &recipients {
        told.push_str(&format!("  {}  {}", text(&recipient["address"]), text(&recipient["outcome"])));
        if recipient["queue_id"].is_string() {
            told.push_str(&format!("  {}", text(&recipient["queue_id"])));
        }
        told.push('\n');
        if recipients.len() > 1 {
            told.push_str(&format!(
                "    {}\n    Next: {}\n",
                text(&recipient["sentence"]),
                text(&recipient["next_step"])
            ));
        }
    }
    told.push('\n');
    for event in story["events"].as_array().into_iter().flatten() {
        told.push_str(&happened(event));
    }
    told
}

/// An event on a line.
fn happened(event: &Value) -> String {
    let mut words = vec![format!("{}  {:<12}", time(&event["at"]), text(&event["kind"])), text(&event["actor"])];
    let mut add = |before: &str, field: &str, behind: &str| {
        let value = &event[field];
        if !value.is_null() && value.as_str() != Some("") {
            words.push(format!("{before}{}{behind}", text(value)));
        }
    };
    add("", "recipient", "");
    add("in ", "mailbox", "");
    add("", "server", "");
    add("[", "peer_ip", "]");
    add("at ", "stage", "");
    add("", "code", "");
    add("", "enhanced", "");
    add("", "text", "");
    add("(dialogue ", "transcript_id", ")");
    format!("{}\n", words.join(" "))
}

fn sender(value: &Value) -> String {
    match value.as_str() {
        Some("") => "<>".to_owned(),
        Some(sender) => line(sender),
        None => "-".to_owned(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, line)
}

/// As in `2026-11-22 12:00:03`, UTC.
fn time(value: &Value) -> String {
    let text = text(value);
    match (text.get(..10), text.get(11..19)) {
        (Some(day), Some(time)) => format!("{day} {time}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_story_is_told_to_people() {
        let event = |kind: &str, code: Value, transcript: Value| {
            json!({"at": "2026-11-22T10:05:00.123Z", "kind": kind, "actor": "delivery", "recipient": "b@y.test",
                "server": "mx.y.test", "peer_ip": null, "stage": null, "code": code, "enhanced": null, "text": "no\u{1b}",
                "mailbox": null, "transcript_id": transcript})
        };
        let story = json!({
            "id": "m_0", "sender": "", "size_bytes": 7, "message_id": null,
            "verdict": {"sentence": "It bounced.", "next_step": "Write again."},
            "recipients": [{"address": "b@y.test", "outcome": "bounced", "queue_id": "q_0_0"}],
            "events": [event("failed", json!(550), json!(0)), event("bounced", json!(null), json!(null))],
        });
        assert_eq!(
            tell(&story),
            "It bounced.\nNext: Write again.\n\nm_0  from <>, 7 octets\n  b@y.test  bounced  q_0_0\n\n\
             2026-11-22 10:05:00  failed       delivery b@y.test mx.y.test 550 no\\u{1b} (dialogue 0)\n\
             2026-11-22 10:05:00  bounced      delivery b@y.test mx.y.test no\\u{1b}\n"
        );
        let entry = entry(&json!({
            "id": "t_0", "at": "2026-11-22T10:05:00.123Z", "sender": "a@x.test", "outcome": "refused", "sentence": "No.",
            "recipients": ["a@y.test", "b@y.test", "c@y.test", "d@y.test"], "recipient_count": 4,
        }));
        assert_eq!(
            entry,
            "2026-11-22 10:05:00  t_0  refused  a@x.test -> a@y.test, b@y.test, c@y.test and 1 more\n    No.\n"
        );
    }
}
