use std::time::Duration;

use crate::store::Store;
use crate::telemetry::metrics;
use crate::trace::{Event, Kind, Recorded};
use crate::turn::{SessionChanged, SessionState};

/// Counts what the trace and sessions with peers tell of, as it is committed.
pub(super) fn count(store: &Store) {
    store.bus().hear::<Recorded>(|| true, |recorded| count_event(&recorded));
    store.bus().hear::<SessionChanged>(
        || true,
        |changed| {
            let state = match changed.session.state {
                SessionState::Running => return,
                SessionState::Done => "done",
                SessionState::Refused => "refused",
                SessionState::Failed => "failed",
            };
            metrics().turned(changed.session.verb.as_str(), state);
        },
    );
}

fn count_event(recorded: &Recorded) {
    let (event, metrics) = (&recorded.event, metrics());
    let since_taken = || Duration::from_millis(event.at.ms_since(recorded.subject.at()));
    match event.kind {
        Kind::Accepted => metrics.received(place(event), "accepted", "", event.times()),
        Kind::Rejected => metrics.received(place(event), "rejected", reason(event), event.times()),
        Kind::Aborted => metrics.received(place(event), "aborted", "", event.times()),
        Kind::Delivered => metrics.delivered(since_taken()),
        Kind::Relayed => metrics.relayed(since_taken()),
        Kind::Deferred => metrics.attempted("deferred"),
        Kind::Failed => metrics.attempted("failed"),
        Kind::Expired => metrics.attempted("expired"),
        Kind::Uncertain => metrics.attempted("uncertain"),
        Kind::Bounced => metrics.reported("failed"),
        Kind::Delayed => metrics.reported("delayed"),
        _ => {}
    }
}

/// Where it came in: the first word of who did it.
fn place(event: &Event) -> &'static str {
    const PLACES: [&str; 8] = ["smtp", "submission", "odmr", "turned", "lmtp", "imap", "http", "delivery"];
    let word = event.actor.split(' ').next().unwrap_or_default();
    PLACES.into_iter().find(|place| *place == word).unwrap_or("other")
}

/// Why it was refused: of a closed set, by the enhanced code.
// RFC 3463 §3
fn reason(event: &Event) -> &'static str {
    match event.enhanced {
        Some((_, 1, _)) => "address",
        Some((_, 2, 2)) => "mailbox_full",
        Some((_, 2, _)) => "mailbox",
        Some((_, 3, 1)) => "disk_full",
        Some((_, 3, 4)) => "too_big",
        Some((_, 4 | 5, _)) => "protocol",
        Some((_, 7, _)) => "policy",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use prometheus_client::encoding::text::encode;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::{Config, House};
    use super::*;
    use crate::base::{SeededRandom, SystemClock, Timestamp};
    use crate::net::Listener;

    fn samples() -> BTreeMap<String, f64> {
        let mut text = String::new();
        encode(&mut text, metrics().registry()).unwrap();
        let sample = |line: &str| line.rsplit_once(' ').map(|(name, value)| (name.to_owned(), value.parse().unwrap()));
        text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
    }

    async fn house() -> House {
        let config = Config { data: None, hostname: Some("localhost".into()), ..Config::default() }.for_development();
        let house = House::open(&config, Arc::new(SystemClock), Arc::new(SeededRandom::new(1))).await.unwrap();
        house.furnish(&config).await.unwrap();
        house
    }

    /// Says each line once the answer to the one before has come.
    async fn talk(house: &House, listener: Listener, lines: &[&str]) {
        let mut pipe = house.connect(listener, "127.0.0.1".parse().unwrap());
        let mut buffer = [0; 4096];
        for line in lines {
            assert!(pipe.read(&mut buffer).await.unwrap() > 0, "{line}");
            pipe.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        }
        pipe.read_to_end(&mut Vec::new()).await.unwrap();
    }

    #[tokio::test]
    async fn what_sessions_do_is_counted() {
        let house = house().await;
        let before = samples();
        let mail = [
            "EHLO x.test",
            "MAIL FROM:<a@x.test>",
            "RCPT TO:<nobody@example.test>",
            "RCPT TO:<bob@example.test>",
            "DATA",
            "From: a@x.test\r\n\r\nhello\r\n.",
            "QUIT",
        ];
        talk(&house, Listener::Smtp, &mail).await;
        talk(&house, Listener::Pop3, &["USER bob@example.test", "PASS wrong", "QUIT"]).await;
        talk(&house, Listener::Imap, &["a LOGIN bob@example.test pillarbox", "b SELECT nothing", "c LOGOUT"]).await;
        // The refusal rides on the next batch.
        let pushes = crate::turn::EndRunning { at: house.clock.now() };
        house.store.write(pushes).await.map(drop).unwrap();
        let after = samples();
        for (series, more) in [
            ("pillarbox_sessions_begun_total{listener=\"smtp\"}", 1.0),
            ("pillarbox_smtp_commands_total{verb=\"EHLO\",code_class=\"2xx\"}", 1.0),
            ("pillarbox_smtp_commands_total{verb=\"RCPT\",code_class=\"5xx\"}", 1.0),
            ("pillarbox_smtp_commands_total{verb=\"DATA\",code_class=\"3xx\"}", 1.0),
            ("pillarbox_smtp_commands_total{verb=\"end_of_data\",code_class=\"2xx\"}", 1.0),
            ("pillarbox_smtp_command_duration_seconds_count{verb=\"QUIT\"}", 1.0),
            ("pillarbox_messages_received_total{listener=\"smtp\",outcome=\"accepted\",reason=\"\"}", 1.0),
            ("pillarbox_messages_received_total{listener=\"smtp\",outcome=\"rejected\",reason=\"address\"}", 1.0),
            ("pillarbox_messages_delivered_total", 1.0),
            ("pillarbox_delivery_latency_seconds_count{outcome=\"delivered\"}", 1.0),
            ("pillarbox_pop3_commands_total{verb=\"PASS\"}", 1.0),
            ("pillarbox_auth_attempts_total{protocol=\"pop3\",outcome=\"refused\"}", 1.0),
            ("pillarbox_auth_attempts_total{protocol=\"imap\",outcome=\"accepted\"}", 1.0),
            ("pillarbox_imap_commands_total{command=\"SELECT\",status=\"no\"}", 1.0),
            ("pillarbox_db_commit_duration_seconds_count", 1.0),
        ] {
            let (before, after) = (before.get(series).copied().unwrap_or_default(), after.get(series).copied());
            assert!(after.is_some_and(|after| after >= before + more), "{series}: {before}, {after:?}");
        }
    }

    #[tokio::test]
    async fn a_session_is_counted_as_long_as_it_lasts() {
        let house = house().await;
        let open = || samples().get("pillarbox_smtp_sessions{listener=\"submissions\"}").copied().unwrap_or_default();
        // No other test speaks to this listener: the figures are of the whole process.
        assert_eq!(open(), 0.0);
        let mut pipe = house.connect(Listener::Submissions, "127.0.0.1".parse().unwrap());
        assert!(pipe.read(&mut [0; 4096]).await.unwrap() > 0);
        assert_eq!(open(), 1.0);
        drop(pipe);
        while open() > 0.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_lone_message_waits_for_one_commit() {
        let house = house().await;
        let mut pipe = house.connect(Listener::Smtp, "127.0.0.1".parse().unwrap());
        let mut buffer = [0; 4096];
        let mut said = async |line: &str| {
            pipe.write_all(line.as_bytes()).await.unwrap();
            let count = pipe.read(&mut buffer).await.unwrap();
            String::from_utf8_lossy(&buffer[..count]).into_owned()
        };
        said("").await;
        said("EHLO x.test\r\n").await;
        let mut least = u64::MAX;
        for _ in 0..10 {
            for line in ["MAIL FROM:<a@x.test>\r\n", "RCPT TO:<bob@example.test>\r\n", "DATA\r\n"] {
                said(line).await;
            }
            let before = house.store.health().syncs;
            let reply = said("From: a@x.test\r\n\r\nhello\r\n.\r\n").await;
            assert!(reply.starts_with("250 "), "{reply}");
            // What rides, and the writer at rest, may have a commit of their own at that moment, but not each time.
            least = least.min(house.store.health().syncs - before);
        }
        assert_eq!(least, 1, "syncs between the end of the data and its 250");
    }

    #[test]
    fn labels_are_of_closed_sets() {
        let check = |actor: &str, enhanced, expected: (&str, &str)| {
            let event = Event { enhanced, ..Event::new(Timestamp(1), Kind::Rejected, actor) };
            assert_eq!((place(&event), reason(&event)), expected, "{actor} {enhanced:?}");
        };
        check("smtp", Some((5, 1, 1)), ("smtp", "address"));
        check("submission a@x.test", Some((4, 2, 2)), ("submission", "mailbox_full"));
        check("turned branch", Some((5, 3, 4)), ("turned", "too_big"));
        check("a@x.test", None, ("other", "other"));
        check("smtp branch", Some((5, 7, 1)), ("smtp", "policy"));
    }
}
