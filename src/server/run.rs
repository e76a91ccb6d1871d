use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Handle};

use super::doors::{ClosedDoors, Doors, Entrance, MailDoor};
use super::ready::Ready;
use super::signals::Signals;
use super::{Config, House, ServerError, key_file, own, start};
use crate::base::{SystemClock, SystemRandom};
use crate::net::{self, Crowded, Door, Listener, PermitLimits, Permits};
use crate::{http, imap, pop3, smtp};

/// How long sessions may finish what they are doing after SIGTERM, before they are cut off.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Runs the server until SIGTERM or SIGINT; a start-up error is one line on stderr.
pub fn run(config: Config) -> ExitCode {
    // A core file would hold keys and passwords, and mail.
    if let Err(error) = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "a crash may leave a core file");
    }
    // A connection takes one each; what a shell allows at first is for programs that could not do with more.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the number of connections stays limited to what the shell allows");
    }
    match serve_until_stopped(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pillarbox: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// One server behind the other, until a signal comes.
fn serve_until_stopped(config: &Config) -> Result<(), ServerError> {
    // It hears signals, and has the doors between two servers: nobody is refused who connects then.
    let keeper = Builder::new_multi_thread().worker_threads(1).enable_all().thread_name("doors").build();
    let keeper = keeper.map_err(ServerError::Runtime)?;
    // Before anything else: a signal during the start must not be lost.
    let signals = Signals::listen(keeper.handle()).map_err(ServerError::Runtime)?;
    let mut entrance = None;
    loop {
        let runtime = Builder::new_multi_thread().enable_all().thread_name("mail").build();
        let runtime = runtime.map_err(ServerError::Runtime)?;
        let ended = runtime.block_on(serve(config, keeper.handle(), signals.clone(), entrance.take()));
        // What still blocks a thread must not keep the next server from starting, nor the process from its end.
        runtime.shutdown_timeout(STOP_GRACE);
        match ended? {
            Ended::Stopped => return Ok(()),
            // Not by whoever supervises the process: there may be nobody.
            Ended::Restart(doors) => {
                tracing::warn!(event = "restarting", "the server starts again");
                entrance = Some(doors);
            }
        }
    }
}

/// Why a server has stopped.
enum Ended {
    /// By a signal.
    Stopped,
    /// To start again, with the file that was restored, behind the same doors.
    Restart(ClosedDoors),
}

async fn serve(
    config: &Config,
    keeper: &Handle,
    mut signals: Signals,
    entrance: Option<ClosedDoors>,
) -> Result<Ended, ServerError> {
    let doors = match entrance {
        Some(closed) => Entrance::Closed(closed),
        None => Entrance::Open(Doors::bind(config)?),
    };
    let opening = doors.opening();
    let house = House::open_watched(config, Arc::new(SystemClock), Arc::new(SystemRandom), Arc::clone(&opening));
    let Some((mut doors, house)) = start::wait(doors, &opening, signals.come(), house).await? else {
        return Ok(Ended::Stopped);
    };
    doors.bind_socket()?;
    let spare = doors.spare().map_err(ServerError::Runtime)?;
    let token = house.furnish(config).await?;
    let readiness = Arc::new(http::Readiness::default());
    let (bound, web) = open_doors(doors, &house, &readiness)?;
    readiness.set_listeners(bound.clone());
    readiness.set_ready();
    house.deliver(own::addresses(&bound));
    house.prune();
    house.count_traffic();
    house.reap();
    house.back_up();
    house.keep_compact();
    house.keep_keys();
    house.keep_policies();
    house.call_peers();
    house.report_tls();
    house.watch_views();
    if let Some(path) = &config.ready_file {
        let ready = Ready::new(web.socket.clone(), &bound);
        ready.write(path).map_err(|error| ServerError::ReadyFile { path: path.clone(), error })?;
    }
    key_file::tell(house.store.secrets());
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
    let (reason, is_restarting) = tokio::select! {
        signal = signals.come() => (signal, false),
        () = house.restart.cancelled() => ("restart", true),
    };
    tracing::info!(reason, sessions = house.sessions.count(), "stopping");
    readiness.set_stopping();
    house.stop.cancel();
    let closed = if is_restarting { Some(spare.close(keeper)?) } else { None };
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
    let file = tokio::task::spawn_blocking(move || store.close()).await;
    if let Some(path) = &config.ready_file {
        // It says where a server listens; there is none any more.
        let _ = std::fs::remove_file(path);
    }
    file.map_err(|error| ServerError::Runtime(io::Error::other(error)))?;
    Ok(match closed {
        Some(doors) if !signals.have_come() => Ended::Restart(doors),
        _ => Ended::Stopped,
    })
}

/// Begins to accept on all that is bound.
fn open_doors(
    doors: Doors,
    house: &House,
    readiness: &Arc<http::Readiness>,
) -> Result<(Vec<(Listener, SocketAddr)>, http::Handle), ServerError> {
    let settings = &house.settings;
    let permits = Permits::new(PermitLimits {
        total: settings.limits_connections_total,
        per_address: settings.limits_connections_per_address,
        per_network: settings.limits_connections_per_network,
        exempt: settings.limits_exempt_networks.clone(),
    });
    let mut bound = Vec::new();
    for MailDoor { listener, address, socket } in doors.mail {
        let door = Door {
            listener,
            socket,
            permits: permits.clone(),
            implicit_tls: listener.is_implicit_tls().then(|| house.tls(listener)),
            refusal: refusal(listener),
        };
        bound.push((listener, address));
        let serve = house.session(listener);
        tokio::spawn(net::accept(door, house.sessions.clone(), house.stop.clone(), serve));
    }
    let web = http::start(web_context(house, readiness), doors.web, Some(&house.tls(Listener::Https)))?;
    bound.extend(web.http.map(|address| (Listener::Http, address)));
    bound.extend(web.https.map(|address| (Listener::Https, address)));
    Ok((bound, web))
}

fn web_context(house: &House, readiness: &Arc<http::Readiness>) -> Arc<http::Context> {
    Arc::new(http::Context {
        limiter: http::Limiter::new(&house.settings, Arc::clone(&house.clock)),
        store: house.store.clone(),
        authenticator: Arc::clone(&house.authenticator),
        settings: Arc::clone(&house.settings),
        live: Arc::clone(&house.live),
        clock: Arc::clone(&house.clock),
        random: Arc::clone(&house.random),
        hostname: house.hostname.to_string(),
        readiness: Arc::clone(readiness),
        delivery: Arc::clone(&house.delivery),
        exchange: Arc::clone(&house.exchange),
        jobs: Arc::clone(&house.jobs),
        backups: Arc::clone(&house.backups),
        restart: house.restart.clone(),
        in_flight: http::InFlight::default(),
        hub: Arc::clone(&house.hub),
        traffic: Arc::clone(&house.traffic),
    })
}

/// What a client is told that finds no place.
fn refusal(listener: Listener) -> fn(Crowded) -> &'static [u8] {
    match listener {
        Listener::Pop3 | Listener::Pop3s => pop3::server::refusal,
        Listener::Imap | Listener::Imaps => imap::server::refusal,
        _ => smtp::server::refusal,
    }
}
