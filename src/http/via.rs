use std::any::Any;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::{TcpStream, UnixStream};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::base::limits;
use crate::net::{PermitLimits, Permits};
use crate::settings::Settings;

/// Marks a connection that came through the unix socket.
struct Socket;

/// The connection of a request, for whoever works long before it is answered.
pub(super) struct Line(OwnedFd);

impl Line {
    /// Whether its other side has ended it, or at least sends nothing more: who waits for an answer keeps it open.
    pub fn has_ended(&self) -> bool {
        let ended = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        let mut line = [PollFd::new(&self.0, PollFlags::RDHUP)];
        poll(&mut line, Some(&Timespec::default())).is_ok_and(|_| line[0].revents().intersects(ended))
    }
}

/// The connection that the request has come through.
pub(super) fn line(request: &HttpRequest) -> Option<Arc<Line>> {
    request.conn_data::<Arc<Line>>().cloned()
}

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
        if let Some(unix) = stream.downcast_ref::<UnixStream>() {
            extensions.insert(Socket);
            return watch(unix, extensions);
        }
        let behind_tls = || stream.downcast_ref::<TlsStream<TcpStream>>().map(|tls| tls.get_ref().0);
        let Some(tcp) = stream.downcast_ref::<TcpStream>().or_else(behind_tls) else { return };
        match tcp.peer_addr().map(|peer| self.0.acquire(peer.ip())) {
            // It lasts as long as the connection.
            Ok(Ok(permit)) => {
                extensions.insert(permit);
                watch(tcp, extensions);
            }
            Ok(Err(crowded)) => {
                tracing::debug!(event = "http_crowded", ?crowded, "a connection too many is closed");
                close(tcp);
            }
            Err(_) => close(tcp),
        }
    }
}

/// By a second handle, which is closed with the connection.
fn watch(stream: &impl AsFd, extensions: &mut Extensions) {
    // Where there is no handle left, nobody looks.
    if let Ok(handle) = stream.as_fd().try_clone_to_owned() {
        extensions.insert(Arc::new(Line(handle)));
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Shutdown, TcpListener};

    use super::*;

    fn check(end: impl FnOnce(&mut std::net::TcpStream), expected: bool) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let line = Line(listener.accept().unwrap().0.into());
        assert!(!line.has_ended());
        end(&mut client);
        assert_eq!(line.has_ended(), expected);
    }

    #[test]
    fn a_connection_has_ended_when_its_other_side_says_no_more() {
        check(|client| client.write_all(b"GET / HTTP/1.1\r\n").unwrap(), false);
        check(|client| client.shutdown(Shutdown::Read).unwrap(), false);
        check(|client| client.shutdown(Shutdown::Write).unwrap(), true);
        check(|client| client.shutdown(Shutdown::Both).unwrap(), true);
    }
}
