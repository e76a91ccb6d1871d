//! Certificates and the TLS side of every listener: rustls with ring, TLS 1.2 and 1.3.
//!
//! Floor F4a. The certificate lies in the file, so that the one file restores everything.

mod certificates;
mod config;
mod facts;
mod resolver;

pub use certificates::{Certificates, TABLES, TLS_CERTS, TlsError};
pub use config::Protocol;
pub use facts::Facts;
