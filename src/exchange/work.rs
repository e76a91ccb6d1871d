use std::sync::Arc;

use serde_json::{Value, json};

use super::{Call, Context, NotBegun, call};
use crate::job::Progress;
use crate::jobs::{Failed, Order, Task};
use crate::turn::{Session, SessionState};

/// What a job does that calls a peer.
const KIND: &str = "turn_session";

/// The order of a job that makes `call` for `actor`.
pub fn order(call: &Call, actor: String) -> Order {
    Order { kind: KIND, target: call.peer.clone(), actor, session: Some(call.session) }
}

/// The work of that job. Its result says `session`, `state`, `outcome`, `sent`, `received` and `refused`.
///
/// # Errors
/// The call could not be begun, or the session did not come to a good end.
pub async fn work(context: Arc<Context>, call: Call, task: Task) -> Result<Value, Failed> {
    let id = call.session;
    let ended: Result<Session, NotBegun> = call::call(context, call, task.cancel.clone()).await;
    let session = ended.map_err(|error| Failed::because(error.to_string()))?;
    task.report(Progress { done: session.sent + session.received, total: None, unit: "messages".into() });
    let result = json!({
        "session": id.to_string(),
        "state": session.state,
        "outcome": session.outcome,
        "sent": session.sent,
        "received": session.received,
        "refused": session.refused,
    });
    match session.state {
        SessionState::Done => Ok(result),
        _ => Err(Failed { problem: session.outcome, result: Some(result) }),
    }
}
