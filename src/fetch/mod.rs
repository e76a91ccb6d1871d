//! The one client for other people's web servers: a GET over HTTPS, with a certificate that a CA vouches for, to the public
//! internet alone, within bounds of time and size, and without a redirect.
//!
//! Floor F4a.

mod client;
#[cfg(test)]
mod tests;

pub use client::{Client, FetchError};
