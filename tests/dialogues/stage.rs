//! Where a dialogue is played: a whole server in this process, without sockets; or a server at addresses that the
//! environment names.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::house::Furnished;
use crate::text::{self, Variables};
use crate::wire::Wire;

/// The password of every account of the cast.
pub const PASSWORD: &str = "pillarbox";

/// The environment variable that names a server: `peer=postfix,smtp=127.0.0.1:2525,pop3=127.0.0.1:2110`. `reset=PATH`
/// names a program that empties its mailboxes, where POP3 alone can't.
pub const TARGET: &str = "PILLARBOX_DIALOGUE_TARGET";

/// A server to talk to.
pub enum Stage {
    /// In this process.
    House(Furnished),
    /// Behind sockets: whose answers are expected, and where each listener is.
    Sockets {
        /// `pillarbox`, or the peer whose lines stand in for ours.
        peer: String,
        /// By name of the listener.
        addresses: BTreeMap<String, String>,
        /// A program that throws all mail of the cast away.
        reset: Option<String>,
    },
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
        let peer = addresses.remove("peer").unwrap_or_else(|| "pillarbox".to_owned());
        let reset = addresses.remove("reset");
        Some(Self::Sockets { peer, addresses, reset })
    }

    /// A server in this process with the cast of the README and these settings.
    pub async fn in_process(settings: &[String]) -> Result<Self, String> {
        Furnished::open(settings).await.map(Self::House)
    }

    /// Whose answers are expected.
    pub fn peer(&self) -> &str {
        match self {
            Self::House(_) => "pillarbox",
            Self::Sockets { peer, .. } => peer,
        }
    }

    /// Throws all mail of the cast away, where the server has a program for that; whether it has.
    pub fn reset(&self) -> Result<bool, String> {
        let Self::Sockets { reset: Some(program), .. } = self else { return Ok(false) };
        match std::process::Command::new(program).status() {
            Ok(status) if status.success() => Ok(true),
            other => Err(format!("{program}: {other:?}")),
        }
    }

    /// Whether it has that listener.
    pub fn has(&self, listener: &str) -> bool {
        match self {
            Self::House(_) => true,
            Self::Sockets { addresses, .. } => addresses.contains_key(listener),
        }
    }

    /// Connects to a listener from this machine.
    pub async fn connect(&self, listener: &str) -> Result<Wire, String> {
        self.connect_from(IpAddr::V4(Ipv4Addr::LOCALHOST), listener).await
    }

    /// Connects to a listener as if from `from`.
    pub async fn connect_from(&self, from: IpAddr, listener: &str) -> Result<Wire, String> {
        let addresses = match self {
            Self::House(house) => return house.connect(from, listener).map(Wire::new),
            Self::Sockets { addresses, .. } => addresses,
        };
        let address = addresses.get(listener).ok_or_else(|| format!("{TARGET} names no {listener}"))?;
        let stream = TcpStream::connect(address).await.map_err(|error| format!("{listener} at {address}: {error}"))?;
        Ok(Wire::new(stream))
    }

    /// Waits until the server has seen that all but so many connections are closed.
    pub async fn settle(&self, open: usize) -> Result<(), String> {
        match self {
            Self::House(house) => house.settle(open).await,
            Self::Sockets { .. } => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(())
            }
        }
    }

    /// Looks whether what is stored agrees with itself, and nothing has panicked.
    pub fn examine(&self) -> Result<(), String> {
        match self {
            Self::House(house) => house.examine(),
            Self::Sockets { .. } => Ok(()),
        }
    }

    /// How long a message may take into its mailbox after its 250.
    pub fn delivery_time(&self) -> Duration {
        if self.peer() == "pillarbox" { Duration::ZERO } else { Duration::from_secs(10) }
    }

    /// Turns the server's clock.
    pub fn turn_clock(&self, by: Duration) -> Result<(), String> {
        match self {
            Self::House(house) => {
                house.turn_clock(by);
                Ok(())
            }
            Self::Sockets { .. } => Err("the clock of a server behind a socket can't be turned".into()),
        }
    }

    /// Makes a peer: `branch verbs=turn,atrn domains=branch.test user=branch …`.
    pub async fn peer_there(&self, fields: &[String]) -> Result<(), String> {
        match self {
            Self::House(house) => house.peer(fields).await,
            Self::Sockets { .. } => Err("a server behind a socket gets no peers".into()),
        }
    }

    /// The server, where it is in this process.
    pub fn house(&self) -> Result<&Furnished, String> {
        match self {
            Self::House(house) => Ok(house),
            Self::Sockets { .. } => Err("a server behind a socket is only talked to".into()),
        }
    }

    /// Recipients in a domain that are queued.
    pub fn queued(&self, domain: &str) -> Result<usize, String> {
        match self {
            Self::House(house) => house.queued(domain),
            Self::Sockets { .. } => Err("the queue of a server behind a socket can't be seen".into()),
        }
    }

    /// Whether the newest session with a peer is as the fields say.
    pub fn session_is(&self, fields: &[String]) -> Result<(), String> {
        match self {
            Self::House(house) => house.session_is(fields),
            Self::Sockets { .. } => Err("the sessions of a server behind a socket can't be seen".into()),
        }
    }

    /// The variables that every dialogue begins with.
    pub fn variables(&self) -> Variables {
        let login = format!("\0alice@example.test\0{PASSWORD}");
        [
            ("hostname", "mx.example.test".to_owned()),
            ("password", PASSWORD.to_owned()),
            ("plain", text::base64(login.as_bytes())),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}
