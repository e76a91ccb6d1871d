use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Config, ServerError};
use crate::base::{Random, SystemRandom};
use crate::net::{self, Listener};
use crate::store::{Opening, Stage};
use crate::{http, imap, pop3, smtp};

/// Every listener, bound and not served yet: who connects waits.
pub(super) struct Doors {
    pub(super) mail: Vec<MailDoor>,
    pub(super) web: http::Sockets,
    data: Option<PathBuf>,
}

/// A mail listener.
pub(super) struct MailDoor {
    pub(super) listener: Listener,
    pub(super) address: SocketAddr,
    pub(super) socket: TcpListener,
}

/// The same sockets once more, to be had when a server has let go of its own: nobody is refused in between.
pub(super) struct Spare {
    mail: Vec<(Listener, SocketAddr, std::net::TcpListener)>,
    web: http::Sockets,
    data: Option<PathBuf>,
}

/// The doors before a server's start: of the first one open, and of one that follows another closed.
pub(super) enum Entrance {
    Open(Doors),
    Closed(ClosedDoors),
}

impl Entrance {
    /// What whoever waits at them is told about; it is to be filled by the start.
    pub(super) fn opening(&self) -> Arc<Opening> {
        match self {
            Self::Open(_) => Arc::default(),
            Self::Closed(doors) => Arc::clone(&doors.opening),
        }
    }
}

/// The same while whoever comes is told to come again later.
pub(super) struct ClosedDoors {
    opening: Arc<Opening>,
    mail: Vec<(Listener, SocketAddr, JoinHandle<TcpListener>)>,
    https: Option<JoinHandle<TcpListener>>,
    web: http::Sockets,
    early: http::Early,
    data: Option<PathBuf>,
    until: CancellationToken,
}

impl Doors {
    /// Binds all that the configuration names, but for the unix socket: that is for who has the file.
    pub(super) fn bind(config: &Config) -> Result<Self, ServerError> {
        let mut mail = Vec::new();
        for listener in Listener::ALL.into_iter().filter(|listener| !is_web(*listener)) {
            let Some(address) = config.address(listener) else { continue };
            let (socket, address) = bind(address).map_err(|error| ServerError::Bind { listener, address, error })?;
            mail.push(MailDoor { listener, address, socket });
        }
        let web = http::Sockets::bind(config.address(Listener::Http), config.address(Listener::Https))?;
        Ok(Self { mail, web, data: config.data.clone() })
    }

    /// Binds the unix socket, unless it is bound already: to be done by who has the file.
    pub(super) fn bind_socket(&mut self) -> Result<(), ServerError> {
        if let Some(data) = &self.data {
            self.web.bind_socket(&http::socket_path(data))?;
        }
        Ok(())
    }

    /// The same sockets once more.
    pub(super) fn spare(&self) -> io::Result<Spare> {
        let again = |door: &MailDoor| {
            let socket = door.socket.as_fd().try_clone_to_owned()?;
            Ok((door.listener, door.address, std::net::TcpListener::from(socket)))
        };
        let mail = self.mail.iter().map(again).collect::<io::Result<Vec<_>>>()?;
        Ok(Spare { mail, web: self.web.duplicate()?, data: self.data.clone() })
    }

    /// Begins to turn clients away, each in its own protocol with a word on how far the opening is. Where TLS begins with
    /// the first byte nothing can be said: the certificate is in the file.
    pub(super) fn close(mut self, opening: &Arc<Opening>) -> Result<ClosedDoors, ServerError> {
        self.bind_socket()?;
        let until = CancellationToken::new();
        let turn_away = |listener, socket| {
            let opening = Arc::clone(opening);
            tokio::spawn(net::turn_away(socket, until.clone(), move || words(listener, opening.stage()).into_bytes()))
        };
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let early = http::Early::start(&self.web, opening, &random)?;
        let https = self.web.https.as_ref().map(duplicate).transpose().map_err(ServerError::Runtime)?;
        let https = https.map(|socket| turn_away(Listener::Https, socket));
        let mail = self.mail.into_iter();
        let mail = mail.map(|door| (door.listener, door.address, turn_away(door.listener, door.socket))).collect();
        let opening = Arc::clone(opening);
        Ok(ClosedDoors { opening, mail, https, web: self.web, early, data: self.data, until })
    }
}

impl Spare {
    /// Turns clients away on `runtime`, until the next server begins.
    pub(super) fn close(self, runtime: &Handle) -> Result<ClosedDoors, ServerError> {
        let _entered = runtime.enter();
        let door =
            |(listener, address, socket)| Ok(MailDoor { listener, address, socket: TcpListener::from_std(socket)? });
        let mail = self.mail.into_iter().map(door).collect::<io::Result<Vec<_>>>().map_err(ServerError::Runtime)?;
        Doors { mail, web: self.web, data: self.data }.close(&Arc::default())
    }
}

impl ClosedDoors {
    /// Turns nobody away any more.
    pub(super) async fn open(self) -> Result<Doors, ServerError> {
        self.until.cancel();
        let gone = |error| ServerError::Runtime(io::Error::other(error));
        let mut mail = Vec::new();
        for (listener, address, away) in self.mail {
            // It may have been another runtime's.
            let socket = away.await.map_err(gone)?.into_std().and_then(TcpListener::from_std);
            mail.push(MailDoor { listener, address, socket: socket.map_err(ServerError::Runtime)? });
        }
        if let Some(away) = self.https {
            away.await.map_err(gone)?;
        }
        self.early.stop().await;
        Ok(Doors { mail, web: self.web, data: self.data })
    }
}

/// What a client of that listener is told.
fn words(listener: Listener, stage: Stage) -> String {
    let why = match stage {
        Stage::Repairing(percent) => format!("The mail store is being repaired ({percent} % done)"),
        Stage::Upgrading(percent) => format!("The mail store is being upgraded ({percent} % done)"),
        Stage::Waiting | Stage::Reading => "The server is starting".to_owned(),
    };
    match listener {
        listener if listener.is_implicit_tls() => String::new(),
        Listener::Pop3 => pop3::server::refusal_early(&why),
        Listener::Imap => imap::server::refusal_early(&why),
        _ => smtp::server::refusal_early(&why),
    }
}

fn is_web(listener: Listener) -> bool {
    matches!(listener, Listener::Http | Listener::Https)
}

/// The same socket for the runtime.
fn duplicate(socket: &std::net::TcpListener) -> io::Result<TcpListener> {
    let socket = socket.try_clone()?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

impl Config {
    /// Where a listener shall listen: the last flag that names it, else its default.
    fn address(&self, listener: Listener) -> Option<SocketAddr> {
        if let Some(flag) = self.listen.iter().rev().find(|flag| flag.listener == listener) {
            return flag.at;
        }
        let port = listener.default_port()?.checked_add(self.port_offset)?;
        // The plain interface carries tokens in the clear: nobody outside shall reach it unless told to.
        let ip = if self.loopback_only || listener == Listener::Http {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        };
        Some(SocketAddr::new(ip, port))
    }
}

/// Binds, and says where.
fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = net::bind(address)?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_clients_are_told_in_their_own_protocol() {
        let check = |listener, expected: &str| assert_eq!(words(listener, Stage::Repairing(7)), expected);
        let repaired = "The mail store is being repaired (7 % done), try again later\r\n";
        check(Listener::Smtp, &format!("421 4.3.2 {repaired}"));
        check(Listener::Submission, &format!("421 4.3.2 {repaired}"));
        check(Listener::Pop3, &format!("-ERR [SYS/TEMP] {repaired}"));
        check(Listener::Imap, &format!("* BYE [UNAVAILABLE] {repaired}"));
        check(Listener::Imaps, "");
        let upgraded = "421 4.3.2 The mail store is being upgraded (8 % done), try again later\r\n";
        assert_eq!(words(Listener::Smtp, Stage::Upgrading(8)), upgraded);
        assert_eq!(words(Listener::Smtp, Stage::Reading), "421 4.3.2 The server is starting, try again later\r\n");
    }

    #[test]
    fn addresses_come_from_the_last_flag_or_the_default() {
        let mut config = Config { port_offset: 3000, ..Config::default() };
        let seen = |config: &Config, listener| config.address(listener).map(|address| address.to_string());
        assert_eq!(seen(&config, Listener::Smtp).as_deref(), Some("[::]:3025"));
        assert_eq!(seen(&config, Listener::Http).as_deref(), Some("127.0.0.1:11080"));
        config.loopback_only = true;
        assert_eq!(seen(&config, Listener::Pop3s).as_deref(), Some("127.0.0.1:3995"));
        assert_eq!(seen(&config, Listener::Imap).as_deref(), Some("127.0.0.1:3143"));
        config.listen = vec!["smtp=127.0.0.1:1".parse().unwrap(), "smtp=127.0.0.1:2".parse().unwrap()];
        assert_eq!(seen(&config, Listener::Smtp).as_deref(), Some("127.0.0.1:2"));
        config.listen.push("smtp=off".parse().unwrap());
        assert_eq!(seen(&config, Listener::Smtp), None);
    }
}
