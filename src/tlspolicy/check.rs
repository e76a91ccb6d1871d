use std::ops::ControlFlow;

use super::row::POLICIES;
use crate::base::{DomainName, limits};
use crate::store::{CrossCheck, Findings, Read, Span, StoreError, View};

/// The room's cross-checks.
pub const CHECKS: &[CrossCheck] = &[CrossCheck { name: "MTA-STS policies and their domains", run: check_policies }];

/// Every policy is of a domain, and none holds for longer than one may.
fn check_policies(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    view.scan(&POLICIES, Span::all(), |domain: String, known| {
        if DomainName::parse(&domain).map(|name| name.to_string()).as_deref() != Ok(domain.as_str()) {
            // Nobody finds it; what is fetched anew stands where it belongs.
            findings.add(format!("sts_policies: {domain:?} is no domain")).remove(&POLICIES, &domain);
        } else if known.expires_at > known.fetched_at.plus_ms(limits::STS_MAX_AGE_S * 1000) {
            findings.add(format!("sts_policies: that of {domain} never ends")).remove(&POLICIES, &domain);
        }
        ControlFlow::Continue(())
    })
}
