use std::sync::Arc;

use super::Context;
use crate::base::{DomainName, TlsWish};
use crate::dns::{DnsError, Prover};
use crate::queue::Words;
use crate::tls::Published;
use crate::tlspolicy::agile;

/// What DNSSEC proves of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Signed {
    /// That it is one of the domain's: its MX record, or that there is none, is signed.
    pub(super) is_named: bool,
    /// What its certificate is.
    pub(super) dane: Option<Dane>,
}

/// What the DNS publishes of a server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dane {
    /// Records that it must match.
    Published(Arc<Published>),
    /// Records that nobody can go by, at that TLSA base domain: there must be TLS, with whatever certificate.
    // RFC 7672 §2.2
    Unusable(DomainName),
}

impl Dane {
    /// For the record of an attempt.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Published(_) => "dane",
            Self::Unusable(_) => "dane unusable",
        }
    }

    /// Says for whose sake a server got nothing.
    pub(super) fn explain(&self, words: Words) -> Words {
        let base = match self {
            Self::Published(published) => &published.base,
            Self::Unusable(base) => base,
        };
        Words { text: format!("by the TLSA records of {base} (DANE): {}", words.text), ..words }
    }
}

/// Who proves what the DNS says of where a domain's mail goes; `None`: nobody can, its sender waives it, or the operator
/// for that domain.
// RFC 8689 §4.2.2: who waives TLS waives DANE
pub(super) async fn prover<'a>(context: &'a Context, domain: &DomainName, wish: TlsWish) -> Option<&'a Prover> {
    let prover = context.prover.as_ref().filter(|_| wish != TlsWish::Optional)?;
    if prover.spares(domain) {
        return None;
    }
    prover.is_able().await.then_some(prover)
}

/// What is published of a server's certificate below the first of these names that has records.
///
/// # Errors
/// [`DnsError`]: nobody may take it for none.
// RFC 7672 §2.1.1, §2.2.2
pub(super) async fn published(
    context: &Context,
    prover: &Prover,
    domain: &DomainName,
    bases: Vec<DomainName>,
) -> Result<Option<Dane>, DnsError> {
    for base in bases {
        let records = prover.tlsa(&base, context.remote_port).await;
        let records = records.inspect_err(|_| context.note_unproved(domain, &base))?;
        if records.is_empty() {
            continue;
        }
        let records = agile(records.into_iter().flatten().collect());
        if records.is_empty() {
            return Ok(Some(Dane::Unusable(base)));
        }
        // RFC 7672 §3.2.2: the TLSA base domain, and the domain of the mail
        let mut names = vec![base.clone(), domain.clone()];
        names.dedup();
        return Ok(Some(Dane::Published(Arc::new(Published { base, names, records }))));
    }
    Ok(None)
}
