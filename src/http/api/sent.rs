use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::base::{Address, Reply};
use crate::http::context::Context;
use crate::http::problem::{Code, Fault, Problem, Refusal};
use crate::intake::{self, Accepted, Recipient, Refused};
use crate::store::{Read, StoreError};

/// What becomes of a message for one recipient.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct RecipientResult {
    /// The recipient, as it was named.
    address: String,
    /// What becomes of it.
    outcome: RecipientOutcome,
    /// Its entry in the queue, where it goes elsewhere.
    queue_id: Option<String>,
    /// The reply code that SMTP would give.
    code: u16,
    /// The same in words.
    text: String,
}

/// What becomes of a recipient.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum RecipientOutcome {
    /// The message is in a mailbox here.
    Delivered,
    /// It is on its way to another server.
    Queued,
    /// It does not go there.
    Rejected,
}

/// The recipients of a message, as they were resolved.
pub(super) struct Resolved {
    /// Those who get it.
    pub recipients: Vec<Recipient>,
    /// What becomes of each, in the order in which they were named.
    pub results: Vec<RecipientResult>,
}

impl Resolved {
    /// Looks up where a message of `size_bytes` goes for each of them.
    pub fn of(read: &impl Read, context: &Context, addresses: &[Address], size_bytes: u64) -> Result<Self, StoreError> {
        let is_captured = context.delivery.outbound.capture_to.is_some();
        let mut resolved = Self { recipients: Vec::new(), results: Vec::new() };
        for address in addresses {
            let result = match intake::recipient(read, address, size_bytes)? {
                Ok(recipient) => {
                    let is_queued = !recipient.remote.is_empty() && !is_captured;
                    resolved.recipients.push(recipient);
                    RecipientResult::accepted(address, is_queued)
                }
                Err(reply) => RecipientResult::rejected(address, &reply),
            };
            resolved.results.push(result);
        }
        Ok(resolved)
    }

    /// 422 where nobody gets it.
    pub fn need_somebody(&self, pointer: impl Fn(usize) -> Fault) -> Result<(), Problem> {
        if !self.recipients.is_empty() {
            return Ok(());
        }
        let faults = self.results.iter().enumerate().map(|(place, result)| Fault {
            code: "rejected".into(),
            message: format!("{}: {} {}", result.address, result.code, result.text),
            ..pointer(place)
        });
        Err(Problem::invalid(faults.collect()))
    }

    /// What became of each, once the message is on disk.
    pub fn results_of(self, accepted: &Accepted) -> Vec<RecipientResult> {
        let mut entries = HashMap::new();
        for (given, id) in &accepted.queued {
            // An alias may lead to several: the first of them is named.
            entries.entry(given.to_string()).or_insert(id);
        }
        let mut results = self.results;
        for result in &mut results {
            result.queue_id = entries.get(&result.address).map(ToString::to_string);
        }
        results
    }
}

impl RecipientResult {
    fn accepted(address: &Address, is_queued: bool) -> Self {
        let (outcome, text) = match is_queued {
            true => (RecipientOutcome::Queued, "queued"),
            false => (RecipientOutcome::Delivered, "delivered"),
        };
        Self { address: address.to_string(), outcome, queue_id: None, code: 250, text: text.into() }
    }

    fn rejected(address: &Address, reply: &Reply) -> Self {
        let enhanced = reply.enhanced().map(|enhanced| format!("{enhanced} ")).unwrap_or_default();
        Self {
            address: address.to_string(),
            outcome: RecipientOutcome::Rejected,
            queue_id: None,
            code: reply.code(),
            text: format!("{enhanced}{}", reply.text()),
        }
    }
}

impl Refusal for Refused {
    fn is_precondition(&self) -> bool {
        false
    }

    fn problem(self) -> Problem {
        match self {
            Self::OverQuota(_) | Self::Gone(_) => Problem::new(
                Code::Conflict,
                format!("{self}: somebody was quicker. Nobody got the message: try again."),
            ),
            Self::Loop(_) | Self::Nobody => Problem::invalid(vec![Fault::body("", "refused", self.to_string())]),
        }
    }
}
