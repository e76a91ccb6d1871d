use std::convert::Infallible;

use super::row::{Day, DayResults, Failure, PolicySeen, RESULTS};
use crate::base::{DomainName, limits};
use crate::store::{Halt, Op, Read, Span, StoreError, Tx};

/// Counts what one session shows. It rides: a crash takes the counts of the last second with it, which is no harm.
#[derive(Debug, Clone)]
pub struct Note {
    /// The day.
    pub day: Day,
    /// The domain of the mail.
    pub domain: DomainName,
    /// The policy that was gone by.
    pub policy: PolicySeen,
    /// What failed; `None`: nothing did.
    pub failure: Option<Failure>,
}

impl Op for Note {
    type Plan = Option<DayResults>;
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "tlsreport.note"
    }

    fn weight_bytes(&self) -> usize {
        let lines = match &self.policy {
            PolicySeen::NoneFound => 0,
            PolicySeen::Sts { lines, mx_hosts } => lines.iter().chain(mx_hosts).map(String::len).sum(),
            PolicySeen::Tlsa { records, .. } => records.iter().map(String::len).sum(),
        };
        256 + lines
    }

    fn is_expendable(&self) -> bool {
        true
    }

    /// Beyond [`limits::TLS_RESULT_DOMAINS`] a day, no other domain is noted.
    fn check(&self, tx: &Tx<'_>) -> Result<Option<DayResults>, Halt<Infallible>> {
        if let Some(known) = tx.get_if_sound(&RESULTS, &self.key())? {
            return Ok(Some(known));
        }
        let of_day = tx.keys(&RESULTS, Span::prefix(&self.day.0), limits::TLS_RESULT_DOMAINS)?;
        Ok((of_day.len() < limits::TLS_RESULT_DOMAINS).then(DayResults::default))
    }

    fn apply(&self, tx: &mut Tx<'_>, results: Option<DayResults>) -> Result<(), StoreError> {
        let Some(mut results) = results else { return Ok(()) };
        results.count(&self.policy, self.failure.as_ref());
        tx.put(&RESULTS, &self.key(), &results)
    }
}

impl Note {
    fn key(&self) -> (u64, String) {
        (self.day.0, self.domain.to_string())
    }
}

/// Forgets what is kept of domains and days: it was reported, or nobody wants to know.
#[derive(Debug, Clone)]
pub struct Forget(pub Vec<(Day, String)>);

impl Op for Forget {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "tlsreport.forget"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _tx: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        self.0.iter().try_for_each(|(day, domain)| tx.remove(&RESULTS, &(day.0, domain.clone())).map(drop))
    }
}
