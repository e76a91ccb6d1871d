use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand, ValueEnum};
use hyper::Method;
use serde_json::{Map, Value, json};

use super::args::Output;
use super::client::Client;
use super::directory::{self, Action, Fields, Kind, Limit};
use super::failure::Failure;
use super::request::{given, list, several, text_or_none, word};
use super::{jobs, output, password};
use crate::base::SystemRandom;
use crate::http::path_segment;
use crate::turn;

const PEERS: Kind = Kind {
    folder: "turn/peers",
    columns: &["name", "verbs", "direction", "host", "port", "domains", "enabled", "managed_by"],
};
const COLUMNS: &[&str] = &["id", "peer", "verb", "role_before", "state", "sent", "received", "started_at", "outcome"];
const SESSIONS: &str = "/api/v1/turn/sessions";

#[derive(Subcommand)]
pub enum TurnAction {
    /// Peers that roles may be swapped with
    Peer {
        #[command(subcommand)]
        action: Action<Box<PeerFields>, Limit>,
    },
    /// Begins a session with a peer: dials, logs in, sends what waits for it, and fetches its mail
    Start {
        /// The peer
        peer: String,
        /// What is asked for [default: the best of the peer's verbs]
        #[arg(long)]
        verb: Option<Verb>,
        /// Connects, logs in, looks, and leaves
        #[arg(long)]
        dry_run: bool,
        /// Waits for the end, and shows the dialogue as it goes on
        #[arg(long)]
        wait: bool,
    },
    /// Lists the sessions, the newest first
    Sessions {
        /// Only those with this peer
        #[arg(long)]
        peer: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Shows a session with its dialogue
    Show {
        /// Its id
        id: String,
    },
    /// Ends a session that runs, between two messages
    Abort {
        /// Its id
        id: String,
    },
    /// Makes a secret that a peer may use for CRAM-MD5, and prints it: for both sides. It is kept nowhere
    Secret,
    /// Shows what waits for a domain: what ETRN or ATRN would release
    Waiting {
        /// The domain
        domain: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Verb {
    Atrn,
    Turn,
    Etrn,
}

#[derive(Clone, Copy, ValueEnum)]
enum Direction {
    Initiate,
    Accept,
    Both,
}

#[derive(Args)]
pub struct PeerFields {
    /// A verb that it may use, or we at its side; repeatable
    #[arg(long = "verb", value_name = "VERB")]
    verbs: Vec<Verb>,
    /// Who dials [default: both with --host, initiate where only our certificate is shown, else accept]
    #[arg(long)]
    direction: Option<Direction>,
    /// Where we dial it, as in mail.example.org or [192.0.2.1]
    #[arg(long)]
    host: Option<String>,
    /// The port there [default: 25; 366 where ATRN is the only verb]
    #[arg(long)]
    port: Option<u16>,
    /// A domain of it, held for it; or of ours, asked of it; repeatable
    #[arg(long = "domain", value_name = "DOMAIN")]
    domains: Vec<String>,
    /// The user name, the same at both sides
    #[arg(long, conflicts_with = "client_cert")]
    user: Option<String>,
    /// A file whose first line is the secret; - for stdin. Without it, the one that is there stays
    #[arg(long, value_name = "FILE", requires = "user")]
    secret_file: Option<PathBuf>,
    /// A mechanism that it may log in with, or we at its side; repeatable [default: all but CRAM-MD5 and EXTERNAL].
    /// EXTERNAL alone, and no --user: where we dial it, we show it our certificate
    #[arg(long = "mechanism", value_name = "NAME")]
    mechanisms: Vec<String>,
    /// The SHA-256 of the certificate that it shows when it dials us (EXTERNAL), instead of a user name and a secret
    #[arg(long, value_name = "HEX")]
    client_cert: Option<String>,
    /// Whether it has to come over TLS; if not, it may log in on port 366 by CRAM-MD5, from its networks
    #[arg(long, value_name = "BOOL", action = ArgAction::Set)]
    tls_required: Option<bool>,
    /// The SHA-256 of its certificate, which then counts instead of a public CA; empty: a public CA again
    #[arg(long, value_name = "HEX")]
    pin: Option<String>,
    /// A network that it dials us from; repeatable
    #[arg(long = "network", value_name = "NETWORK")]
    networks: Vec<String>,
    /// A disabled peer is as good as none, but its mail stays held
    #[arg(long, value_name = "BOOL", action = ArgAction::Set)]
    enabled: Option<bool>,
    /// Messages that a session with swapped roles carries in each direction, at most; 0: as many as there are
    #[arg(long, value_name = "N")]
    session_messages: Option<u32>,
    /// Octets of messages after which it carries no other in that direction; 0: as many as there are
    #[arg(long, value_name = "BYTES")]
    session_bytes: Option<u64>,
    /// Seconds that it takes, at most; 0: 1800
    #[arg(long, value_name = "SECONDS")]
    session_seconds: Option<u32>,
    /// Dials it by itself so many seconds after the last time; 0: no schedule
    #[arg(long, value_name = "SECONDS", conflicts_with = "cron")]
    every: Option<u32>,
    /// Dials it by itself at the times of a line of cron, in UTC, as in '*/15 * * * *'; empty: no schedule
    #[arg(long, value_name = "LINE")]
    cron: Option<String>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// A number, or null for 0: that one is no limit.
fn number_or_none<N: Into<Value> + PartialEq + Default>(number: Option<N>) -> Option<Value> {
    number.map(|number| if number == N::default() { Value::Null } else { number.into() })
}

impl Fields for Box<PeerFields> {
    fn json(self, asks: bool) -> Result<Map<String, Value>, Failure> {
        let secret = self.secret_file.as_deref().map(password::from_file).transpose()?;
        let mechanisms = several(self.mechanisms.iter().map(|name| name.to_uppercase()).collect());
        let by_certificate = self.client_cert.is_some() || mechanisms == Some(json!(["EXTERNAL"]));
        let auth = match self.user {
            user if by_certificate && user.as_deref().is_none_or(str::is_empty) => {
                // In the place of those that the peer has.
                let gone = || (!asks).then_some(Value::Null);
                Some(Value::Object(given([
                    ("sasl_user", gone()),
                    ("mechanisms", mechanisms.or_else(gone)),
                    ("client_cert_sha256", self.client_cert.map(Value::from)),
                ])))
            }
            Some(user) if user.is_empty() => Some(Value::Null),
            user => {
                // The certificate goes.
                let gone = (user.is_some() && !asks).then_some(Value::Null);
                let secret = secret.map(|secret| secret.expose().clone().into());
                let fields = given([
                    ("sasl_user", user.map(Value::from)),
                    ("mechanisms", mechanisms),
                    ("secret", secret),
                    ("client_cert_sha256", gone),
                ]);
                (!fields.is_empty()).then_some(Value::Object(fields))
            }
        };
        let mut tls = self.pin.map(|pin| match pin.as_str() {
            "" => json!({"mode": "pkix", "server_cert_sha256": null}),
            pin => json!({"mode": "pinned", "server_cert_sha256": pin}),
        });
        if let Some(required) = self.tls_required {
            // A whole peer says how the other side proves itself; a change of one leaves that as it is.
            let bare = if asks { json!({"mode": "pkix"}) } else { json!({}) };
            tls.get_or_insert(bare)["required"] = required.into();
        }
        let limits = given([
            ("messages", number_or_none(self.session_messages)),
            ("size_bytes", number_or_none(self.session_bytes)),
            ("duration_seconds", number_or_none(self.session_seconds)),
        ]);
        let schedule = match (self.every, self.cron) {
            (Some(0), _) => Some(Value::Null),
            (Some(seconds), _) => Some(json!({"every_seconds": seconds, "cron": null})),
            (None, Some(line)) if line.is_empty() => Some(Value::Null),
            (None, Some(line)) => Some(json!({"every_seconds": null, "cron": line})),
            (None, None) => None,
        };
        Ok(given([
            ("verbs", several(self.verbs.into_iter().map(word).collect())),
            ("direction", self.direction.map(|direction| word(direction).into())),
            ("host", text_or_none(self.host)),
            ("port", self.port.map(Value::from)),
            ("domains", several(self.domains)),
            ("auth", auth),
            ("tls", tls),
            ("networks", several(self.networks)),
            ("enabled", self.enabled.map(Value::from)),
            ("note", self.note.map(Value::from)),
            ("limits", (!limits.is_empty()).then_some(Value::Object(limits))),
            ("schedule", schedule),
        ]))
    }
}

/// `pillarbox turn …`
pub fn act(action: TurnAction, client: &Client, output: Output) -> Result<(), Failure> {
    let session = |id: &str| format!("{SESSIONS}/{}", path_segment(id));
    match action {
        TurnAction::Peer { action } => directory::act(&PEERS, action, client, output),
        TurnAction::Start { peer, verb, dry_run, wait } => {
            let path = format!("/api/v1/turn/peers/{}/sessions", path_segment(&peer));
            let body = given([("verb", verb.map(|verb| word(verb).into())), ("dry_run", Some(dry_run.into()))]);
            let job = client.send(Method::POST, &path, &[], Some(&Value::Object(body)))?.body;
            jobs::started(job, wait, client, output)
        }
        TurnAction::Sessions { peer, limit } => {
            list(client, SESSIONS, &[("peer", peer.as_deref())], limit, COLUMNS, output)
        }
        TurnAction::Show { id } => {
            let answer = client.send(Method::GET, &session(&id), &[], None)?.body;
            output::show_with_text(answer, "transcript", output)
        }
        TurnAction::Abort { id } => {
            let path = format!("{}/abort", session(&id));
            output::show_with_text(client.send(Method::POST, &path, &[], None)?.body, "transcript", output)
        }
        TurnAction::Secret => output::print(&format!("{}\n", turn::make_secret(&SystemRandom).expose())),
        TurnAction::Waiting { domain } => {
            let path = format!("/api/v1/turn/domains/{}/waiting", path_segment(&domain));
            output::show(&client.send(Method::GET, &path, &[], None)?.body, output)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        action: TurnAction,
    }

    fn check(line: &str, expected: Option<Value>) {
        let seen = Line::try_parse_from(line.split(' ')).ok().map(|line| match line.action {
            TurnAction::Peer { action: Action::Put { fields, .. } | Action::Set { fields, .. } } => {
                Value::Object(fields.json(false).unwrap())
            }
            _ => Value::Null,
        });
        assert_eq!(seen, expected, "{line}");
    }

    #[test]
    fn flags_become_a_peer() {
        check(
            "turn peer put branch --verb atrn --verb etrn --domain b.test --host [192.0.2.1] --user b --pin ab",
            Some(json!({
                "verbs": ["atrn", "etrn"], "domains": ["b.test"], "host": "[192.0.2.1]",
                "auth": {"sasl_user": "b", "client_cert_sha256": null}, "tls": {"mode": "pinned", "server_cert_sha256": "ab"},
            })),
        );
        check(
            "turn peer set branch --host  --pin  --enabled false --direction accept",
            Some(json!({
                "host": null, "tls": {"mode": "pkix", "server_cert_sha256": null},
                "enabled": false, "direction": "accept",
            })),
        );
        check(
            "turn peer set branch --user b --mechanism cram-md5 --mechanism PLAIN --tls-required false",
            Some(json!({
                "auth": {"sasl_user": "b", "mechanisms": ["CRAM-MD5", "PLAIN"], "client_cert_sha256": null},
                "tls": {"required": false},
            })),
        );
        check("turn peer set branch --mechanism plain", Some(json!({"auth": {"mechanisms": ["PLAIN"]}})));
        check(
            "turn peer set branch --client-cert ab",
            Some(json!({"auth": {"sasl_user": null, "mechanisms": null, "client_cert_sha256": "ab"}})),
        );
        check(
            "turn peer set hub --mechanism external",
            Some(json!({"auth": {"sasl_user": null, "mechanisms": ["EXTERNAL"]}})),
        );
        check("turn peer set branch --user b", Some(json!({"auth": {"sasl_user": "b", "client_cert_sha256": null}})));
        check("turn peer set branch --user ", Some(json!({"auth": null})));
        check(
            "turn peer put hub --user  --mechanism EXTERNAL --host hub.test",
            Some(json!({"host": "hub.test", "auth": {"sasl_user": null, "mechanisms": ["EXTERNAL"]}})),
        );
        check("turn peer put branch --user b --client-cert ab", None);
        check("turn secret", Some(Value::Null));
        check("turn peer put branch --verb fly", None);
        check("turn peer put branch --secret-file x", None);
        check("turn peer list --limit 3", Some(Value::Null));
        check("turn start branch --verb atrn --dry-run --wait", Some(Value::Null));
        check("turn start", None);
        check("turn sessions --peer branch", Some(Value::Null));
    }
}
