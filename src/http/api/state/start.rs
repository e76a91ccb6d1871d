use std::sync::Arc;

use actix_web::ResponseError;
use serde_json::Value;

use super::{Manner, Site, apply, read};
use crate::audit::Act;
use crate::base::Clock;
use crate::directory::Authenticator;
use crate::http::caller::Caller;
use crate::http::large_body::Held;
use crate::http::problem::Problem;
use crate::settings::Live;
use crate::store::Store;

/// A desired state can't be applied at the start: one line that says why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}")]
pub struct StateFileError {
    line: String,
    fault: Option<Fault>,
}

/// A fault of the server or of its file, and none of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Damage,
    Other,
}

impl StateFileError {
    /// Whether it is a fault of the server or of its file, and none of the state.
    pub fn is_ours(&self) -> bool {
        self.fault.is_some()
    }

    /// Whether the file is damaged.
    pub fn is_damage(&self) -> bool {
        self.fault == Some(Fault::Damage)
    }
}

/// Applies a desired state before anything is served; what it does not name stays. How many changes there were.
///
/// # Errors
/// [`StateFileError`]; nothing is changed then.
pub async fn apply_state(
    store: &Store,
    authenticator: &Arc<Authenticator>,
    live: &Arc<Live>,
    clock: &Arc<dyn Clock>,
    state: &Value,
) -> Result<usize, StateFileError> {
    let site = Site {
        store: store.clone(),
        authenticator: Arc::clone(authenticator),
        live: Arc::clone(live),
        clock: Arc::clone(clock),
    };
    let line = |problem: Problem| {
        let fault = match problem.is_damage() {
            true => Some(Fault::Damage),
            false => problem.status_code().is_server_error().then_some(Fault::Other),
        };
        StateFileError { line: problem.line(), fault }
    };
    let wanted = Held::free(read(state.clone()).map_err(line)?);
    let manner = Manner { dry_run: false, prune: false };
    let act = Act { actor: Caller::Owner.actor(), action: "serve --state".into(), ..Act::default() };
    let done = apply(&site, Caller::Owner, act, wanted, manner, None).await.map_err(line)?;
    for warning in &done.warnings {
        tracing::warn!(event = "state_warning", "{warning}");
    }
    Ok(done.changes.len())
}
