use std::time::Duration;

use hyper::Method;
use hyper::header::HeaderName;
use serde_json::Value;

use super::args::Output;
use super::client::Client;
use super::failure::Failure;
use super::output;
use super::request::query;

/// How long to wait before a stream that has ended is followed again.
const AGAIN: Duration = Duration::from_secs(2);
/// How often the log is looked at while it is followed.
const LOOK: Duration = Duration::from_secs(1);
/// What stands in its own place on an event's line.
const PLACED: [&str; 2] = ["at", "kind"];

/// `pillarbox events`: a line each; with `-o json` a JSON object a line, with its topic and id.
pub fn events(
    topics: &[String],
    seconds: Option<u64>,
    last: Option<String>,
    client: &Client,
    output: Output,
) -> Result<(), Failure> {
    let (topics, seconds) = (topics.join(","), seconds.map(|seconds| seconds.to_string()));
    let topics = Some(topics.as_str()).filter(|topics| !topics.is_empty());
    let path = format!("/api/v1/events?{}", query(&[("topics", topics), ("seconds", seconds.as_deref())]));
    let mut reader = Reader { last, ..Reader::default() };
    loop {
        let last = reader.last.iter().map(|id| (HeaderName::from_static("last-event-id"), id.clone()));
        let fields: Vec<_> = last.collect();
        let ended = client.stream(&path, &fields, |bytes| {
            for event in reader.take(bytes) {
                print(&event, output)?;
            }
            Ok(true)
        });
        match ended {
            // What was asked for is over.
            Ok(()) if seconds.is_some() => return Ok(()),
            // A server that stops, or a connection that breaks: where it was followed already, it is worth another try.
            Ok(()) => {}
            Err(Failure::Unreachable(why)) if reader.last.is_some() => eprintln!("pillarbox: {why}; once more"),
            Err(failure) => return Err(failure),
        }
        std::thread::sleep(AGAIN);
    }
}

/// One event.
#[derive(Debug, Default, PartialEq)]
struct Event {
    id: String,
    topic: String,
    data: Value,
}

/// Reads a stream of events.
#[derive(Default)]
struct Reader {
    buffered: Vec<u8>,
    /// The id of what was read last.
    last: Option<String>,
}

impl Reader {
    /// The events that are whole with those octets.
    fn take(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.buffered.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.buffered.windows(2).position(|two| two == b"\n\n") {
            let block: Vec<u8> = self.buffered.drain(..end + 2).collect();
            let mut event = Event::default();
            for line in String::from_utf8_lossy(&block).lines() {
                match line.split_once(": ") {
                    Some(("id", id)) => event.id = id.to_owned(),
                    Some(("event", topic)) => event.topic = topic.to_owned(),
                    Some(("data", data)) => event.data = serde_json::from_str(data).unwrap_or_default(),
                    _ => {}
                }
            }
            if !event.id.is_empty() {
                self.last = Some(event.id.clone());
            }
            if !event.topic.is_empty() {
                events.push(event);
            }
        }
        events
    }
}

fn print(event: &Event, output: Output) -> Result<(), Failure> {
    if output == Output::Table {
        let at = event.data["at"].as_str().unwrap_or_default();
        let kind = event.data["kind"].as_str().unwrap_or_default();
        return output::print(&format!("{at}  {:<8} {kind:<10} {}\n", event.topic, fields(&event.data)));
    }
    let mut whole = event.data.clone();
    whole["topic"] = event.topic.as_str().into();
    whole["event_id"] = event.id.as_str().into();
    output::print(&format!("{whole}\n"))
}

/// The fields of a thing on one line, without those that say nothing.
fn fields(thing: &Value) -> String {
    let said = thing.as_object().into_iter().flatten().filter(|(name, value)| {
        !PLACED.contains(&name.as_str()) && !value.is_null() && value.as_str().is_none_or(|text| !text.is_empty())
    });
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    said.map(|(name, value)| format!("{name}={}", output::line(&text(value)))).collect::<Vec<_>>().join(" ")
}

/// `pillarbox logs`
pub struct Logs {
    pub level: Option<String>,
    pub target: Option<String>,
    pub after: Option<String>,
    pub limit: Option<usize>,
    pub follow: bool,
}

/// Prints the newest lines of the log, and goes on where that is asked.
pub fn logs(mut wanted: Logs, client: &Client, output: Output) -> Result<(), Failure> {
    loop {
        let limit = wanted.limit.map(|limit| limit.to_string());
        let parameters = [
            ("level", wanted.level.as_deref()),
            ("target", wanted.target.as_deref()),
            ("after", wanted.after.as_deref()),
            ("limit", limit.as_deref()),
        ];
        let page = client.send(Method::GET, &format!("/api/v1/logs?{}", query(&parameters)), &[], None)?.body;
        for line in page["items"].as_array().into_iter().flatten() {
            if output == Output::Table {
                let word = |name: &str| line[name].as_str().unwrap_or_default();
                let target = word("target").trim_start_matches("pillarbox::");
                let said = fields(&line["fields"]);
                output::print(&format!("{}  {:<5} {target}: {said}\n", word("at"), word("level")))?;
            } else {
                output::print(&format!("{line}\n"))?;
            }
        }
        if !wanted.follow {
            return Ok(());
        }
        wanted.after = Some(page["next_after"].to_string());
        std::thread::sleep(LOOK);
    }
}

/// `pillarbox log-filter`
pub fn log_filter(filter: &str, seconds: u64, client: &Client, output: Output) -> Result<(), Failure> {
    let body = serde_json::json!({"filter": filter, "seconds": seconds});
    output::show(&client.send(Method::PUT, "/api/v1/log-filter", &[], Some(&body))?.body, output)
}

/// `pillarbox overview`: the verdict, what is not as it should be, and the numbers.
pub fn overview(client: &Client, output: Output) -> Result<(), Failure> {
    let seen = client.send(Method::GET, "/api/v1/overview", &[], None)?.body;
    if output != Output::Table {
        return output::show(&seen, output);
    }
    output::print(&format!("{}\n\n", output::line(seen["verdict"]["sentence"].as_str().unwrap_or_default())))?;
    let checks = seen["checks"].as_array().cloned().unwrap_or_default();
    output::list(checks, &["state", "title", "detail", "fix"], output)?;
    let sum = |name: &str| -> u64 {
        seen["traffic"].as_array().into_iter().flatten().filter_map(|hour| hour[name].as_u64()).sum()
    };
    let day = ["received", "delivered", "relayed", "refused", "bounced", "deferred"]
        .map(|name| format!("{} {name}", sum(name)))
        .join(", ");
    let queue =
        ["due", "waiting", "in_flight", "held"].map(|name| format!("{} {name}", seen["queue"][name])).join(", ");
    output::print(&format!("\nlast 24 hours: {day}\nqueue: {queue}\n"))
}

/// `pillarbox metrics`: as the server gives them.
pub fn metrics(client: &Client) -> Result<(), Failure> {
    client.stream("/metrics", &[], |bytes| output::print(&String::from_utf8_lossy(bytes)).map(|()| true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let stream =
            b"retry: 2000\nid: a-1\n\n: ping\nid: a-2\n\nid: a-3\nevent: queue\ndata: {\"kind\":\"added\"}\n\nid: a-4";
        for cut in 0..stream.len() {
            let mut reader = Reader::default();
            let mut events = reader.take(&stream[..cut]);
            events.extend(reader.take(&stream[cut..]));
            let expected = Event { id: "a-3".into(), topic: "queue".into(), data: json!({"kind": "added"}) };
            assert_eq!((events, reader.last.as_deref()), (vec![expected], Some("a-3")), "{cut}");
        }
    }

    #[test]
    fn what_a_stranger_said_moves_no_cursor() {
        let data = json!({"at": "x", "kind": "line", "line": "a\u{1b}[2J\n", "code": 250, "none": null, "empty": ""});
        assert_eq!(fields(&data), "code=250 line=a\\u{1b}[2J\\n");
    }
}
