use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::ready::Ready;
use super::{Config, House, ServerError, own};
use crate::base::{SystemClock, SystemRandom};
use crate::net::{self, Crowded, Door, Listener, PermitLimits, Permits};
use crate::{http, imap, pop3, settings, smtp};

/// How long sessions may finish what they are doing after SIGTERM, before they are cut off.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Runs the server until SIGTERM or SIGINT; a start-up error is one line on stderr.
pub fn run(config: Config) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("mail").build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(serve(&config)),
        Err(error) => Err(ServerError::Runtime(error)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pillarbox: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

async fn serve(config: &Config) -> Result<(), ServerError> {
    // Before anything else: a signal during the start must not be lost.
    let mut signals = Signals::listen().map_err(ServerError::Runtime)?;
    let house = House::open(config, Arc::new(SystemClock), Arc::new(SystemRandom)).await?;
    let token = house.furnish(config).await?;
    let mut bound = open_doors(config, &house)?;
    let readiness = Arc::new(http::Readiness::default());
    let web = open_web(config, &house, &readiness)?;
    bound.extend(web.http.map(|address| (Listener::Http, address)));
    bound.extend(web.https.map(|address| (Listener::Https, address)));
    readiness.set_listeners(bound.clone());
    readiness.set_ready();
    house.deliver(own::addresses(&bound));
    house.prune();
    house.count_traffic();
    house.reap();
    if let Some(path) = &config.ready_file {
        let ready = Ready::new(web.socket.clone(), &bound);
        ready.write(path).map_err(|error| ServerError::ReadyFile { path: path.clone(), error })?;
    }
    for (listener, address) in &bound {
        tracing::info!(%listener, %address, "listening");
    }
    if let Some(preset) = &config.preset {
        preset.welcome(&bound, &house.settings.delivery_capture_to, token.as_ref());
    }
    if config.preset.is_none()
        && let Some(invitation) = web.invitation().await
    {
        eprintln!("{invitation}");
    }
    let signal = signals.next().await;
    tracing::info!(signal, sessions = house.sessions.count(), "stopping");
    readiness.set_stopping();
    house.stop.cancel();
    let jobs = tokio::spawn({
        let jobs = Arc::clone(&house.jobs);
        async move { jobs.stop().await }
    });
    if tokio::time::timeout(STOP_GRACE, house.sessions.drained()).await.is_err() {
        tracing::warn!(sessions = house.sessions.count(), "sessions were cut off");
    }
    web.stop().await;
    if tokio::time::timeout(STOP_GRACE, jobs).await.is_err() {
        tracing::warn!("jobs were cut off");
    }
    if let Some(save) = house.traffic.save(house.clock.now()) {
        // The file is about to be closed: what can't be written now is lost, and of little use.
        let _ = house.store.write(save).await;
    }
    let store = house.store.clone();
    // Closing waits for the writer and its last sync.
    let closed = tokio::task::spawn_blocking(move || store.close()).await;
    if let Some(path) = &config.ready_file {
        // It says where a server listens; there is none any more.
        let _ = std::fs::remove_file(path);
    }
    closed.map_err(|error| ServerError::Runtime(io::Error::other(error)))
}

/// Binds every mail listener and begins to accept.
fn open_doors(config: &Config, house: &House) -> Result<Vec<(Listener, SocketAddr)>, ServerError> {
    let settings = &house.settings;
    let permits = Permits::new(PermitLimits {
        total: settings.limits_connections_total,
        per_address: settings.limits_connections_per_address,
        per_network: settings.limits_connections_per_network,
        exempt: settings.limits_exempt_networks.clone(),
    });
    let mut doors = Vec::new();
    for listener in Listener::ALL.into_iter().filter(|listener| !is_web(*listener)) {
        let Some(address) = config.address(listener) else { continue };
        let (socket, address) = bind(address).map_err(|error| ServerError::Bind { listener, address, error })?;
        doors.push((
            address,
            Door {
                listener,
                socket,
                permits: permits.clone(),
                implicit_tls: listener.is_implicit_tls().then(|| house.tls(listener)),
                refusal: refusal(listener),
            },
        ));
    }
    // Nothing is served before everything is bound: a start that fails has answered nobody.
    let mut bound = Vec::new();
    for (address, door) in doors {
        bound.push((door.listener, address));
        let serve = house.session(door.listener);
        tokio::spawn(net::accept(door, house.sessions.clone(), house.stop.clone(), serve));
    }
    Ok(bound)
}

fn open_web(config: &Config, house: &House, readiness: &Arc<http::Readiness>) -> Result<http::Handle, ServerError> {
    let context = Arc::new(http::Context {
        limiter: http::Limiter::new(&house.settings, Arc::clone(&house.clock)),
        store: house.store.clone(),
        authenticator: Arc::clone(&house.authenticator),
        settings: Arc::clone(&house.settings),
        live: Arc::new(settings::Live::new(
            Arc::clone(&house.settings),
            &config.settings_environment,
            &config.settings,
        )),
        clock: Arc::clone(&house.clock),
        random: Arc::clone(&house.random),
        hostname: house.hostname.to_string(),
        readiness: Arc::clone(readiness),
        delivery: Arc::clone(&house.delivery),
        exchange: Arc::clone(&house.exchange),
        jobs: Arc::clone(&house.jobs),
        in_flight: http::InFlight::default(),
        hub: Arc::clone(&house.hub),
        traffic: Arc::clone(&house.traffic),
    });
    let listen = http::Listen {
        http: config.address(Listener::Http),
        https: config.address(Listener::Https).map(|address| (address, house.tls(Listener::Https))),
        socket: config.data.as_deref().map(http::socket_path),
    };
    Ok(http::start(context, listen)?)
}

fn is_web(listener: Listener) -> bool {
    matches!(listener, Listener::Http | Listener::Https)
}

/// What a client is told that finds no place.
fn refusal(listener: Listener) -> fn(Crowded) -> &'static [u8] {
    match listener {
        Listener::Pop3 | Listener::Pop3s => pop3::server::refusal,
        Listener::Imap | Listener::Imaps => imap::server::refusal,
        _ => smtp::server::refusal,
    }
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

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
