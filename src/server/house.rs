use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::DuplexStream;
use tokio_util::sync::CancellationToken;

use super::restored::{SeeToRestored, Seen};
use super::{Config, ServerError, key_file, meter, sizing};
use crate::backup::{Backups, Schedule};
use crate::base::{Clock, DomainName, MessageIds, Random, Secret, limits};
use crate::directory::{Authenticator, FileTokenError, SetFileToken};
use crate::dns::{Anchors, Evidence, Prover, Resolver};
use crate::http::{Hub, Mail};
use crate::jobs::Jobs;
use crate::net::{Connection, Listener, Sessions};
use crate::queue::{CountAll, Recover};
use crate::schema::SCHEMA;
use crate::settings::{self, Live, SettingError, Settings};
use crate::smtp::client::Patience;
use crate::smtp::server::{Profile, Vrfy};
use crate::store::{self, Medium, OpenError, Opening, Options, Store};
use crate::telemetry::metrics;
use crate::tls::{Certificates, ClientIdentity, Protocol, Roots};
use crate::trace::Traffic;
use crate::{
    audit, compaction, delivery, exchange, fetch, http, imap, intake, kept, mailbox, pop3, reporting, rotation, smtp,
    srs, trace, turn,
};

/// Octets that a pipe of [`House::connect`] holds in each direction.
const PIPE_BYTES: usize = 64 * 1024;
/// The port that a pipe's client seems to come from.
const PIPE_PORT: u16 = 50_000;

/// How long delivery rests after it has ended without having been told to.
const DELIVERY_PAUSE: Duration = Duration::from_secs(1);

/// A session that runs.
pub type SessionFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Everything but the sockets: the open file and what serves a connection to it.
pub struct House {
    /// The file.
    pub store: Store,
    /// Verifies passwords.
    pub authenticator: Arc<Authenticator>,
    /// The settings, as gathered at start.
    pub settings: Arc<Settings>,
    /// The same as they are now.
    pub live: Arc<Live>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// The name that the server gives itself.
    pub hostname: DomainName,
    /// Cancelled when the server stops: sessions end between two commands.
    pub stop: CancellationToken,
    /// Cancelled when the server is to start again, with a file that was restored.
    pub restart: CancellationToken,
    /// The sessions that run.
    pub sessions: Sessions,
    /// Runs long work.
    pub jobs: Arc<Jobs>,
    /// The copies of the file.
    pub backups: Arc<Backups>,
    /// The way out. Nothing is sent before [`House::deliver`].
    pub delivery: Arc<delivery::Context>,
    /// Sessions with peers.
    pub exchange: Arc<exchange::Context>,
    /// Where it comes together what happens.
    pub hub: Arc<Hub>,
    /// What came and went in each hour.
    pub traffic: Arc<Traffic>,
    tls: BTreeMap<Listener, Arc<ServerConfig>>,
    pop3: Arc<pop3::server::Context>,
    imap: Arc<imap::server::Context>,
}

impl House {
    /// Opens the file and makes everything that a session needs.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn open(config: &Config, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Self, ServerError> {
        Self::open_watched(config, clock, random, Arc::default()).await
    }

    /// The same, and `opening` hears how far it is, and may give it up.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn open_watched(
        config: &Config,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        opening: Arc<Opening>,
    ) -> Result<Self, ServerError> {
        // The file's own settings can't say how it is opened.
        let early = Settings::gather(&[], &config.settings_environment, &config.settings)?;
        let sealing = Arc::new(key_file::sealing(config, &random)?);
        let options = Options { opening, sealing, ..options(config, &early, Arc::clone(&clock)) };
        // It may take minutes, and must hold up nobody who is told so meanwhile.
        let store = tokio::task::spawn_blocking(move || {
            put_in_place(&options)?;
            Store::open(options, &SCHEMA)
        })
        .await;
        let store = store.map_err(|error| ServerError::Store(error.to_string()))??;
        if let Some(seen) = store.write(SeeToRestored { at: clock.now() }).await?.into_inner() {
            let Seen { mailboxes, sessions, copy } = seen;
            tracing::warn!(
                event = "uid_validity_renewed",
                mailboxes,
                sessions,
                copy,
                "the file was restored: mail programs read their mailboxes anew, and browsers log in again"
            );
        }
        let authenticator = Arc::new(Authenticator::new(store.clone(), Arc::clone(&clock), Arc::clone(&random)));
        if let Some(state) = &config.state {
            let live = Arc::new(Live::new(gather(config, &store)?, &config.settings_environment, &config.settings));
            let changes = http::apply_state(&store, &authenticator, &live, &clock, state).await?;
            tracing::info!(event = "state_applied", changes, "the state was applied");
        }
        // Behind the state: its settings are in force at once.
        let settings = gather(config, &store)?;
        let live = Arc::new(Live::new(Arc::clone(&settings), &config.settings_environment, &config.settings));
        let hostname = hostname(config, &settings)?;
        let token = SetFileToken::new(read_token(config)?.as_ref(), clock.now());
        let token = token.map_err(|error| token_error(config, error))?;
        store.write(token).await?.into_inner();
        let certificates = Certificates::open(&store, &hostname, &*clock).await?;
        let tls = Listener::ALL
            .into_iter()
            .map(|listener| {
                let protocol = listener.protocol();
                let config = match listener {
                    // Nobody but peers comes there.
                    Listener::Odmrs => certificates.asking_config(protocol)?,
                    _ => certificates.server_config(protocol)?,
                };
                Ok((listener, config))
            })
            .collect::<Result<BTreeMap<_, _>, ServerError>>()?;
        let asking = certificates.asking_config(Protocol::Smtp)?;
        let identity = ClientIdentity::open(&store, &hostname, &*clock).await?;
        let stop = CancellationToken::new();
        let ids = Arc::new(MessageIds::after(intake::newest_id(&store.view()?)?));
        let outbound = intake::Outbound::of(&settings, hostname.clone(), Arc::clone(&ids))
            .map_err(|_| ServerError::CaptureTo(settings.delivery_capture_to.clone()))?;
        let outbound = Arc::new(outbound);
        recover(&store, &*clock).await?;
        let keep_for = kept::KeepFor { ms: settings.queue_keep_delivered_seconds.saturating_mul(1000) };
        store.write(keep_for).await?.into_inner();
        let jobs = Jobs::new(store.clone(), Arc::clone(&clock), Arc::clone(&ids));
        jobs.recover().await?;
        store.write(srs::MakeKey::new(&*random)).await?.into_inner();
        store.write(turn::EndRunning { at: clock.now() }).await?.into_inner();
        let backups = Arc::new(Backups::beside(config.data.as_deref(), store.clone()));
        backups.sweep();
        let resolver = Resolver::new(&config.resolver, Duration::from_secs(limits::DNS_ANSWER_S));
        let resolver = resolver.map_err(ServerError::Resolver)?;
        let refusal_delay = Duration::from_millis(settings.limits_refusal_delay_ms);
        let smtp = Arc::new(smtp::server::Context {
            store: store.clone(),
            authenticator: Arc::clone(&authenticator),
            clock: Arc::clone(&clock),
            ids: Arc::clone(&ids),
            sessions: intake::Sessions::new(&*random),
            leases: turn::Leases::new(),
            flushes: turn::Flushes::new(),
            entropy: smtp::server::Entropy::new(Arc::clone(&random)),
            hostname: hostname.clone(),
            outbound: Arc::clone(&outbound),
            tls: Some(Arc::clone(&tls[&Listener::Smtp])),
            tls_asking: Some(asking),
            message_bytes_max: settings.limits_message_bytes,
            recipients_max: settings.limits_recipients,
            evidence: settings.smtp_sender_authentication.then(|| Evidence::new(&resolver)),
            vrfy: Vrfy::of(&settings.smtp_vrfy),
            idle: Duration::from_secs(settings.smtp_idle_seconds),
            refusal_delay,
            stop: stop.clone(),
        });
        let pop3 = Arc::new(pop3::server::Context {
            store: store.clone(),
            authenticator: Arc::clone(&authenticator),
            clock: Arc::clone(&clock),
            ids: Arc::clone(&ids),
            hostname: hostname.to_string(),
            tls: Some(Arc::clone(&tls[&Listener::Pop3])),
            leases: pop3::server::Leases::new(),
            stop: stop.clone(),
            retr_sets_seen: settings.pop3_retr_sets_seen,
            idle: Duration::from_secs(settings.pop3_idle_seconds),
            refusal_delay,
        });
        let imap = Arc::new(imap::server::Context {
            store: store.clone(),
            authenticator: Arc::clone(&authenticator),
            clock: Arc::clone(&clock),
            ids,
            hostname: hostname.to_string(),
            tls: Some(Arc::clone(&tls[&Listener::Imap])),
            views: imap::server::Views::default(),
            stop: stop.clone(),
            idle: Duration::from_secs(settings.imap_idle_seconds),
            keepalive: Duration::from_secs(settings.imap_keepalive_seconds),
            refusal_delay,
            message_bytes_max: settings.limits_message_bytes,
            capabilities_disabled: settings.imap_capabilities_disabled.iter().map(|it| it.to_uppercase()).collect(),
        });
        let roots = roots(&settings)?;
        let way_out = delivery::Context {
            store: store.clone(),
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
            fetch: fetcher(config, &settings, &resolver, &roots)?,
            prover: prover(config, &settings)?,
            resolver,
            roots,
            outbound,
            allow_networks: settings.delivery_allow_networks.clone(),
            remote_port: config.remote_port,
            connections_max: settings.delivery_connections_total,
            connections_per_destination_max: settings.delivery_connections_per_destination,
            messages_per_connection_max: settings.delivery_messages_per_connection,
            connect: Duration::from_secs(settings.delivery_connect_seconds),
            patience: patience(&settings),
            claims: delivery::Claims::default(),
            stop: stop.clone(),
            state: delivery::State::default(),
        };
        way_out.set_notes_tls(!settings.delivery_tls_reports_from.is_empty());
        let delivery = Arc::new(way_out);
        let exchange = Arc::new(exchange::Context {
            server: smtp,
            delivery: Arc::clone(&delivery),
            identity,
            live: exchange::Live::default(),
        });
        let hub = Hub::new(&store, Arc::clone(&clock), Duration::from_secs(limits::EVENTS_PING_S));
        hub.listen(&exchange.live);
        let traffic = Traffic::open(&store)?;
        meter::count(&store);
        let house = Self {
            store,
            authenticator,
            settings,
            live,
            clock,
            random,
            hostname,
            stop,
            restart: CancellationToken::new(),
            sessions: Sessions::new(),
            jobs,
            backups,
            delivery,
            exchange,
            hub,
            traffic,
            tls,
            pop3,
            imap,
        };
        Ok(house)
    }

    /// Makes what the configuration's preset names and is not there; gives the token that it asks for.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn furnish(&self, config: &Config) -> Result<Option<Secret<String>>, ServerError> {
        match &config.preset {
            Some(preset) => preset.make(self).await,
            None => Ok(None),
        }
    }

    /// The TLS configuration of a listener.
    pub fn tls(&self, listener: Listener) -> Arc<ServerConfig> {
        Arc::clone(&self.tls[&listener])
    }

    /// What serves a connection of a mail listener until it ends. With implicit TLS the handshake is done by then.
    pub fn session(&self, listener: Listener) -> impl Fn(Connection) -> SessionFuture + Clone + Send + 'static + use<> {
        let (exchange, pop3, imap) = (Arc::clone(&self.exchange), Arc::clone(&self.pop3), Arc::clone(&self.imap));
        let (hub, clock) = (Arc::clone(&self.hub), Arc::clone(&self.clock));
        move |connection| {
            let told = Told::opened(&hub, &clock, listener, connection.peer().ip());
            // A box for each protocol: the one that waits for hours needs little, and should not take what another needs.
            let profile = match listener {
                Listener::Smtp => Profile::Mx,
                Listener::Submission | Listener::Submissions => Profile::Submission,
                Listener::Odmr | Listener::Odmrs => Profile::Odmr,
                Listener::Pop3 | Listener::Pop3s => {
                    return Box::pin(told.around(pop3::server::serve(connection, Arc::clone(&pop3))));
                }
                Listener::Imap | Listener::Imaps => {
                    return Box::pin(told.around(imap::server::serve(connection, Arc::clone(&imap))));
                }
                Listener::Http | Listener::Https => return Box::pin(std::future::ready(())),
            };
            Box::pin(told.around(exchange::serve(connection, Arc::clone(&exchange), profile)))
        }
    }

    /// Begins to send what is queued, until [`House::stop`]. `listeners`: where this machine takes mail from others.
    pub fn deliver(&self, listeners: Vec<SocketAddr>) {
        self.delivery.listens_at(listeners);
        let (delivery, stop) = (Arc::clone(&self.delivery), self.stop.clone());
        self.sessions.spawn(async move {
            while !stop.is_cancelled() {
                // By itself, so that a panic is counted and does not end it for good: mail would wait for the next start.
                let once = Sessions::new();
                once.spawn(delivery::run(Arc::clone(&delivery)));
                once.drained().await;
                if stop.run_until_cancelled(tokio::time::sleep(DELIVERY_PAUSE)).await.is_some() {
                    tracing::error!(event = "delivery_ended", "delivery has ended and begins again");
                }
            }
        });
    }

    /// Begins to forget what the trace need not tell any more, until [`House::stop`].
    pub fn prune(&self) {
        let keep = Duration::from_secs(self.settings.trace_keep_seconds);
        let (store, clock, stop) = (self.store.clone(), Arc::clone(&self.clock), self.stop.clone());
        tokio::spawn(trace::prune(store, clock, keep, intake::needs_story, stop));
        let keep = Duration::from_secs(self.settings.audit_keep_seconds);
        tokio::spawn(audit::prune(self.store.clone(), Arc::clone(&self.clock), keep, self.stop.clone()));
    }

    /// Begins to write down each minute what came and went, until [`House::stop`].
    pub fn count_traffic(&self) {
        let (store, clock, stop) = (self.store.clone(), Arc::clone(&self.clock), self.stop.clone());
        let traffic = Arc::clone(&self.traffic);
        tokio::spawn(async move {
            let minute = Duration::from_secs(limits::TRAFFIC_SAVED_S);
            while stop.run_until_cancelled(tokio::time::sleep(minute)).await.is_some() {
                if let Some(save) = traffic.save(clock.now()) {
                    store.ride(save);
                }
            }
        });
    }

    /// Begins to forget what was kept long enough, and to remove what was deleted, until [`House::stop`].
    pub fn reap(&self) {
        let (store, clock, stop) = (self.store.clone(), Arc::clone(&self.clock), self.stop.clone());
        tokio::spawn(kept::reap(store, clock, stop));
        tokio::spawn(mailbox::sweep(self.store.clone(), self.stop.clone()));
    }

    /// Begins to make a copy of the file each day, until [`House::stop`].
    pub fn back_up(&self) {
        let (backups, jobs, live) = (Arc::clone(&self.backups), Arc::clone(&self.jobs), Arc::clone(&self.live));
        if backups.is_on_disk() {
            let schedule = Schedule::new(backups, jobs, live, Arc::clone(&self.clock));
            tokio::spawn(schedule.run(self.stop.clone()));
        }
    }

    /// Begins to compact the file at the quiet hour, when most of it is free, until [`House::stop`].
    pub fn keep_compact(&self) {
        let (jobs, live) = (Arc::clone(&self.jobs), Arc::clone(&self.live));
        let schedule = compaction::Schedule::new(self.store.clone(), jobs, live, Arc::clone(&self.clock));
        tokio::spawn(schedule.run(self.stop.clone()));
    }

    /// Begins to make DKIM keys for domains that have none, and to lead all keys through their states, until
    /// [`House::stop`].
    pub fn keep_keys(&self) {
        let keeper = rotation::Keeper::new(Arc::clone(&self.delivery), Arc::clone(&self.live));
        tokio::spawn(keeper.run(self.stop.clone()));
    }

    /// Begins the sessions with peers that have a schedule, until [`House::stop`].
    pub fn call_peers(&self) {
        let schedule = exchange::Schedule::new(Arc::clone(&self.exchange), Arc::clone(&self.jobs));
        tokio::spawn(schedule.run(self.stop.clone()));
    }

    /// Begins to fetch MTA-STS policies anew before they expire, until [`House::stop`].
    pub fn keep_policies(&self) {
        tokio::spawn(delivery::keep_policies(Arc::clone(&self.delivery)));
    }

    /// Begins to send the daily reports on TLS, until [`House::stop`].
    pub fn report_tls(&self) {
        let reporter = reporting::Reporter::new(Arc::clone(&self.delivery), Arc::clone(&self.live));
        tokio::spawn(reporter.run(self.stop.clone()));
    }

    /// Begins to look for views of the file that nobody lets go of, until [`House::stop`].
    pub fn watch_views(&self) {
        let (store, stop) = (self.store.clone(), self.stop.clone());
        tokio::spawn(async move {
            let (pause, mut told) = (Duration::from_secs(limits::OLD_VIEW_S / 3), 0);
            while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
                let Some(view) = store.oldest_view() else { continue };
                if view.age >= Duration::from_secs(limits::OLD_VIEW_S) && view.number != told {
                    told = view.number;
                    let (asked_at, age_s) = (view.asked_at, view.age.as_secs());
                    tracing::warn!(event = "old_view", %asked_at, age_s, "a view of the file is open for long: the file grows");
                }
            }
        });
    }

    /// Serves an in-memory pipe as a connection from `peer`, in the clear also where the listener has implicit TLS.
    /// For tests: everything but the socket is real.
    pub fn connect(&self, listener: Listener, peer: IpAddr) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let local = SocketAddr::new(peer, listener.default_port().unwrap_or_default());
        let connection = Connection::memory(ours, SocketAddr::new(peer, PIPE_PORT), local);
        self.sessions.spawn(self.session(listener)(connection));
        theirs
    }
}

/// A mail connection whose beginning was told; its end is, when this is dropped.
struct Told {
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    mail: Mail,
    began_ms: u64,
}

impl Told {
    fn opened(hub: &Arc<Hub>, clock: &Arc<dyn Clock>, listener: Listener, peer_ip: IpAddr) -> Self {
        let implicit_tls = listener.is_implicit_tls();
        let mail = Mail { number: hub.connection(), listener: listener.name(), peer_ip, implicit_tls };
        hub.opened(&mail);
        metrics().session_begun(mail.listener);
        Self { hub: Arc::clone(hub), clock: Arc::clone(clock), mail, began_ms: clock.monotonic_ms() }
    }

    async fn around(self, session: impl Future<Output = ()>) {
        session.await;
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let duration_ms = self.clock.monotonic_ms().saturating_sub(self.began_ms);
        self.hub.closed(self.mail.clone(), duration_ms);
        metrics().session_ended(self.mail.listener);
    }
}

/// A copy that waits for this start changes places with the file.
fn put_in_place(options: &Options) -> Result<(), OpenError> {
    if let Some(aside) = store::put_in_place(options, &SCHEMA)? {
        tracing::warn!(event = "restored", aside = %aside.display(), "a backup has taken the place of the data file");
    }
    Ok(())
}

/// How the store is opened.
fn options(config: &Config, settings: &Settings, clock: Arc<dyn Clock>) -> Options {
    let Some(data) = &config.data else { return Options::memory(clock) };
    Options {
        medium: Medium::File(data.clone()),
        cache_bytes: sizing::cache_bytes(settings),
        disk_reserve_bytes: sizing::reserve_bytes(settings, data),
        disk_ballast_bytes: settings.disk_ballast_bytes,
        bodies_in_memory_bytes: settings.store_bodies_in_memory_bytes,
        clock,
        ..Options::at(data)
    }
}

/// The settings by all that sets them.
fn gather(config: &Config, store: &Store) -> Result<Arc<Settings>, ServerError> {
    let stored = settings::stored(&store.view()?)?;
    Ok(Arc::new(Settings::gather(&stored, &config.settings_environment, &config.settings)?))
}

/// Closes the attempts that a crash has left open.
async fn recover(store: &Store, clock: &dyn Clock) -> Result<(), ServerError> {
    loop {
        let recover = Recover { at: clock.now(), limit: limits::RECOVERED_ATTEMPTS };
        let left = store.write(recover).await?.into_inner();
        if left == 0 {
            break;
        }
        tracing::warn!(recipients = left, "the outcome of attempts is uncertain: they are made again");
    }
    // Of a file of an older program; else it is known. Mail goes without: the next start tries again.
    if let Err(error) = store.write(CountAll).await {
        tracing::error!(%error, "the queue can't be counted: its numbers are wrong until it can");
    }
    Ok(())
}

fn patience(settings: &Settings) -> Patience {
    Patience {
        greeting: Duration::from_secs(settings.delivery_greeting_seconds),
        reply: Duration::from_secs(settings.delivery_reply_seconds),
        data: Duration::from_secs(settings.delivery_data_seconds),
        block: Duration::from_secs(settings.delivery_block_seconds),
        end: Duration::from_secs(settings.delivery_end_seconds),
        turn: Duration::from_secs(settings.delivery_turn_seconds),
    }
}

/// The public CAs, and those of `delivery.ca_file`.
fn roots(settings: &Settings) -> Result<Roots, ServerError> {
    let path = PathBuf::from(&settings.delivery_ca_file);
    if path.as_os_str().is_empty() {
        return Roots::public().map_err(|error| ServerError::CaFile { path, what: error.to_string() });
    }
    Roots::public_and_file(&path).map_err(|error| ServerError::CaFile { path, what: error.to_string() })
}

/// Who verifies the DNS, where DANE is kept to.
fn prover(config: &Config, settings: &Settings) -> Result<Option<Prover>, ServerError> {
    let anchors = match &config.trust_anchor {
        None => Anchors::root(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
            let anchors = text.and_then(|text| Anchors::read(&text));
            anchors.map_err(|what| ServerError::TrustAnchor { path: path.clone(), what })?
        }
    };
    if !settings.delivery_dane {
        return Ok(None);
    }
    let spared = |name: &String| {
        let wanted = "domains, as in lan,corp.example.com";
        let wrong = SettingError::Meaning { name: "delivery.dane_except", value: name.clone(), wanted };
        DomainName::parse(name).map_err(|_| ServerError::Setting(wrong))
    };
    let spared = settings.delivery_dane_except.iter().map(spared).collect::<Result<_, _>>()?;
    let prover = Prover::new(&config.resolver, Duration::from_secs(limits::DNS_ANSWER_S), &anchors, spared);
    prover.map(Some).map_err(ServerError::Resolver)
}

/// Who fetches MTA-STS policies, where they are kept to.
fn fetcher(
    config: &Config,
    settings: &Settings,
    resolver: &Resolver,
    roots: &Roots,
) -> Result<Option<fetch::Client>, ServerError> {
    if !settings.delivery_mta_sts {
        return Ok(None);
    }
    Ok(Some(fetch::Client {
        resolver: resolver.clone(),
        tls: roots.verified().map_err(|error| ServerError::Tls(error.into()))?,
        allow_networks: settings.delivery_allow_networks.clone(),
        port: config.policy_port,
        within: Duration::from_secs(limits::FETCH_S),
    }))
}

/// The flag, else the setting, else the machine's name, else `localhost`.
fn hostname(config: &Config, settings: &Settings) -> Result<DomainName, ServerError> {
    let set = [config.hostname.as_deref().unwrap_or_default(), &settings.smtp_hostname];
    if let Some(name) = set.into_iter().find(|name| !name.is_empty()) {
        return DomainName::parse(name).map_err(|_| ServerError::Hostname(name.to_owned()));
    }
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    DomainName::parse(&machine).or_else(|_| DomainName::parse("localhost")).map_err(|_| ServerError::Hostname(machine))
}

/// The content of `--http-token-file`.
fn read_token(config: &Config) -> Result<Option<Secret<String>>, ServerError> {
    let Some(path) = &config.http_token_file else { return Ok(None) };
    match std::fs::read_to_string(path) {
        Ok(content) => Ok(Some(Secret::new(content))),
        Err(error) => Err(ServerError::TokenFile { path: path.clone(), what: error.to_string() }),
    }
}

fn token_error(config: &Config, error: FileTokenError) -> ServerError {
    ServerError::TokenFile { path: config.http_token_file.clone().unwrap_or_default(), what: error.to_string() }
}
