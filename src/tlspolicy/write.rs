use std::convert::Infallible;
use std::ops::ControlFlow;

use super::row::{Known, POLICIES};
use crate::base::{DomainName, Timestamp, limits};
use crate::store::{Halt, Op, Read, Span, StoreError, Tx};

/// Keeps a policy that was fetched, in the place of the domain's old one. Beyond [`limits::STS_POLICIES`], that which
/// would end first makes room.
#[derive(Debug, Clone)]
pub struct Keep {
    /// The domain of the mail.
    pub domain: DomainName,
    /// What was fetched.
    pub known: Known,
}

impl Op for Keep {
    /// Whose policy makes room.
    type Plan = Option<String>;
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "tlspolicy.keep"
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Option<String>, Halt<Infallible>> {
        if tx.has(&POLICIES, &self.domain.to_string())? {
            return Ok(None);
        }
        let (mut count, mut first) = (0, None);
        tx.scan(&POLICIES, Span::all(), |domain: String, known| {
            count += 1;
            let is_first = first.as_ref().is_none_or(|(end, _)| known.expires_at < *end);
            if is_first {
                first = Some((known.expires_at, domain));
            }
            ControlFlow::Continue(())
        })?;
        Ok(first.filter(|_| count >= limits::STS_POLICIES).map(|(_, domain)| domain))
    }

    fn apply(&self, tx: &mut Tx<'_>, out: Option<String>) -> Result<(), StoreError> {
        if let Some(out) = out {
            tx.remove(&POLICIES, &out)?;
        }
        tx.put(&POLICIES, &self.domain.to_string(), &self.known)
    }
}

/// Notes that mail has gone by a policy, for [`Known::used_at`].
#[derive(Debug, Clone)]
pub struct Use {
    /// The domain of the mail.
    pub domain: DomainName,
    /// Now.
    pub at: Timestamp,
}

impl Op for Use {
    type Plan = Option<Known>;
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "tlspolicy.use"
    }

    fn is_expendable(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Option<Known>, Halt<Infallible>> {
        Ok(tx.get_if_sound(&POLICIES, &self.domain.to_string())?)
    }

    fn apply(&self, tx: &mut Tx<'_>, known: Option<Known>) -> Result<(), StoreError> {
        let Some(known) = known else { return Ok(()) };
        tx.put(&POLICIES, &self.domain.to_string(), &Known { used_at: self.at.max(known.used_at), ..known })
    }
}

/// Forgets policies that are over.
#[derive(Debug, Clone)]
pub struct Forget {
    /// Of these domains; each is looked at once more.
    pub domains: Vec<DomainName>,
    /// Now.
    pub at: Timestamp,
}

impl Op for Forget {
    type Plan = Vec<String>;
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "tlspolicy.forget"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Vec<String>, Halt<Infallible>> {
        let mut over = Vec::new();
        for domain in self.domains.iter().map(ToString::to_string) {
            if tx.get_if_sound(&POLICIES, &domain)?.is_some_and(|known| !known.holds(self.at)) {
                over.push(domain);
            }
        }
        Ok(over)
    }

    fn apply(&self, tx: &mut Tx<'_>, over: Vec<String>) -> Result<(), StoreError> {
        over.iter().try_for_each(|domain| tx.remove(&POLICIES, domain).map(drop))
    }
}
