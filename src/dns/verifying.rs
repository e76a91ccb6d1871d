use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolveHosts;

use super::prover::Anchors;
use super::resolver::builder;
use crate::base::limits;

/// The library's resolver that verifies. It remembers each set of records that it has judged, up to 2^20 of them, and can't
/// be told to forget any: after [`limits::DNSSEC_QUESTIONS`] there is a new one.
pub(super) struct Verifying {
    servers: Vec<SocketAddr>,
    timeout: Duration,
    anchors: Anchors,
    /// With how often it was taken.
    current: Mutex<(TokioResolver, usize)>,
}

impl Verifying {
    /// As [`Resolver::new`](super::Resolver::new).
    pub(super) fn new(servers: &[SocketAddr], timeout: Duration, anchors: &Anchors) -> Result<Self, String> {
        let first = build(servers, timeout, anchors)?;
        let current = Mutex::new((first, 0));
        Ok(Self { servers: servers.to_vec(), timeout, anchors: anchors.clone(), current })
    }

    /// For one question.
    pub(super) fn get(&self) -> TokioResolver {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.1 += 1;
        if current.1 > limits::DNSSEC_QUESTIONS {
            match build(&self.servers, self.timeout, &self.anchors) {
                Ok(new) => *current = (new, 1),
                Err(error) => tracing::warn!(error, "a new resolver can't be made: the old one stays"),
            }
        }
        current.0.clone()
    }
}

fn build(servers: &[SocketAddr], timeout: Duration, anchors: &Anchors) -> Result<TokioResolver, String> {
    let mut builder = builder(servers, timeout)?.with_trust_anchor(Arc::clone(&anchors.0));
    builder.options_mut().use_hosts_file = ResolveHosts::Never;
    builder.build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_remembered_is_forgotten_in_the_end() {
        let servers = ["127.0.0.1:1".parse().unwrap()];
        let verifying = Verifying::new(&servers, Duration::from_secs(1), &Anchors::root()).unwrap();
        let taken = || verifying.current.lock().unwrap().1;
        for _ in 0..limits::DNSSEC_QUESTIONS {
            verifying.get();
        }
        assert_eq!(taken(), limits::DNSSEC_QUESTIONS);
        verifying.get();
        assert_eq!(taken(), 1);
    }
}
