use std::any::Any;
use std::net::Shutdown;
use std::os::fd::AsFd;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::{TcpStream, UnixStream};

use crate::base::limits;
use crate::net::{PermitLimits, Permits};
use crate::settings::Settings;

/// Marks a connection that came through the unix socket.
struct Socket;

/// Counts the connections of each address: strangers must not take those of everybody.
#[derive(Clone)]
pub(super) struct Door(Permits);

impl Door {
    /// No connections yet.
    pub fn new(settings: &Settings) -> Self {
        Self(Permits::new(PermitLimits {
            total: limits::HTTP_CONNECTIONS,
            per_address: limits::HTTP_CONNECTIONS_PER_ADDRESS,
            per_network: limits::HTTP_CONNECTIONS_PER_NETWORK,
            exempt: settings.limits_exempt_networks.clone(),
        }))
    }

    /// Notes how a connection came in, and closes one too many; called by actix for each new one.
    pub fn note(&self, stream: &dyn Any, extensions: &mut Extensions) {
        if stream.is::<UnixStream>() {
            extensions.insert(Socket);
            return;
        }
        let behind_tls = || stream.downcast_ref::<TlsStream<TcpStream>>().map(|tls| tls.get_ref().0);
        let Some(tcp) = stream.downcast_ref::<TcpStream>().or_else(behind_tls) else { return };
        match tcp.peer_addr().map(|peer| self.0.acquire(peer.ip())) {
            // It lasts as long as the connection.
            Ok(Ok(permit)) => drop(extensions.insert(permit)),
            Ok(Err(crowded)) => {
                tracing::debug!(event = "http_crowded", ?crowded, "a connection too many is closed");
                close(tcp);
            }
            Err(_) => close(tcp),
        }
    }
}

/// Closes a connection that actix has: by a second handle, since it keeps the first to itself.
fn close(tcp: &TcpStream) {
    if let Ok(handle) = tcp.as_fd().try_clone_to_owned() {
        // What fails has ended already.
        let _ = std::net::TcpStream::from(handle).shutdown(Shutdown::Both);
    }
}

/// Whether the request came through the unix socket, which only its owner may open: an administrator.
pub(super) fn is_socket(request: &HttpRequest) -> bool {
    request.conn_data::<Socket>().is_some()
}
