use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;
use serde_json::{Value, json};

use super::args::Output;
use super::client::Client;
use super::directory::{Only, show_stored};
use super::failure::Failure;
use super::request::{given, list};
use super::{output, password};
use crate::http::path_segment;

const COLUMNS: &[&str] = &["name", "match", "kind", "host", "port", "peer", "tls", "managed_by"];
const ROUTES: &str = "/api/v1/routes";

#[derive(Subcommand)]
pub enum RouteAction {
    /// Lists them
    List {
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Shows one, without its secret
    Show {
        /// Its name
        name: String,
    },
    /// Creates one, or replaces it
    Put {
        /// Its name
        name: String,
        #[command(flatten)]
        fields: Box<RouteFields>,
        #[command(flatten)]
        only: Only,
    },
    /// Deletes one
    Delete {
        /// Its name
        name: String,
        #[command(flatten)]
        only: Only,
    },
}

#[derive(Args)]
pub struct RouteFields {
    #[command(flatten)]
    mail: Mail,
    /// Where to [default: relay with --host, hold with --peer, else mx]
    #[arg(long)]
    kind: Option<Kind>,
    /// The smarthost, as in smtp.example.net or [192.0.2.1]
    #[arg(long)]
    host: Option<String>,
    /// Its port [default: 25, with implicit TLS 465]
    #[arg(long)]
    port: Option<u16>,
    /// The peer that fetches the mail
    #[arg(long, conflicts_with = "host")]
    peer: Option<String>,
    /// The user name at the smarthost
    #[arg(long)]
    user: Option<String>,
    /// A file whose first line is the password there; - for stdin. Without it, the one that is there stays
    #[arg(long, value_name = "FILE", requires = "user")]
    secret_file: Option<PathBuf>,
    /// What is asked of TLS [default: opportunistic, with --user verified]
    #[arg(long)]
    tls: Option<Tls>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// Which mail.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Mail {
    /// Mail to this domain
    #[arg(long)]
    domain: Option<String>,
    /// Mail from this address, or from @DOMAIN
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// All other mail
    #[arg(long)]
    default: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Mx,
    Relay,
    Hold,
}

#[derive(Clone, Copy, ValueEnum)]
enum Tls {
    Opportunistic,
    Required,
    Verified,
    Implicit,
}

/// `pillarbox route …`
pub fn act(action: RouteAction, client: &Client, output: Output) -> Result<(), Failure> {
    let path = |name: &str| format!("{ROUTES}/{}", path_segment(name));
    match action {
        RouteAction::List { limit } => list(client, ROUTES, &[], limit, COLUMNS, output),
        RouteAction::Show { name } => output::show(&client.send(Method::GET, &path(&name), &[], None)?.body, output),
        RouteAction::Put { name, fields, only } => {
            let body = fields.json()?;
            show_stored(&client.send(Method::PUT, &path(&name), &only.fields(), Some(&body))?.body, output)
        }
        RouteAction::Delete { name, only } => client.send(Method::DELETE, &path(&name), &only.fields(), None).map(drop),
    }
}

impl RouteFields {
    fn json(self) -> Result<Value, Failure> {
        let secret = self.secret_file.as_deref().map(password::from_file).transpose()?;
        let auth = self.user.map(|user| {
            let secret = secret.map(|secret| secret.expose().clone().into());
            Value::Object(given([("user", Some(user.into())), ("secret", secret)]))
        });
        let kind = match (self.kind, &self.host, &self.peer) {
            (Some(Kind::Mx), ..) => "mx",
            (Some(Kind::Relay), ..) | (None, Some(_), _) => "relay",
            (Some(Kind::Hold), ..) | (None, None, Some(_)) => "hold",
            (None, None, None) => "mx",
        };
        let tls = self.tls.and_then(|tls| tls.to_possible_value()).map(|tls| tls.get_name().into());
        Ok(Value::Object(given([
            ("match", Some(self.mail.json())),
            ("kind", Some(kind.into())),
            ("host", self.host.map(Value::from)),
            ("port", self.port.map(Value::from)),
            ("peer", self.peer.map(Value::from)),
            ("auth", auth),
            ("tls", tls),
            ("note", self.note.map(Value::from)),
        ])))
    }
}

impl Mail {
    fn json(self) -> Value {
        match (self.domain, self.sender) {
            (Some(domain), _) => json!({"domain": domain}),
            (None, Some(sender)) => json!({"sender": sender}),
            (None, None) => json!({"default": true}),
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
        action: RouteAction,
    }

    fn check(line: &str, expected: Option<Value>) {
        let seen = Line::try_parse_from(line.split(' ')).ok().map(|line| match line.action {
            RouteAction::Put { fields, .. } => fields.json().unwrap(),
            _ => Value::Null,
        });
        assert_eq!(seen, expected, "{line}");
    }

    #[test]
    fn flags_become_a_route() {
        check("route put r --domain x.test", Some(json!({"match": {"domain": "x.test"}, "kind": "mx"})));
        check(
            "route put r --default --host smtp.x.test --port 587 --tls verified --user me",
            Some(json!({
                "match": {"default": true}, "kind": "relay", "host": "smtp.x.test", "port": 587,
                "tls": "verified", "auth": {"user": "me"},
            })),
        );
        check(
            "route put r --sender @x.test --peer branch",
            Some(json!({"match": {"sender": "@x.test"}, "kind": "hold", "peer": "branch"})),
        );
        check("route put r", None);
        check("route put r --domain x.test --default", None);
        check("route put r --default --host h.test --secret-file s", None);
        check("route put r --default --host h.test --peer p", None);
    }
}
