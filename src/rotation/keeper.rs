use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::look::look;
use super::make::{NotMade, has_keys, make};
use crate::audit::{Act, Audited};
use crate::base::{DomainName, Timestamp, limits};
use crate::delivery;
use crate::directory::{self, DIRECTORY_TOPIC, Domain, Precondition};
use crate::dkim::{self, ActivateKey, DeleteKey, DkimKey, DnsState, KeyRefused, KeyState, NoteDns};
use crate::queue;
use crate::settings::Live;
use crate::store::{Op, StoreError, Tx, WriteError};

/// Who does it, in the audit.
const ACTOR: &str = "server";

/// Leads the keys of all domains through their states.
pub struct Keeper {
    /// The file, the clock and the DNS.
    out: Arc<delivery::Context>,
    live: Arc<Live>,
    /// When keys that sign were last looked for, by the clock that nobody sets.
    rechecked_ms: Option<u64>,
}

impl Keeper {
    /// One for the whole server.
    pub fn new(out: Arc<delivery::Context>, live: Arc<Live>) -> Self {
        Self { out, live, rechecked_ms: None }
    }

    /// Makes the keys of new domains, and looks after all keys every few minutes, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changed = self.out.store.bus().watch(DIRECTORY_TOPIC);
        let pause = Duration::from_secs(limits::DKIM_LOOK_S);
        let mut next_look = Instant::now() + pause;
        let work = async {
            loop {
                self.make_first_keys().await;
                tokio::select! {
                    () = sleep_until(next_look) => {
                        self.look_after_keys().await;
                        next_look = Instant::now() + pause;
                    }
                    topic = changed.next() => match topic {
                        Some(_) => sleep(Duration::from_secs(limits::DKIM_FIRST_KEYS_S)).await,
                        None => return,
                    }
                }
            }
        };
        stop.run_until_cancelled(work).await;
    }

    /// Makes keys for each domain that has none.
    pub(super) async fn make_first_keys(&self) {
        if !self.live.now().dkim_create_keys {
            return;
        }
        match self.domains_without_keys().await {
            Ok(domains) => {
                for domain in domains {
                    if let Err(error) = self.make_first_keys_of(&domain).await {
                        tracing::error!(event = "dkim_keys_not_made", %domain, %error, "a domain has got no DKIM keys");
                    }
                }
            }
            Err(error) => tracing::error!(event = "dkim_keys_not_made", %error, "domains can't be read"),
        }
    }

    /// Looks for each key in the DNS where it is time to, and does what follows.
    pub(super) async fn look_after_keys(&mut self) {
        let now_ms = self.out.clock.monotonic_ms();
        let is_due = |at: u64| now_ms.saturating_sub(at) >= limits::DKIM_RECHECK_MS;
        let recheck = self.rechecked_ms.is_none_or(is_due);
        if recheck {
            self.rechecked_ms = Some(now_ms);
        }
        let mut after: Option<DkimKey> = None;
        loop {
            let slice = self.slice(after.take()).await;
            let slice = slice.unwrap_or_else(|error| {
                tracing::error!(event = "dkim_keys_unread", %error, "DKIM keys can't be read");
                Vec::new()
            });
            for (key, domain) in &slice {
                if let Err(error) = self.look_after(key, domain, recheck).await {
                    let DkimKey { domain, selector, .. } = key;
                    tracing::error!(event = "dkim_key_stuck", %domain, selector, error, "a DKIM key could not go on");
                }
            }
            match slice.into_iter().last() {
                Some((last, _)) => after = Some(last),
                None => return,
            }
        }
    }

    async fn look_after(&self, key: &DkimKey, domain: &Domain, recheck: bool) -> Result<(), String> {
        match key.state {
            KeyState::Pending => self.find(key, domain).await,
            KeyState::Active { .. } if recheck => self.recheck(key, domain).await,
            KeyState::Active { .. } => Ok(()),
            KeyState::Retiring { since } => self.remove_in_time(key, since).await,
        }
    }

    /// A key whose record is there begins to sign.
    async fn find(&self, key: &DkimKey, domain: &Domain) -> Result<(), String> {
        let look = look(&self.out.resolver, domain, key, true).await;
        if look.dns != DnsState::Published || key.private.is_empty() {
            return self.note(key, look.dns, look.seen_in).await;
        }
        let (at, precondition) = (self.out.clock.now(), Precondition::Version(key.version));
        let DkimKey { domain, selector, .. } = key.clone();
        let op = ActivateKey { domain, selector, seen_in: look.seen_in, precondition, at };
        if self.write(key, "activate_dkim_key", op).await? {
            let DkimKey { domain, selector, .. } = key;
            tracing::info!(event = "dkim_key_active", %domain, selector, "a DKIM key was found in the DNS and signs");
        }
        Ok(())
    }

    async fn recheck(&self, key: &DkimKey, domain: &Domain) -> Result<(), String> {
        let look = look(&self.out.resolver, domain, key, true).await;
        let has_gone = matches!(look.dns, DnsState::Missing | DnsState::Wrong);
        if has_gone {
            let DkimKey { domain, selector, .. } = key;
            tracing::warn!(event = "dkim_record_gone", %domain, selector, "the record of a DKIM key that signs is not in the DNS");
        }
        // What gives no answer now was there before.
        if look.dns == DnsState::Unknown { Ok(()) } else { self.note(key, look.dns, look.seen_in).await }
    }

    /// Removes a key that has retired when all that it has signed must have arrived.
    async fn remove_in_time(&self, key: &DkimKey, since: Timestamp) -> Result<(), String> {
        if self.out.clock.now().ms_since(since) < limits::DKIM_RETIRED_MS {
            return Ok(());
        }
        let oldest = self.out.store.view().and_then(|view| queue::oldest(&view)).map_err(|error| error.to_string())?;
        if oldest.is_some_and(|id| id.at() <= since) {
            return Ok(());
        }
        let DkimKey { domain, selector, .. } = key.clone();
        let precondition = Precondition::Version(key.version);
        if self.write(key, "delete_dkim_key", DeleteKey { domain, selector, precondition, force: true }).await? {
            let DkimKey { domain, selector, .. } = key;
            tracing::info!(event = "dkim_key_removed", %domain, selector, "a DKIM key has retired: its record can go");
        }
        Ok(())
    }

    async fn note(&self, key: &DkimKey, dns: DnsState, seen_in: Vec<DomainName>) -> Result<(), String> {
        if key.dns == dns && key.seen_in == seen_in && key.dns_since.is_some() {
            return Ok(());
        }
        let DkimKey { domain, selector, .. } = key.clone();
        let op = NoteDns { domain, selector, dns, seen_in, at: self.out.clock.now() };
        self.out.store.write(op).await.map(drop).map_err(|error| error.to_string())
    }

    /// Makes a change and says in the audit that the server has made it. Whether it did: somebody may have changed the
    /// key meanwhile, and the next look sees it as it is then.
    async fn write<O: Op<Refused = KeyRefused>>(&self, key: &DkimKey, action: &str, op: O) -> Result<bool, String> {
        let (domain, selector) = (key.domain.clone(), key.selector.clone());
        let target = format!("{domain}/{selector}");
        let show = move |tx: &Tx<'_>| Ok(dkim::key(tx, &domain, &selector)?.map(|key| shown(&key)));
        let act =
            Act { actor: ACTOR.into(), token_id: None, ip: None, action: action.into(), request_id: String::new() };
        let audited = Audited { op, act, target, at: self.out.clock.now(), show };
        match self.out.store.write(audited).await {
            Ok(_) => Ok(true),
            Err(WriteError::Refused(_)) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn make_first_keys_of(&self, domain: &DomainName) -> Result<(), NotMade> {
        let op = make(&[], domain, true, self.out.clock.now()).await?;
        match self.out.store.write(op).await {
            Ok(_) => tracing::info!(event = "dkim_keys_made", %domain, "a domain has got DKIM keys, to be published"),
            // Somebody was quicker, or has deleted the domain meanwhile; or the disk is full, and the next look will do.
            Err(error) => tracing::debug!(%domain, %error, "DKIM keys were not added"),
        }
        Ok(())
    }

    async fn domains_without_keys(&self) -> Result<Vec<DomainName>, StoreError> {
        let (mut found, mut after) = (Vec::new(), None::<DomainName>);
        loop {
            let from = after.take();
            let slice = self.out.store.read(move |view| {
                let domains = directory::domains(view, from.as_ref(), limits::DKIM_SLICE)?;
                let judged = domains.into_iter().map(|domain| {
                    let has_keys = has_keys(view, &domain.name)?;
                    Ok::<_, StoreError>((domain.name, has_keys))
                });
                judged.collect::<Result<Vec<_>, StoreError>>()
            });
            let slice = slice.await?;
            after = slice.last().map(|(name, _)| name.clone());
            found.extend(slice.into_iter().filter(|(_, has_keys)| !has_keys).map(|(name, _)| name));
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    /// The next keys, each with its domain.
    async fn slice(&self, after: Option<DkimKey>) -> Result<Vec<(DkimKey, Domain)>, StoreError> {
        let read = self.out.store.read(move |view| {
            let mut found = Vec::new();
            for key in dkim::all_keys(view, after.as_ref(), limits::DKIM_SLICE)? {
                // Without one it is damage, for the check to tell.
                if let Some(domain) = directory::domain(view, &key.domain)? {
                    found.push((key, domain));
                }
            }
            Ok(found)
        });
        read.await
    }
}

fn shown(key: &DkimKey) -> Value {
    let state = match key.state {
        KeyState::Pending => "pending",
        KeyState::Active { .. } => "active",
        KeyState::Retiring { .. } => "retiring",
    };
    json!({"domain": key.domain.as_str(), "selector": key.selector, "algorithm": key.algorithm.name(), "state": state})
}
