use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand, ValueEnum};
use hyper::Method;
use hyper::header::{self, HeaderName};
use serde_json::{Map, Value, json};

use super::args::Output;
use super::client::Client;
use super::failure::Failure;
use super::request::{given, list, several, text_or_none, word};
use super::{output, password};
use crate::http::path_segment;

/// A kind of thing: its path, and what a list shows of it.
pub struct Kind {
    /// Below `/api/v1/`.
    pub folder: &'static str,
    /// What a list shows.
    pub columns: &'static [&'static str],
}

pub const DOMAINS: Kind =
    Kind { folder: "domains", columns: &["name", "enabled", "aliases", "catch_all", "managed_by"] };
pub const ACCOUNTS: Kind = Kind {
    folder: "accounts",
    columns: &["address", "display_name", "enabled", "roles", "used_bytes", "message_count", "managed_by"],
};
pub const ALIASES: Kind = Kind { folder: "aliases", columns: &["address", "targets", "enabled", "managed_by"] };
const TOKENS: &[&str] = &["id", "name", "scopes", "expires_at", "last_used_at"];

/// What can be done with a kind of thing.
#[derive(Subcommand)]
pub enum Action<F: Args, L: Args = Filter> {
    /// Lists them
    List {
        #[command(flatten)]
        filter: L,
    },
    /// Shows one
    Show {
        /// Its name or address
        name: String,
    },
    /// Creates one, or replaces what is set of it: what is left out gets its default
    Put {
        /// Its name or address
        name: String,
        #[command(flatten)]
        fields: F,
        #[command(flatten)]
        only: Only,
    },
    /// Changes what is given and leaves the rest; an empty value takes a field back to its default
    Set {
        /// Its name or address
        name: String,
        #[command(flatten)]
        fields: F,
        #[command(flatten)]
        only: Only,
    },
    /// Deletes one
    Delete {
        /// Its name or address
        name: String,
        #[command(flatten)]
        only: Only,
    },
}

#[derive(Args)]
pub struct Filter {
    /// Only those that contain this
    #[arg(long, short, value_name = "TEXT")]
    query: Option<String>,
    /// Only those of this domain
    #[arg(long)]
    domain: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// For lists without a filter.
#[derive(Args)]
pub struct Limit {
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// What a list is asked for.
pub trait Wanted {
    /// The query's parameters.
    fn parameters(&self) -> Vec<(&'static str, Option<&str>)>;

    /// At most so many items.
    fn limit(&self) -> Option<usize>;
}

impl Wanted for Filter {
    fn parameters(&self) -> Vec<(&'static str, Option<&str>)> {
        vec![("q", self.query.as_deref()), ("domain", self.domain.as_deref())]
    }

    fn limit(&self) -> Option<usize> {
        self.limit
    }
}

impl Wanted for Limit {
    fn parameters(&self) -> Vec<(&'static str, Option<&str>)> {
        Vec::new()
    }

    fn limit(&self) -> Option<usize> {
        self.limit
    }
}

/// Preconditions.
#[derive(Args)]
pub struct Only {
    /// Only if there is none yet
    #[arg(long, conflicts_with = "if_match")]
    create: bool,
    /// Only if it is at this version: the ETag that the REST interface gives
    #[arg(long, value_name = "ETAG")]
    if_match: Option<String>,
}

#[derive(Args)]
pub struct DomainFields {
    /// Another name of the domain; repeatable
    #[arg(long = "alias", value_name = "DOMAIN")]
    aliases: Vec<String>,
    /// A disabled domain takes no mail
    #[arg(long, value_name = "BOOL", action = ArgAction::Set)]
    enabled: Option<bool>,
    /// Where mail goes whose local part nobody has
    #[arg(long, value_name = "ADDRESS")]
    catch_all: Option<String>,
    /// What separates a name from its tag, as in alice+tag
    #[arg(long, value_name = "TEXT")]
    subaddress_sep: Option<String>,
    /// The quota of accounts that have none of their own, in octets
    #[arg(long, value_name = "N")]
    default_quota_bytes: Option<u64>,
    /// How many accounts it may have
    #[arg(long, value_name = "N")]
    max_accounts: Option<u32>,
    /// The MTA-STS policy to publish: testing, enforce or none; empty: it is not published
    #[arg(long, value_name = "MODE")]
    mta_sts_mode: Option<String>,
}

#[derive(Args)]
pub struct AccountFields {
    /// A file whose first line is the password; - for stdin. Without it, it is asked for on the terminal
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// A hash from another server: argon2id, bcrypt or sha512-crypt
    #[arg(long, value_name = "HASH", conflicts_with = "password_file")]
    password_hash: Option<String>,
    /// Does not ask for a password
    #[arg(long, conflicts_with_all = ["password_file", "password_hash"])]
    no_password: bool,
    /// The name of the person or service
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// A disabled account takes no mail and can't log in
    #[arg(long, value_name = "BOOL", action = ArgAction::Set)]
    enabled: Option<bool>,
    /// user, domain_admin:DOMAIN, operator or admin; repeatable
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Octets that its mail may take
    #[arg(long, value_name = "N")]
    quota_bytes: Option<u64>,
    /// Where it may log in: submission, pop3, imap or http; repeatable
    #[arg(long = "protocol", value_name = "NAME")]
    protocols: Vec<String>,
    /// An address that it may send as, or @DOMAIN; repeatable
    #[arg(long = "send-as", value_name = "ADDRESS")]
    send_as: Vec<String>,
    /// An address that its mail goes on to; repeatable. Empty: none
    #[arg(long = "forward", value_name = "ADDRESS")]
    forward: Vec<String>,
    /// Whether it gets a copy of what it forwards; default: true
    #[arg(long, value_name = "BOOL", action = ArgAction::Set)]
    forward_keep: Option<bool>,
}

#[derive(Args)]
pub struct AliasFields {
    /// Where it leads; repeatable
    #[arg(long = "target", value_name = "ADDRESS")]
    targets: Vec<String>,
    /// A disabled alias takes no mail
    #[arg(long, value_name = "BOOL", action = ArgAction::Set)]
    enabled: Option<bool>,
    /// Only mail from an authenticated account goes there
    #[arg(long, value_name = "BOOL", action = ArgAction::Set)]
    internal_only: Option<bool>,
    /// Who is told its targets by EXPN, besides administrators and the accounts that it leads to
    #[arg(long)]
    expn: Option<Expn>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Expn {
    Private,
    Domain,
    Public,
}

#[derive(Subcommand)]
pub enum TokenAction {
    /// Lists them
    List {
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Shows one, without its secret
    Show {
        /// Its id
        id: String,
    },
    /// Creates one; its secret is printed this once
    Create {
        /// For people
        #[arg(long)]
        name: String,
        /// What it may do, as in domains:read; repeatable
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<String>,
        /// The only domain that it may see and change; repeatable
        #[arg(long = "domain", value_name = "DOMAIN")]
        domains: Vec<String>,
        /// When it ends, as in 2027-01-31T00:00:00Z
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        /// The only network that it may come from; repeatable
        #[arg(long = "allow-ip", value_name = "NETWORK")]
        allow_ips: Vec<String>,
    },
    /// Deletes one
    Delete {
        /// Its id
        id: String,
    },
}

/// Flags that become the fields of a request.
pub trait Fields {
    /// The fields that were given; `asks` says whether what is missing may be asked for.
    fn json(self, asks: bool) -> Result<Map<String, Value>, Failure>;
}

impl Fields for DomainFields {
    fn json(self, _: bool) -> Result<Map<String, Value>, Failure> {
        Ok(given([
            ("aliases", several(self.aliases)),
            ("enabled", self.enabled.map(Value::from)),
            ("catch_all", text_or_none(self.catch_all)),
            ("subaddress_sep", self.subaddress_sep.map(Value::from)),
            ("default_quota_bytes", self.default_quota_bytes.map(Value::from)),
            ("max_accounts", self.max_accounts.map(Value::from)),
            ("mta_sts_mode", text_or_none(self.mta_sts_mode)),
        ]))
    }
}

impl Fields for Box<AccountFields> {
    fn json(self, asks: bool) -> Result<Map<String, Value>, Failure> {
        let password = match &self.password_file {
            Some(file) => Some(password::from_file(file)?),
            None if asks && !self.no_password && self.password_hash.is_none() => password::ask()?,
            None => None,
        };
        Ok(given([
            ("display_name", self.display_name.map(Value::from)),
            ("password", password.map(|password| password.expose().clone().into())),
            ("password_hash", self.password_hash.map(Value::from)),
            ("enabled", self.enabled.map(Value::from)),
            ("roles", several(self.roles)),
            ("quota_bytes", self.quota_bytes.map(Value::from)),
            ("protocols", several(self.protocols)),
            ("send_as", several(self.send_as)),
            ("forward", forward(self.forward, self.forward_keep)),
        ]))
    }
}

/// Where an account forwards to: one empty address takes it away.
fn forward(to: Vec<String>, keep: Option<bool>) -> Option<Value> {
    if to.iter().any(String::is_empty) {
        return Some(Value::Null);
    }
    let fields = given([("to", several(to)), ("keep", keep.map(Value::from))]);
    (!fields.is_empty()).then_some(Value::Object(fields))
}

impl Fields for AliasFields {
    fn json(self, _: bool) -> Result<Map<String, Value>, Failure> {
        Ok(given([
            ("targets", several(self.targets)),
            ("enabled", self.enabled.map(Value::from)),
            ("internal_only", self.internal_only.map(Value::from)),
            ("expn", self.expn.map(|expn| word(expn).into())),
            ("note", self.note.map(Value::from)),
        ]))
    }
}

/// Does what the arguments ask for.
pub fn act<F: Args + Fields, L: Args + Wanted>(
    kind: &Kind,
    action: Action<F, L>,
    client: &Client,
    output: Output,
) -> Result<(), Failure> {
    let path = |name: &str| format!("/api/v1/{}/{}", kind.folder, path_segment(name));
    match action {
        Action::List { filter } => {
            let folder = format!("/api/v1/{}", kind.folder);
            list(client, &folder, &filter.parameters(), filter.limit(), kind.columns, output)
        }
        Action::Show { name } => output::show(&client.send(Method::GET, &path(&name), &[], None)?.body, output),
        Action::Put { name, fields, only } => {
            let fields = Value::Object(fields.json(true)?);
            show_stored(&client.send(Method::PUT, &path(&name), &only.fields(), Some(&fields))?.body, output)
        }
        Action::Set { name, fields, only } => {
            let fields = fields.json(false)?;
            if fields.is_empty() {
                return Err(Failure::Usage("nothing to set: see --help".into()));
            }
            let fields = Value::Object(fields);
            show_stored(&client.send(Method::PATCH, &path(&name), &only.fields(), Some(&fields))?.body, output)
        }
        Action::Delete { name, only } => client.send(Method::DELETE, &path(&name), &only.fields(), None).map(|_| ()),
    }
}

/// Shows a thing that was changed, and says so where that is not for long.
pub fn show_stored(thing: &Value, output: Output) -> Result<(), Failure> {
    if thing["managed_by"] == "state" {
        eprintln!("note: a state keeps it as it was: the next one that is applied sets it back");
    }
    output::show(thing, output)
}

impl Only {
    /// The header fields that say so.
    pub fn fields(&self) -> Vec<(HeaderName, String)> {
        let create = self.create.then(|| (header::IF_NONE_MATCH, "*".to_owned()));
        let version = self.if_match.clone().map(|tag| (header::IF_MATCH, tag));
        create.into_iter().chain(version).collect()
    }
}

/// `pillarbox token …`
pub fn token(action: TokenAction, client: &Client, output: Output) -> Result<(), Failure> {
    let path = |id: &str| format!("/api/v1/tokens/{}", path_segment(id));
    match action {
        TokenAction::List { limit } => list(client, "/api/v1/tokens", &[], limit, TOKENS, output),
        TokenAction::Show { id } => output::show(&client.send(Method::GET, &path(&id), &[], None)?.body, output),
        TokenAction::Create { name, scopes, domains, expires_at, allow_ips } => {
            let body = json!({
                "name": name,
                "scopes": scopes,
                "restrict": {"domains": domains},
                "expires_at": expires_at,
                "allow_ips": allow_ips,
            });
            output::show(&client.send(Method::POST, "/api/v1/tokens", &[], Some(&body))?.body, output)
        }
        TokenAction::Delete { id } => client.send(Method::DELETE, &path(&id), &[], None).map(|_| ()),
    }
}

/// `pillarbox resolve ADDRESS`
pub fn resolve(address: &str, client: &Client, output: Output) -> Result<(), Failure> {
    let path = format!("/api/v1/resolve?address={}", path_segment(address));
    let answer = client.send(Method::GET, &path, &[], None)?.body;
    output::show_with_list(answer, "steps", &["address", "kind", "to"], output)
}

/// `pillarbox health`
pub fn health(client: &Client, output: Output) -> Result<(), Failure> {
    output::show(&client.send(Method::GET, "/readyz", &[], None)?.body, output)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line<F: Args> {
        #[command(subcommand)]
        action: Action<F>,
    }

    fn check<F: Args + Fields>(line: &str, expected: Value) {
        let parsed = Line::<F>::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
        let (Action::Put { fields, .. } | Action::Set { fields, .. }) = parsed.action else { panic!("{line}") };
        assert_eq!(Value::Object(fields.json(false).unwrap()), expected, "{line}");
    }

    #[test]
    fn flags_become_fields() {
        check::<DomainFields>("domain put x.test", json!({}));
        check::<DomainFields>(
            "domain put x.test --alias y.test --alias z.test --enabled false --max-accounts 5",
            json!({"aliases": ["y.test", "z.test"], "enabled": false, "max_accounts": 5}),
        );
        check::<DomainFields>("domain set x.test --catch-all ", json!({"catch_all": null}));
        check::<DomainFields>("domain set x.test --alias ", json!({"aliases": []}));
        check::<DomainFields>("domain set x.test --mta-sts-mode testing", json!({"mta_sts_mode": "testing"}));
        check::<DomainFields>("domain set x.test --mta-sts-mode ", json!({"mta_sts_mode": null}));
        check::<Box<AccountFields>>(
            "account put a@x.test --role admin --send-as @x.test --password-hash $6$x",
            json!({"roles": ["admin"], "send_as": ["@x.test"], "password_hash": "$6$x"}),
        );
        check::<Box<AccountFields>>(
            "account set a@x.test --forward b@far.test --forward c@far.test --forward-keep false",
            json!({"forward": {"to": ["b@far.test", "c@far.test"], "keep": false}}),
        );
        check::<Box<AccountFields>>("account set a@x.test --forward-keep true", json!({"forward": {"keep": true}}));
        check::<Box<AccountFields>>("account set a@x.test --forward ", json!({"forward": null}));
        check::<AliasFields>(
            "alias put i@x.test --target a@x.test --internal-only true --expn domain --note hello",
            json!({"targets": ["a@x.test"], "internal_only": true, "expn": "domain", "note": "hello"}),
        );
    }
}
