use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::send::{NotSent, ToSend, send};
use crate::base::{Address, DAY_MS, DomainName, limits};
use crate::delivery::Context;
use crate::settings::Live;
use crate::store::{StoreError, View, WriteError};
use crate::tlsreport::{self, Day, Forget};

/// Sends the reports of the days that are over, to the domains that want to know.
pub struct Reporter {
    out: Arc<Context>,
    live: Arc<Live>,
}

/// What becomes of what is kept of a domain and a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It goes: nobody wants to know, or may know.
    Goes,
    /// It goes, though somebody may have wanted to know.
    TooOld,
    /// Its time has not come, or it is not known yet who wants to know.
    Stays,
    /// It went with its report.
    Sent,
    /// It stays, and so does everything else: no report can be sent.
    NoneIsSent,
}

impl Reporter {
    /// One for the whole server.
    pub fn new(out: Arc<Context>, live: Arc<Live>) -> Self {
        Self { out, live }
    }

    /// Looks every few minutes what is due, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let pause = Duration::from_secs(limits::TLS_REPORT_LOOK_S);
        let work = async {
            loop {
                if let Err(error) = self.look().await {
                    tracing::error!(event = "tls_reports_unread", %error, "what came of TLS can't be read");
                }
                tokio::time::sleep(pause).await;
            }
        };
        stop.run_until_cancelled(work).await;
    }

    /// Goes once through all days that are over.
    async fn look(&self) -> Result<(), StoreError> {
        let from = Address::parse(&self.live.now().delivery_tls_reports_from).ok();
        self.out.set_notes_tls(from.is_some());
        let today = Day::of(self.out.clock.now());
        let mut after = None;
        loop {
            let behind = after.take();
            let read =
                move |view: &View| tlsreport::days_before(view, today, behind.as_ref(), limits::TLS_REPORT_SLICE);
            let slice = self.out.store.read(read).await?;
            let Some(last) = slice.last().cloned() else { return Ok(()) };
            let (mut gone, mut too_old, mut is_over) = (Vec::new(), 0, false);
            for (day, domain) in slice {
                match self.fate(from.as_ref(), today, day, &domain).await? {
                    Fate::Goes => gone.push((day, domain)),
                    Fate::TooOld => {
                        gone.push((day, domain));
                        too_old += 1;
                    }
                    Fate::Stays | Fate::Sent => {}
                    // The oldest come first: what is behind is not too old.
                    Fate::NoneIsSent => {
                        is_over = true;
                        break;
                    }
                }
            }
            self.forget(gone, too_old).await;
            if is_over {
                return Ok(());
            }
            after = Some(last);
        }
    }

    async fn forget(&self, gone: Vec<(Day, String)>, too_old: usize) {
        if too_old > 0 {
            tracing::warn!(
                event = "tls_reports_too_old",
                domains = too_old,
                "what came of TLS is forgotten, unreported"
            );
        }
        if !gone.is_empty()
            && let Err(error) = self.out.store.write(Forget(gone)).await
        {
            tracing::warn!(%error, "what came of TLS can't be forgotten");
        }
    }

    async fn fate(&self, from: Option<&Address>, today: Day, day: Day, name: &str) -> Result<Fate, StoreError> {
        let (Some(from), Ok(domain)) = (from, DomainName::parse(name)) else { return Ok(Fate::Goes) };
        if today.0.saturating_sub(day.0) > limits::TLS_RESULT_DAYS {
            return Ok(Fate::TooOld);
        }
        if self.out.clock.now() < day.begin().plus_ms(DAY_MS + delay_ms(name)) {
            return Ok(Fate::Stays);
        }
        let texts = self.out.resolver.texts(&format!("_smtp._tls.{domain}"), &domain, false).await;
        // No answer: the next look may have one.
        let Ok(texts) = texts else { return Ok(Fate::Stays) };
        let wanted = tlsreport::wanted(texts.iter().map(String::as_str)).unwrap_or_default();
        if wanted.addresses.is_empty() {
            return Ok(Fate::Goes);
        }
        let Some(results) = tlsreport::results(&self.out.store.view()?, day, name)? else { return Ok(Fate::Goes) };
        let report = ToSend { from, to: &wanted.addresses, domain: &domain, day, results: &results };
        Ok(match send(&self.out, &report).await {
            Ok(id) => {
                tracing::info!(event = "tls_report", %domain, %id, "a report on TLS is sent");
                Fate::Sent
            }
            // Nobody is there to take it.
            Err(NotSent::Write(WriteError::Refused(why))) => {
                tracing::info!(event = "tls_report_refused", %domain, %why, "a report on TLS goes to nobody");
                Fate::Goes
            }
            Err(error @ (NotSent::Unsigned(_) | NotSent::NoDomain(_))) => {
                tracing::warn!(event = "tls_reports_unsigned", %error, "reports on TLS can't be sent");
                Fate::NoneIsSent
            }
            Err(error) => {
                tracing::warn!(event = "tls_report_failed", %domain, %error, "a report on TLS can't be sent");
                Fate::Stays
            }
        })
    }
}

/// How long after the end of a day its report goes: the same for a domain each day.
// RFC 8460 §4.1: after some delay, so that not all reports come at once
fn delay_ms(domain: &str) -> u64 {
    let hash = blake3::hash(domain.as_bytes());
    let number = hash.as_bytes().first_chunk().map_or(0, |chunk| u64::from_be_bytes(*chunk));
    limits::TLS_REPORT_REST_MS + number % limits::TLS_REPORT_SPREAD_MS
}
