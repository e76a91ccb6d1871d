use serde::Serialize;
use utoipa::ToSchema;

use crate::base::Timestamp;

/// What is shown of a secret.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct SecretState {
    /// There is one.
    set: bool,
    /// Since when, where that is known.
    changed_at: Option<String>,
}

impl SecretState {
    /// Whether there is one, and since when.
    pub(super) fn new(set: bool, changed_at: Option<Timestamp>) -> Self {
        Self { set, changed_at: changed_at.map(Timestamp::rfc3339) }
    }
}
