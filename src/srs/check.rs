use super::row::{KEY, KEYS, SENDERS};
use crate::base::limits;
use crate::store::{AnyTable, CrossCheck, Findings, Read, Span, StoreError, View};

/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[&KEYS, &SENDERS];

/// The room's cross-checks.
pub const CHECKS: &[CrossCheck] = &[CrossCheck { name: "rewritten senders", run: check_senders }];

fn check_senders(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    for (name, _) in view.rows(&KEYS, Span::all(), usize::MAX)? {
        if name != KEY {
            findings.add(format!("srs_keys: nothing uses the key {name}")).set_aside(&KEYS, &name);
        }
    }
    for place in view.keys(&SENDERS, Span::all(), usize::MAX)? {
        if place.1 >= limits::SRS_SENDERS_A_DAY {
            let what = format!("srs_senders: number {} of day {} is one too many", place.1, place.0);
            findings.add(what).set_aside(&SENDERS, &place);
        }
    }
    Ok(())
}
