//! Simple Mail Transfer Protocol (RFC 5321): what is on the wire, the machines that decide, and the server and the client
//! that carry it out.

pub mod client;
pub mod machine;
pub mod server;
pub mod wire;
