use std::net::{IpAddr, SocketAddr};

use futures_util::future::join_all;

use super::Context;
use super::dane::{self, Signed};
use super::servers::{Candidate, Own, Server, Unroutable, servers};
use super::way::{To, Way};
use crate::base::{DomainName, Enhanced, Host};
use crate::dns::{DnsError, HostAnswer, MailServers, Prover};
use crate::net::may_be_dialled;

/// Finds the servers to dial for a way, in their order, never none.
///
/// # Errors
/// [`Unroutable`].
pub(super) async fn locate(context: &Context, way: &Way) -> Result<Vec<Server>, Unroutable> {
    match &way.to {
        To::Mx(Host::Name(domain)) => by_mx(context, domain, dane::prover(context, domain, way.tls).await).await,
        To::Mx(Host::Literal(ip)) => literal(context, *ip),
        To::Relay { host, port, .. } | To::Peer { host, port, .. } => by_host(context, host, *port).await,
    }
}

async fn by_mx(context: &Context, domain: &DomainName, prover: Option<&Prover>) -> Result<Vec<Server>, Unroutable> {
    let answer = match prover {
        Some(prover) => prover.mail_servers(domain).await,
        None => context.resolver.mail_servers(domain).await.map(|servers| (servers, false)),
    };
    let (named, is_signed) = match answer {
        Ok((MailServers::Mx(named), is_signed)) => (named, is_signed),
        // RFC 5321 §5.1: "as if it was associated with an implicit MX RR, with a preference of 0"
        Ok((MailServers::Implicit, is_signed)) => (vec![(0, domain.clone())], is_signed),
        Ok((MailServers::Null, _)) => return Err(Unroutable::null_mx(domain)),
        Err(error) => return Err(Unroutable::dns(&error)),
    };
    let lookups = named.into_iter().map(|(preference, host)| async move {
        let found = match prover {
            Some(prover) => proved(context, prover, domain, is_signed, &host).await,
            None => context.resolver.addresses(&host).await.map(|addresses| (addresses, Signed::default())),
        };
        match found {
            Ok((addresses, signed)) => Candidate { preference, host, addresses: Ok(addresses), signed },
            Err(error) => Candidate { preference, host, addresses: Err(error), signed: Signed::default() },
        }
    });
    // At most ten: one after the other would add their time-outs up.
    let candidates = join_all(lookups).await;
    let own = Own { hostname: &context.outbound.hostname, listeners: context.state.listeners() };
    servers(domain, candidates, &own, context.remote_port, &context.allow_networks, &*context.random)
}

/// Where a server of a domain is, and what DNSSEC says of it.
///
/// # Errors
/// [`DnsError`]: also where it can't be known whether its certificate is published, since who holds that back could send
/// the mail elsewhere.
// RFC 7672 §2.1.2, §2.2.2
async fn proved(
    context: &Context,
    prover: &Prover,
    domain: &DomainName,
    is_named: bool,
    host: &DomainName,
) -> Result<(Vec<IpAddr>, Signed), DnsError> {
    let HostAnswer { addresses, bases } = prover.host(host).await?;
    // RFC 7672 §2.2.1: who could change the MX record unseen could name a server of theirs, with a record that is right.
    let dane = match is_named && !addresses.is_empty() {
        true => dane::published(context, prover, domain, bases).await?,
        false => None,
    };
    Ok((addresses, Signed { is_named, dane }))
}

// RFC 5321 §4.1.3
fn literal(context: &Context, ip: IpAddr) -> Result<Vec<Server>, Unroutable> {
    if !may_be_dialled(ip, &context.allow_networks) {
        let text = format!("{ip} is not an address of the public internet");
        return Err(Unroutable::permanent(Enhanced(5, 4, 4), text));
    }
    let address = SocketAddr::new(ip.to_canonical(), context.remote_port);
    if context.state.listeners().contains(&address) {
        return Err(Unroutable::permanent(Enhanced(5, 4, 6), format!("{ip} is this server, which does not take it")));
    }
    Ok(vec![Server { name: Host::Literal(ip).to_string(), address, preference: 0, signed: Signed::default() }])
}

/// An administrator has named the host: its addresses may be any. That there are none is for the administrator to mend,
/// and no reason to bounce mail.
async fn by_host(context: &Context, host: &Host, port: u16) -> Result<Vec<Server>, Unroutable> {
    let addresses = match host {
        Host::Literal(ip) => vec![*ip],
        Host::Name(name) => match context.resolver.addresses(name).await {
            Ok(addresses) => addresses,
            Err(error) => return Err(Unroutable::temporary(Enhanced(4, 4, 3), error.to_string())),
        },
    };
    if addresses.is_empty() {
        return Err(Unroutable::temporary(Enhanced(4, 4, 4), format!("the DNS names no address for {host}")));
    }
    let server = |ip: IpAddr| Server {
        name: host.to_string(),
        address: SocketAddr::new(ip, port),
        preference: 0,
        signed: Signed::default(),
    };
    Ok(addresses.into_iter().take(crate::base::limits::SERVERS_TRIED).map(server).collect())
}
