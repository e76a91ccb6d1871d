use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry, Unit};

/// A label and its value, of a closed set: never an address, a domain or an id.
type Label = (&'static str, &'static str);
type Counters<const N: usize> = Family<[Label; N], Counter>;
type Gauges = Family<[Label; 1], Gauge>;
type Histograms = Family<[Label; 1], Histogram, fn() -> Histogram>;

/// What is counted since the process began. An addition costs a look into a small table and an atomic.
pub struct Metrics {
    registry: Registry,
    smtp_sessions: Gauges,
    imap_sessions: Gauges,
    pop3_sessions: Gauges,
    sessions_begun: Counters<1>,
    smtp_commands: Counters<2>,
    smtp_command_seconds: Histograms,
    imap_commands: Counters<2>,
    pop3_commands: Counters<1>,
    logins: Counters<2>,
    received: Counters<3>,
    delivered: Counter,
    attempts: Counters<1>,
    latency: Histograms,
    reports: Counters<1>,
    turn_sessions: Counters<2>,
    http_requests: Counters<2>,
    writer_wait_seconds: Histogram,
    commit_seconds: Histogram,
    commit_ops: Histogram,
    dns_seconds: Histograms,
    damaged_rows: Counters<1>,
}

/// The one set of counters of this process.
pub fn metrics() -> &'static Metrics {
    static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);
    &METRICS
}

/// Verbs of SMTP that have a label of their own.
const SMTP_VERBS: [&str; 17] = [
    "EHLO", "HELO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT", "VRFY", "EXPN", "HELP", "AUTH", "STARTTLS",
    "TURN", "ETRN", "ATRN",
];
/// Verbs of POP3 that have one.
const POP3_VERBS: [&str; 14] =
    ["USER", "PASS", "AUTH", "STLS", "CAPA", "STAT", "LIST", "UIDL", "RETR", "TOP", "DELE", "NOOP", "RSET", "QUIT"];

/// The label of an SMTP command line; `other` for what is none.
pub fn smtp_verb(line: &[u8]) -> &'static str {
    known(&SMTP_VERBS, line)
}

/// The label of a POP3 command line; `other` for what is none.
pub fn pop3_verb(line: &[u8]) -> &'static str {
    known(&POP3_VERBS, line)
}

fn known(verbs: &[&'static str], line: &[u8]) -> &'static str {
    let word = line.split(|octet| matches!(octet, b' ' | b':' | b'\r' | b'\n')).next().unwrap_or_default();
    verbs.iter().find(|verb| verb.as_bytes().eq_ignore_ascii_case(word)).copied().unwrap_or("other")
}

fn code_class(code: u16) -> &'static str {
    match code {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

fn durations() -> Histogram {
    Histogram::new([0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0])
}

/// A message may be under way for a second or for five days.
fn latencies() -> Histogram {
    Histogram::new([1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, 432_000.0])
}

impl Metrics {
    fn new() -> Self {
        let mut registry = Registry::with_prefix("pillarbox");
        Self {
            smtp_sessions: add(&mut registry, "smtp_sessions", "Connections of SMTP clients that are open"),
            imap_sessions: add(&mut registry, "imap_sessions", "Connections of IMAP clients that are open"),
            pop3_sessions: add(&mut registry, "pop3_sessions", "Connections of POP3 clients that are open"),
            sessions_begun: add(&mut registry, "sessions_begun", "Mail connections that were taken"),
            smtp_commands: add(&mut registry, "smtp_commands", "Commands of SMTP clients by the reply's class"),
            smtp_command_seconds: add_in(
                &mut registry,
                "smtp_command_duration",
                "From an SMTP command to its reply",
                Unit::Seconds,
                Family::new_with_constructor(durations as fn() -> Histogram),
            ),
            imap_commands: add(&mut registry, "imap_commands", "Commands of IMAP clients by the answer"),
            pop3_commands: add(&mut registry, "pop3_commands", "Commands of POP3 clients"),
            logins: add(&mut registry, "auth_attempts", "Logins by what came of them"),
            received: add(&mut registry, "messages_received", "Messages that were taken in or refused"),
            delivered: add(&mut registry, "messages_delivered", "Copies that were put into mailboxes"),
            attempts: add(&mut registry, "delivery_attempts", "Recipients elsewhere by what came of an attempt"),
            latency: add_in(
                &mut registry,
                "delivery_latency",
                "From taking a message in to its delivery",
                Unit::Seconds,
                Family::new_with_constructor(latencies as fn() -> Histogram),
            ),
            reports: add(&mut registry, "dsn", "Reports of ours on delivery"),
            turn_sessions: add(&mut registry, "turn_sessions", "Sessions with peers that have ended"),
            http_requests: add(&mut registry, "http_requests", "Requests of HTTP clients"),
            writer_wait_seconds: add_in(
                &mut registry,
                "db_writer_wait",
                "From asking for a change to the transaction that takes it",
                Unit::Seconds,
                Histogram::new([0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0]),
            ),
            commit_seconds: add_in(
                &mut registry,
                "db_commit_duration",
                "A transaction with its sync",
                Unit::Seconds,
                Histogram::new([0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0]),
            ),
            commit_ops: add_histogram(
                &mut registry,
                "db_commit_batch_size",
                "Changes that one transaction takes together",
                Histogram::new([1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 512.0]),
            ),
            dns_seconds: add_in(
                &mut registry,
                "dns_lookup_duration",
                "Questions to the DNS",
                Unit::Seconds,
                Family::new_with_constructor(durations as fn() -> Histogram),
            ),
            damaged_rows: add(&mut registry, "damaged_rows", "Rows of the file that were met and do not decode"),
            registry,
        }
    }

    /// For what shows them.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// A connection of a listener was taken.
    pub fn session_begun(&self, listener: &'static str) {
        self.sessions(listener).get_or_create(&[("listener", listener)]).inc();
        self.sessions_begun.get_or_create(&[("listener", listener)]).inc();
    }

    /// It is over.
    pub fn session_ended(&self, listener: &'static str) {
        self.sessions(listener).get_or_create(&[("listener", listener)]).dec();
    }

    fn sessions(&self, listener: &str) -> &Gauges {
        match listener {
            "imap" | "imaps" => &self.imap_sessions,
            "pop3" | "pop3s" => &self.pop3_sessions,
            _ => &self.smtp_sessions,
        }
    }

    /// An SMTP command was answered; the verb is of [`smtp_verb`], or `end_of_data`.
    pub fn smtp_command(&self, verb: &'static str, code: u16, took: Duration) {
        self.smtp_commands.get_or_create(&[("verb", verb), ("code_class", code_class(code))]).inc();
        self.smtp_command_seconds.get_or_create(&[("verb", verb)]).observe(took.as_secs_f64());
    }

    /// An IMAP command was answered.
    pub fn imap_command(&self, command: &'static str, status: &'static str) {
        self.imap_commands.get_or_create(&[("command", command), ("status", status)]).inc();
    }

    /// A POP3 command came; the verb is of [`pop3_verb`].
    pub fn pop3_command(&self, verb: &'static str) {
        self.pop3_commands.get_or_create(&[("verb", verb)]).inc();
    }

    /// Somebody has tried to log in.
    pub fn login(&self, protocol: &'static str, outcome: &'static str) {
        self.logins.get_or_create(&[("protocol", protocol), ("outcome", outcome)]).inc();
    }

    /// So many messages were taken in, or so often something was refused for a reason.
    pub fn received(&self, listener: &'static str, outcome: &'static str, reason: &'static str, times: u64) {
        self.received.get_or_create(&[("listener", listener), ("outcome", outcome), ("reason", reason)]).inc_by(times);
    }

    /// A copy was put into a mailbox, so long after its message was taken in.
    pub fn delivered(&self, after: Duration) {
        self.delivered.inc();
        self.latency.get_or_create(&[("outcome", "delivered")]).observe(after.as_secs_f64());
    }

    /// An attempt to send to a recipient elsewhere has ended.
    pub fn attempted(&self, outcome: &'static str) {
        self.attempts.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Another server has taken a recipient, so long after the message was taken in.
    pub fn relayed(&self, after: Duration) {
        self.attempted("relayed");
        self.latency.get_or_create(&[("outcome", "relayed")]).observe(after.as_secs_f64());
    }

    /// A sender was told by a message of ours.
    pub fn reported(&self, action: &'static str) {
        self.reports.get_or_create(&[("action", action)]).inc();
    }

    /// A session with a peer has ended.
    pub fn turned(&self, verb: &'static str, state: &'static str) {
        self.turn_sessions.get_or_create(&[("verb", verb), ("state", state)]).inc();
    }

    /// An HTTP request was answered.
    pub fn http_request(&self, method: &'static str, status: u16) {
        self.http_requests.get_or_create(&[("method", method), ("class", code_class(status))]).inc();
    }

    /// A change waited so long for the transaction that takes it.
    pub fn waited_for_writer(&self, waited: Duration) {
        self.writer_wait_seconds.observe(waited.as_secs_f64());
    }

    /// A transaction with so many changes was committed.
    pub fn committed(&self, changes: usize, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
        self.commit_ops.observe(changes as f64);
    }

    /// A row of that table was met that does not decode.
    pub fn met_damage(&self, table: &'static str) {
        self.damaged_rows.get_or_create(&[("table", table)]).inc();
    }

    /// A question to the DNS was answered, or not.
    pub fn looked_up(&self, outcome: &'static str, took: Duration) {
        self.dns_seconds.get_or_create(&[("outcome", outcome)]).observe(took.as_secs_f64());
    }
}

fn add<M: Metric + Default + Clone>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn add_histogram(registry: &mut Registry, name: &str, help: &str, metric: Histogram) -> Histogram {
    registry.register(name, help, metric.clone());
    metric
}

fn add_in<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, unit: Unit, metric: M) -> M {
    registry.register_with_unit(name, help, unit, metric.clone());
    metric
}

/// A gauge of whole numbers that can't be below zero.
pub type Level = Gauge<u64, AtomicU64>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_of_a_closed_set() {
        for (line, verb) in [
            (&b"mail FROM:<a@x.test>"[..], "MAIL"),
            (b"QUIT", "QUIT"),
            (b"RCPT:", "RCPT"),
            (b"", "other"),
            (b"GET / HTTP/1.1", "other"),
            (b"\xff\xff", "other"),
        ] {
            assert_eq!(smtp_verb(line), verb);
        }
        assert_eq!((pop3_verb(b"retr 1"), pop3_verb(b"EHLO x")), ("RETR", "other"));
    }
}
