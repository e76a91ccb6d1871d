//! Runs long work in the background, writes its progress down, and cancels it when asked to.
//!
//! Floor F4c.

use std::sync::Arc;

use crate::base::{Clock, JobId, MessageIds};
use crate::store::Store;

/// Runs jobs. One for the whole server.
pub struct Jobs {
    /// The file.
    pub store: Store,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where ids come from.
    pub ids: Arc<MessageIds>,
}

impl Jobs {
    /// Ends a job that runs; whether there was one.
    pub fn cancel(&self, id: JobId) -> bool {
        let _ = id;
        todo!()
    }
}
