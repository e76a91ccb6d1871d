//! Pillarbox: a mail server in one binary and one file.

pub mod base;
pub mod message;
pub mod sasl;
pub mod smtp;
pub mod store;

pub mod directory;
pub mod intake;
pub mod mailbox;
pub mod settings;
pub mod trace;

pub mod net;
pub mod tls;

pub mod pop3;

pub mod http;

pub mod cli;
pub mod schema;
pub mod server;
