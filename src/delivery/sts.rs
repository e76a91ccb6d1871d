use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Context;
use crate::base::{DomainName, limits};
use crate::dns::DnsError;
use crate::fetch::{Client, FetchError};
use crate::store::StoreError;
use crate::tlspolicy::{self, Forget, Keep, Known, Mode, StsFault, StsPolicy, Use};
use crate::tlsreport::ResultKind;

/// Domains whose policy could not be fetched lately: until when, by the clock that nobody sets.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<DomainName, u64>>);

/// Why a domain that says that it has a policy has none to go by.
#[derive(Debug, thiserror::Error)]
enum Unfetched {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Policy(#[from] StsFault),
}

impl Unfetched {
    /// For a report.
    // RFC 8460 §4.3.2.2
    fn kind(&self) -> ResultKind {
        match self {
            Self::Fetch(FetchError::Tls(_)) => ResultKind::StsWebPkiInvalid,
            Self::Fetch(_) => ResultKind::StsPolicyFetchError,
            Self::Policy(_) => ResultKind::StsPolicyInvalid,
        }
    }
}

/// A domain may have a policy, and it is not known which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unknown;

/// The MTA-STS policy that mail to a domain goes by now, if any: as it was kept while the domain's TXT record names the
/// same one, or gives no answer; as it is fetched where that names another.
///
/// # Errors
/// [`Unknown`]: to most mail the same as none.
// RFC 8461 §3.3, §5.1
pub(super) async fn policy(context: &Context, domain: &DomainName) -> Result<Option<StsPolicy>, Unknown> {
    let Some(client) = &context.fetch else { return Ok(None) };
    let kept = match kept(context, domain) {
        Ok(kept) => kept,
        Err(error) => {
            tracing::error!(%error, %domain, "the MTA-STS policies can't be read");
            None
        }
    };
    let known = match (announced(context, domain, false).await, kept) {
        (Ok(Some(id)), Some(kept)) if kept.id == id => kept,
        // RFC 8461 §3.3: where the new one can't be had, the old one holds on.
        (Ok(Some(id)), kept) => renewed(context, client, domain, id, kept.as_ref()).await.or(kept).ok_or(Unknown)?,
        (_, Some(kept)) => kept,
        (Ok(None), None) => return Ok(None),
        (Err(_), None) => return Err(Unknown),
    };
    if context.clock.now().ms_since(known.used_at) >= limits::STS_REFRESH_MS {
        context.store.ride(Use { domain: domain.clone(), at: context.clock.now() });
    }
    Ok(Some(known.policy).filter(|policy| policy.mode != Mode::None))
}

fn kept(context: &Context, domain: &DomainName) -> Result<Option<Known>, StoreError> {
    tlspolicy::policy(&context.store.view()?, domain, context.clock.now())
}

/// The id of the policy that the domain has by the DNS. `fresh`: not what was answered before.
async fn announced(context: &Context, domain: &DomainName, fresh: bool) -> Result<Option<String>, DnsError> {
    let texts = context.resolver.texts(&format!("_mta-sts.{domain}"), domain, fresh).await?;
    Ok(tlspolicy::sts_id(texts.iter().map(String::as_str)))
}

/// Fetches a policy and keeps it; `None`: there is none, as one that was looked for a moment ago.
async fn renewed(
    context: &Context,
    client: &Client,
    domain: &DomainName,
    id: String,
    kept: Option<&Known>,
) -> Option<Known> {
    let now_ms = context.clock.monotonic_ms();
    if context.state.sts_failures.is_resting(domain, now_ms) {
        return None;
    }
    match fetch(client, domain).await {
        Ok(policy) => {
            tracing::info!(event = "sts_policy", %domain, id, mode = %policy.mode, "an MTA-STS policy was fetched");
            let now = context.clock.now();
            let known = Known { used_at: kept.map_or(now, |kept| kept.used_at), ..Known::new(id, policy, now) };
            let keep = Keep { domain: domain.clone(), known: known.clone() };
            if let Err(error) = context.store.write(keep).await {
                tracing::warn!(%error, %domain, "an MTA-STS policy can't be kept");
            }
            Some(known)
        }
        Err(error) => {
            tracing::warn!(event = "sts_policy_failed", %domain, id, %error, "an MTA-STS policy can't be fetched");
            context.state.sts_failures.note(domain, now_ms);
            context.note_unfetched(domain, error.kind());
            None
        }
    }
}

// RFC 8461 §3.3
async fn fetch(client: &Client, domain: &DomainName) -> Result<StsPolicy, Unfetched> {
    // A name that is too long for it has no such host.
    let host = DomainName::parse(&format!("mta-sts.{domain}"))
        .map_err(|_| FetchError::Dns(DnsError::NoSuchName(domain.clone())))?;
    Ok(StsPolicy::read(&client.text(&host, "/.well-known/mta-sts.txt").await?)?)
}

impl Failures {
    fn is_resting(&self, domain: &DomainName, now_ms: u64) -> bool {
        let failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get(domain).is_some_and(|until| now_ms < *until)
    }

    fn note(&self, domain: &DomainName, now_ms: u64) {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= limits::STS_FAILURES {
            failed.retain(|_, until| now_ms < *until);
        }
        if failed.len() < limits::STS_FAILURES {
            failed.insert(domain.clone(), now_ms.saturating_add(limits::STS_AGAIN_MS));
        }
    }
}

/// Fetches policies anew that are in use, before they expire, and forgets those that have: every so often, until the
/// context's stop is cancelled.
// RFC 8461 §3.3, §10.2: so that nobody who keeps the web server from us for a while brings a policy to its end
pub async fn keep_policies(context: Arc<Context>) {
    let pause = Duration::from_secs(limits::PRUNE_EVERY_S);
    loop {
        let round = context.stop.run_until_cancelled(refresh(&context)).await;
        match round {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::warn!(%error, "the MTA-STS policies can't be gone through"),
            None => return,
        }
        if context.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

/// One round through all policies.
async fn refresh(context: &Context) -> Result<(), StoreError> {
    let Some(client) = &context.fetch else { return Ok(()) };
    let mut after: Option<DomainName> = None;
    loop {
        let from = after.take();
        let slice = context.store.read(move |view| tlspolicy::policies(view, from.as_ref(), limits::STS_SLICE)).await?;
        let Some((last, _)) = slice.last() else { return Ok(()) };
        after = Some(last.clone());
        let now = context.clock.now();
        let over: Vec<DomainName> =
            slice.iter().filter(|(_, known)| !known.holds(now)).map(|(domain, _)| domain.clone()).collect();
        if !over.is_empty() {
            let forget = Forget { domains: over, at: now };
            if let Err(error) = context.store.write(forget).await {
                tracing::warn!(%error, "MTA-STS policies can't be forgotten");
            }
        }
        for (domain, known) in slice.iter().filter(|(_, known)| is_due(known, context)) {
            // One whose record is gone expires.
            if let Ok(Some(id)) = announced(context, domain, true).await {
                renewed(context, client, domain, id, Some(known)).await;
            }
        }
    }
}

/// Whether a policy in force that mail still goes by is to be fetched anew: after a day, or half of its time.
fn is_due(known: &Known, context: &Context) -> bool {
    let now = context.clock.now();
    let half_ms = known.expires_at.ms_since(known.fetched_at) / 2;
    known.holds(now)
        && now.ms_since(known.used_at) < limits::STS_UNUSED_MS
        && now.ms_since(known.fetched_at) >= limits::STS_REFRESH_MS.min(half_ms)
}
