//! Certificates, the TLS side of every listener and that of what we dial: rustls with ring, TLS 1.2 and 1.3.
//!
//! Floor F4a. The certificate lies in the file, so that the one file restores everything.

mod asking;
mod binding;
mod certificates;
mod client;
mod config;
mod dane;
mod facts;
mod identity;
mod resolver;

pub use certificates::{CertificateFacts, Certificates, TABLES, TLS_CERTS, TlsError, certificates};
pub use client::{ClientTls, Roots, RootsError};
pub use config::Protocol;
pub use dane::Published;
pub use facts::{CertificateFault, Certified, Facts};
pub use identity::{ClientIdentity, client_fingerprint};
