use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::limits;

/// When mail was last released by ETRN, for each domain: what comes again too soon does nothing. Cheap to clone: all
/// clones are one register.
// RFC 1985 §7: nobody shall keep the server busy by asking again and again.
#[derive(Debug, Clone, Default)]
pub struct Flushes(Arc<Mutex<BTreeMap<String, u64>>>);

impl Flushes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the mail of `node` (a domain, or `#` and a peer's name) may be released now; if so, it is noted.
    /// `now_ms` is of the clock that nobody sets. Ask only for what a peer may ask for: the names are kept a while.
    pub fn begin(&self, node: &str, now_ms: u64) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|_, at| now_ms.saturating_sub(*at) < limits::ETRN_PAUSE_MS);
        match last.contains_key(node) {
            true => false,
            false => last.insert(node.to_owned(), now_ms).is_none(),
        }
    }

    /// It could not be released: the next wish counts.
    pub fn forget(&self, node: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_flush_in_ten_minutes() {
        let flushes = Flushes::new();
        let pause = limits::ETRN_PAUSE_MS;
        let check = |node, at, expected| assert_eq!(flushes.begin(node, at), expected, "{node} at {at}");
        check("a.test", 5, true);
        check("a.test", 6, false);
        check("b.test", 6, true);
        check("a.test", 5 + pause - 1, false);
        check("a.test", 5 + pause, true);
        check("a.test", 6 + pause, false);
        flushes.forget("a.test");
        check("a.test", 6 + pause, true);
    }
}
