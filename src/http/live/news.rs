use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use super::topic::Topic;
use crate::base::{Address, SessionId, Timestamp};
use crate::http::caller::Caller;
use crate::net::Mark;
use crate::queue::{Change, State};
use crate::store::{Read, Span, Store};
use crate::trace::{EVENTS, Subject};
use crate::{audit, job, queue, trace, turn};

/// Something that happened.
pub enum News {
    /// An entry of the queue has changed.
    Queue(Arc<queue::Changed>),
    /// The trace has a new event.
    Delivery(Arc<trace::Recorded>),
    /// A mail connection has begun, or has ended after so many milliseconds.
    Connection(Mail, Option<u64>),
    /// A session with a peer has begun or ended.
    Turn(Arc<turn::SessionChanged>),
    /// A line of a session with a peer.
    Line {
        /// The session.
        session: SessionId,
        /// The peer's name.
        peer: String,
        /// Whose line it is.
        mark: Mark,
        /// The line.
        line: String,
    },
    /// A job has changed.
    Job(Arc<job::Changed>),
    /// The audit has a row, or says more of one.
    Audit(Arc<audit::Recorded>),
    /// How the server does: the fields, `kind` among them.
    Health(Value),
}

/// A mail connection.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Its number since the start.
    pub number: u64,
    /// The listener's name.
    pub listener: &'static str,
    /// The other side.
    pub peer_ip: IpAddr,
    /// It is encrypted from its first octet on.
    pub implicit_tls: bool,
}

impl News {
    pub(super) fn topic(&self) -> Topic {
        match self {
            Self::Queue(_) => Topic::Queue,
            Self::Delivery(_) => Topic::Delivery,
            Self::Connection(..) => Topic::Session,
            Self::Turn(_) | Self::Line { .. } => Topic::Turn,
            Self::Job(_) => Topic::Job,
            Self::Audit(_) => Topic::Audit,
            Self::Health(_) => Topic::Health,
        }
    }

    /// About how many octets it takes in memory.
    pub(super) fn weight_bytes(&self) -> usize {
        let all = |texts: &[&str]| texts.iter().map(|text| text.len()).sum::<usize>();
        512 + match self {
            Self::Queue(changed) => changed.entry.last.as_ref().map_or(0, |last| last.words.text.len()),
            Self::Delivery(recorded) => {
                let event = &recorded.event;
                let texts = [&event.sender, &event.recipient, &event.message_id, &event.helo, &event.server];
                event.text.len() + texts.into_iter().flatten().map(String::len).sum::<usize>()
            }
            Self::Line { line, peer, .. } => all(&[line, peer]),
            Self::Turn(changed) => {
                let session = &changed.session;
                all(&[&session.peer, &session.outcome, &session.transcript])
            }
            Self::Job(changed) => {
                let job = &changed.job;
                let texts = [&job.result, &job.problem];
                all(&[&job.target, &job.actor]) + texts.into_iter().flatten().map(String::len).sum::<usize>()
            }
            Self::Audit(recorded) => recorded.row.weight_bytes(),
            Self::Health(fields) => fields.to_string().len(),
            Self::Connection(..) => 0,
        }
    }

    /// Whether the caller may see it. The topic's scope is not asked for here.
    pub(super) fn is_for(&self, caller: &Caller, store: &Store) -> bool {
        if !caller.is_restricted() {
            return true;
        }
        match self {
            Self::Queue(changed) => {
                caller.reaches_mail(None, &changed.entry.recipient)
                    || sender(store, Subject::Message(changed.id.message)).is_some_and(|it| reaches(caller, &it))
            }
            Self::Delivery(recorded) => {
                let event = &recorded.event;
                let is_own = |text: &Option<String>| text.as_deref().is_some_and(|text| reaches(caller, text));
                is_own(&event.sender)
                    || is_own(&event.recipient)
                    || sender(store, recorded.subject).is_some_and(|sender| reaches(caller, &sender))
            }
            Self::Job(changed) => changed.job.actor == caller.name(),
            Self::Connection(..) | Self::Turn(_) | Self::Line { .. } | Self::Audit(_) | Self::Health(_) => false,
        }
    }

    /// As the interface shows it.
    pub(super) fn show(&self, at: Timestamp) -> Value {
        match self {
            Self::Queue(changed) => show_entry(changed, at),
            Self::Delivery(recorded) => show_event(recorded),
            Self::Connection(mail, ended) => json!({
                "at": at.rfc3339(),
                "kind": if ended.is_some() { "closed" } else { "opened" },
                "connection": mail.number,
                "listener": mail.listener,
                "peer_ip": mail.peer_ip.to_string(),
                "implicit_tls": mail.implicit_tls,
                "duration_ms": ended,
            }),
            Self::Turn(changed) => {
                let session = &changed.session;
                json!({
                    "at": session.ended_at.unwrap_or(session.started_at).rfc3339(),
                    "kind": match session.state {
                        turn::SessionState::Running => "running",
                        turn::SessionState::Done => "done",
                        turn::SessionState::Refused => "refused",
                        turn::SessionState::Failed => "failed",
                    },
                    "session_id": changed.id.to_string(),
                    "peer": session.peer,
                    "verb": session.verb.as_str(),
                    "sent": session.sent,
                    "received": session.received,
                    "refused": session.refused,
                    "outcome": session.outcome,
                })
            }
            Self::Line { session, peer, mark, line } => json!({
                "at": at.rfc3339(),
                "kind": "line",
                "session_id": session.to_string(),
                "peer": peer,
                "direction": match mark {
                    Mark::Said => "out",
                    Mark::Heard => "in",
                    Mark::Note => "note",
                },
                "line": line,
            }),
            Self::Job(changed) => show_job(changed, at),
            Self::Audit(recorded) => show_audit(recorded),
            Self::Health(fields) => {
                let mut fields = fields.clone();
                fields["at"] = at.rfc3339().into();
                fields
            }
        }
    }
}

fn show_entry(changed: &queue::Changed, at: Timestamp) -> Value {
    let entry = &changed.entry;
    let state = match (changed.change, &entry.state) {
        (Change::Removed, _) => "gone",
        (Change::Opened, _) => "in_flight",
        (_, State::Held { .. } | State::Parked { .. }) => "held",
        (_, State::Waiting { .. }) if entry.due <= at => "due",
        (_, State::Waiting { .. }) => "waiting",
    };
    json!({
        "at": at.rfc3339(),
        "kind": match changed.change {
            Change::Added => "added",
            Change::Replaced => "changed",
            Change::Opened => "sending",
            Change::Removed => "removed",
        },
        "message_id": changed.id.message.to_string(),
        "queue_id": changed.id.to_string(),
        "recipient": entry.recipient.to_string(),
        "domain": entry.recipient.host.to_string(),
        "state": state,
        "attempts": entry.attempts,
        "next_attempt_at": matches!(state, "due" | "waiting").then(|| entry.due.rfc3339()),
    })
}

fn show_event(recorded: &trace::Recorded) -> Value {
    let event = &recorded.event;
    json!({
        "at": event.at.rfc3339(),
        "kind": event.kind,
        // The subject's id: of a message, or of a transaction that was refused before there was one.
        "message_id": recorded.subject.to_string(),
        "actor": event.actor,
        "peer_ip": event.peer_ip.map(|ip| ip.to_string()),
        "helo": event.helo,
        "tls": event.tls,
        "sender": event.sender,
        "recipient": event.recipient,
        "message_id_field": event.message_id,
        "size_bytes": event.size_bytes,
        "code": event.code,
        "enhanced": event.enhanced.map(|(class, subject, detail)| format!("{class}.{subject}.{detail}")),
        "text": event.text,
        "server": event.server,
        "stage": event.stage,
        "mailbox": event.mailbox,
        "duration_ms": event.duration_ms,
    })
}

fn show_job(changed: &job::Changed, at: Timestamp) -> Value {
    let job = &changed.job;
    json!({
        "at": at.rfc3339(),
        "kind": if job.state.is_ended() { "ended" } else { "progress" },
        "id": changed.id.to_string(),
        "job_kind": job.kind,
        "target": job.target,
        "state": job.state,
        "progress": {"done": job.progress.done, "total": job.progress.total, "unit": job.progress.unit},
        "session": job.session.map(|id| id.to_string()),
        "problem": job.problem,
    })
}

fn show_audit(recorded: &audit::Recorded) -> Value {
    let row = &recorded.row;
    json!({
        "at": row.at.rfc3339(),
        "kind": "recorded",
        "id": recorded.id.to_string(),
        "actor": row.act.actor,
        "token_id": row.act.token_id,
        "ip": row.act.ip.map(|ip| ip.to_string()),
        "action": row.act.action,
        "target": row.target,
        "before": row.before(),
        "after": row.after(),
        "request_id": row.act.request_id,
    })
}

fn reaches(caller: &Caller, address: &str) -> bool {
    Address::parse(address).is_ok_and(|address| address.host.name().is_some_and(|domain| caller.reaches(domain)))
}

/// Who sent the message: its story begins with that. What was refused may have had many senders.
fn sender(store: &Store, subject: Subject) -> Option<String> {
    if matches!(subject, Subject::Refused(_)) {
        return None;
    }
    store.view().ok()?.first(&EVENTS, Span::prefix(&subject)).ok()??.1.sender
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Job, JobState, Progress};

    #[test]
    fn what_is_long_weighs_as_much() {
        let (long, at) = ("x".repeat(100_000), Timestamp(1));
        let session = turn::Session {
            peer: "branch".into(),
            verb: turn::Verb::Atrn,
            role: turn::Role::Accepted,
            peer_ip: None,
            state: turn::SessionState::Done,
            swapped: true,
            started_at: at,
            ended_at: Some(at),
            sent: 1,
            received: 0,
            refused: 0,
            outcome: String::new(),
            transcript: long.clone(),
        };
        let job = Job {
            kind: "queue_action".into(),
            target: "hold".into(),
            actor: "owner".into(),
            state: JobState::Failed,
            progress: Progress::default(),
            session: None,
            created_at: at,
            started_at: None,
            ended_at: None,
            result: None,
            problem: Some(long.clone()),
        };
        let line = News::Line { session: SessionId(1), peer: "branch".into(), mark: Mark::Heard, line: long.clone() };
        for news in [
            News::Turn(Arc::new(turn::SessionChanged { id: SessionId(1), session })),
            News::Job(Arc::new(job::Changed { id: crate::base::JobId(1), job })),
            News::Health(json!({"sentence": long})),
            line,
        ] {
            let weight = news.weight_bytes();
            assert!((100_000..110_000).contains(&weight), "{}: {weight}", news.topic().name());
        }
    }
}
