//! Simple Mail Transfer Protocol (RFC 5321), the receiving side: what is on the wire, the machine that decides, and the
//! server that carries it out.

pub mod machine;
pub mod server;
pub mod wire;
