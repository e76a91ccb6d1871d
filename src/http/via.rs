use std::any::Any;

use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::UnixStream;

/// Marks a connection that came through the unix socket.
struct Socket;

/// Notes how a connection came in; called by actix for each new one.
pub(super) fn note(stream: &dyn Any, extensions: &mut Extensions) {
    if stream.is::<UnixStream>() {
        extensions.insert(Socket);
    }
}

/// Whether the request came through the unix socket, which only its owner may open: an administrator.
pub(super) fn is_socket(request: &HttpRequest) -> bool {
    request.conn_data::<Socket>().is_some()
}
