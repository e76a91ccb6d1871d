//! POP3 (RFC 1939, RFC 2449): the words on the wire, and the server's side of a session.

pub mod server;
pub mod wire;
