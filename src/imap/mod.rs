//! IMAP (RFC 3501, built so that RFC 9051 fits in): the wire and the server.

pub mod server;
pub mod wire;
