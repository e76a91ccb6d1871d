use std::collections::HashMap;

use super::key::{Algorithm, parse};
use super::row::{DkimKey, KEYS, VERSIONS};
use crate::directory;
use crate::store::{AnyTable, CrossCheck, Findings, Read, Span, StoreError, View};

/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[&KEYS];

/// The room's cross-checks.
pub const CHECKS: &[CrossCheck] = &[CrossCheck { name: "DKIM keys and their domains", run: check_keys }];

fn check_keys(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let (mut last, mut signing) = (0, HashMap::<(String, Algorithm), String>::new());
    for (at, key) in view.rows(&KEYS, Span::all(), usize::MAX)? {
        last = last.max(key.version);
        let DkimKey { domain, selector, algorithm, private, .. } = &key;
        if (domain.as_str(), selector.as_str()) != (at.0.as_str(), at.1.as_str()) {
            let what = format!("dkim_keys: the row at {} of {} is {selector} of {domain}", at.1, at.0);
            findings.add(what).set_aside(&KEYS, &at);
            continue;
        }
        if directory::domain(view, domain)?.is_none() {
            findings.add(format!("dkim_keys: {selector} is of {domain}, which is not there")).set_aside(&KEYS, &at);
            continue;
        }
        if !private.is_empty() && parse(*algorithm, private).is_err() {
            findings.add(format!("dkim_keys: {selector} of {domain} is no key")).set_aside(&KEYS, &at);
            continue;
        }
        if key.state.is_active()
            && let Some(other) = signing.insert((domain.to_string(), *algorithm), selector.clone())
        {
            // Both are good: a message that both sign is only larger.
            findings.add(format!("dkim_keys: {other} and {selector} of {domain} sign by the same algorithm"));
        }
    }
    if last > view.counter(VERSIONS)? {
        findings.add("dkim_keys: the counter of their versions is behind").raise(VERSIONS, last);
    }
    Ok(())
}
