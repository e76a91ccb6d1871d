use super::row::RESULTS;
use crate::base::DomainName;
use crate::store::{CrossCheck, Findings, Read, Span, StoreError, View};

/// The room's cross-checks.
pub const CHECKS: &[CrossCheck] = &[CrossCheck { name: "results of TLS and their domains", run: check_domains }];

/// Every result is of a domain: of any other nobody could be told.
fn check_domains(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    for place in view.keys(&RESULTS, Span::all(), usize::MAX)? {
        let domain = &place.1;
        if DomainName::parse(domain).map(|name| name.to_string()).as_ref() != Ok(domain) {
            findings.add(format!("tls_results: {domain:?} is no domain")).remove(&RESULTS, &place);
        }
    }
    Ok(())
}
