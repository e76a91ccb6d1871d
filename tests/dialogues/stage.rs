//! Where a dialogue is played: a server at addresses that the environment names.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::text::Variables;
use crate::wire::Wire;

/// The password of every account of the cast.
pub const PASSWORD: &str = "pillarbox";

/// The environment variable that names a server: `peer=postfix,smtp=127.0.0.1:2525,pop3=127.0.0.1:2110`.
pub const TARGET: &str = "PILLARBOX_DIALOGUE_TARGET";

/// A server to talk to.
pub struct Stage {
    peer: String,
    addresses: BTreeMap<String, String>,
}

impl Stage {
    /// The server that the environment names.
    pub fn from_environment() -> Option<Self> {
        let target = std::env::var(TARGET).ok()?;
        let mut addresses: BTreeMap<String, String> = target
            .split(',')
            .filter_map(|entry| entry.split_once('='))
            .map(|(name, address)| (name.trim().to_owned(), address.trim().to_owned()))
            .collect();
        Some(Self { peer: addresses.remove("peer").unwrap_or_else(|| "pillarbox".to_owned()), addresses })
    }

    /// Whose answers are expected.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Whether it has that listener.
    pub fn has(&self, listener: &str) -> bool {
        self.addresses.contains_key(listener)
    }

    /// Connects to a listener from this machine.
    pub async fn connect(&self, listener: &str) -> Result<Wire, String> {
        self.connect_from(IpAddr::V4(Ipv4Addr::LOCALHOST), listener).await
    }

    /// Connects to a listener as if from `from`.
    pub async fn connect_from(&self, from: IpAddr, listener: &str) -> Result<Wire, String> {
        if !from.is_loopback() {
            return Err("a connection over a socket comes from this machine".into());
        }
        let address = self.addresses.get(listener).ok_or_else(|| format!("{TARGET} names no {listener}"))?;
        let stream = TcpStream::connect(address).await.map_err(|error| format!("{listener} at {address}: {error}"))?;
        Ok(Wire::new(stream))
    }

    /// How long a message may take into its mailbox after its 250.
    pub fn delivery_time(&self) -> Duration {
        if self.peer == "pillarbox" { Duration::ZERO } else { Duration::from_secs(10) }
    }

    /// Turns the server's clock.
    pub async fn turn_clock(&self, _by: Duration) -> Result<(), String> {
        Err("the clock of a server behind a socket can't be turned".into())
    }

    /// The variables that every dialogue begins with.
    pub fn variables(&self) -> Variables {
        let login = format!("\0alice@example.test\0{PASSWORD}");
        let values = [
            ("password", PASSWORD.to_owned()),
            ("plain", crate::text::base64(login.as_bytes())),
            ("hostname", "mx.example.test".to_owned()),
        ];
        values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
