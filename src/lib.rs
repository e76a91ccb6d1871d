//! Pillarbox: a mail server in one binary and one file.

pub mod base;
pub mod message;
pub mod sasl;
pub mod smtp;
pub mod store;
pub mod telemetry;

pub mod audit;
pub mod directory;
pub mod dkim;
pub mod intake;
pub mod job;
pub mod kept;
pub mod mailbox;
pub mod maintenance;
pub mod queue;
pub mod settings;
pub mod srs;
pub mod tlspolicy;
pub mod tlsreport;
pub mod trace;
pub mod trust;
pub mod turn;

pub mod dns;
pub mod fetch;
pub mod net;
pub mod tls;

pub mod imap;
pub mod pop3;

pub mod backup;
pub mod compaction;
pub mod delivery;
pub mod exchange;
pub mod jobs;
pub mod reporting;
pub mod rotation;

pub mod http;

pub mod cli;
pub mod schema;
pub mod server;
