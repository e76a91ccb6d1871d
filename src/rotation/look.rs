use crate::base::DomainName;
use crate::directory::Domain;
use crate::dkim::{self, DkimKey, DnsState};
use crate::dns::Resolver;

/// What the DNS says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Under the domain's own name.
    pub dns: DnsState,
    /// Under which of the domain's names the key's record stands.
    pub seen_in: Vec<DomainName>,
}

/// Looks for a key's record under the domain's own name and its other ones. A name that the DNS does not answer for stays
/// as it was. `fresh`: not what was answered before.
pub async fn look(resolver: &Resolver, domain: &Domain, key: &DkimKey, fresh: bool) -> Look {
    let mut look = Look { dns: DnsState::Unknown, seen_in: Vec::new() };
    for name in std::iter::once(&domain.name).chain(&domain.fields.aliases) {
        let dns = match resolver.texts(&dkim::record_name(&key.selector, name), name, fresh).await {
            Ok(texts) => dkim::judge(key.algorithm, &key.public, &texts),
            Err(error) => {
                tracing::debug!(%name, selector = key.selector, %error, "a DKIM record could not be looked for");
                DnsState::Unknown
            }
        };
        if dns == DnsState::Published || dns == DnsState::Unknown && key.seen_in.contains(name) {
            look.seen_in.push(name.clone());
        }
        if *name == domain.name {
            look.dns = dns;
        }
    }
    look
}
