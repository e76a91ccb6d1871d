use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;
use serde_json::{Value, json};

use super::args::Output;
use super::client::Client;
use super::directory::{Only, show_stored};
use super::failure::Failure;
use super::output;
use super::request::{given, list};
use crate::http::path_segment;

const COLUMNS: &[&str] = &["id", "match", "action", "reason", "expires_at", "expired"];
const RULES: &str = "/api/v1/queue/rules";

#[derive(Subcommand)]
pub enum RuleAction {
    /// Lists them
    List {
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Shows one
    Show {
        /// Its name
        id: String,
    },
    /// Creates one, or replaces it
    #[command(
        after_help = "Examples:\n  pillarbox queue rule put spree hold --sender bulk@example.org --reason \"asked them\"\n  \
        pillarbox queue rule put moving suspend --domain example.net --reason \"they move\" --until 2027-01-31T00:00:00Z"
    )]
    Put {
        /// Its name
        id: String,
        /// What becomes of the mail
        action: Kind,
        #[command(flatten)]
        fields: Box<RuleFields>,
        #[command(flatten)]
        only: Only,
    },
    /// Deletes one: what it has suspended goes out, what it holds stays held
    Delete {
        /// Its name
        id: String,
        #[command(flatten)]
        only: Only,
    },
}

#[derive(Args)]
pub struct RuleFields {
    #[command(flatten)]
    mail: Mail,
    /// Why: it is shown with what is held
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// When it ends by itself, as in 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
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
    /// Mail to this address
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<String>,
    /// Mail that this server would be given: for suspend
    #[arg(long, value_name = "HOST")]
    server: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Kind {
    /// It is held when its time comes, and does not expire
    Hold,
    /// It waits where it is
    Suspend,
}

/// `pillarbox queue rule …`
pub fn act(action: RuleAction, client: &Client, output: Output) -> Result<(), Failure> {
    let path = |id: &str| format!("{RULES}/{}", path_segment(id));
    match action {
        RuleAction::List { limit } => list(client, RULES, &[], limit, COLUMNS, output),
        RuleAction::Show { id } => output::show(&client.send(Method::GET, &path(&id), &[], None)?.body, output),
        RuleAction::Put { id, action, fields, only } => {
            let body = fields.json(action);
            show_stored(&client.send(Method::PUT, &path(&id), &only.fields(), Some(&body))?.body, output)
        }
        RuleAction::Delete { id, only } => client.send(Method::DELETE, &path(&id), &only.fields(), None).map(drop),
    }
}

impl RuleFields {
    fn json(self, action: Kind) -> Value {
        let action = match action {
            Kind::Hold => "hold",
            Kind::Suspend => "suspend",
        };
        Value::Object(given([
            ("match", Some(self.mail.json())),
            ("action", Some(action.into())),
            ("reason", Some(self.reason.into())),
            ("expires_at", self.until.map(Value::from)),
        ]))
    }
}

impl Mail {
    fn json(self) -> Value {
        let named = [("domain", self.domain), ("sender", self.sender), ("recipient", self.recipient)];
        let found = named.into_iter().find_map(|(name, value)| Some(json!({ name: value? })));
        found.unwrap_or_else(|| json!({"server": self.server}))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        action: RuleAction,
    }

    #[test]
    fn flags_become_a_rule() {
        let check = |line: &str, expected: Option<Value>| {
            let seen = Line::try_parse_from(line.split(' ')).ok().map(|line| match line.action {
                RuleAction::Put { action, fields, .. } => fields.json(action),
                _ => Value::Null,
            });
            assert_eq!(seen, expected, "{line}");
        };
        check(
            "rule put r hold --sender @x.test --reason why",
            Some(json!({"match": {"sender": "@x.test"}, "action": "hold", "reason": "why"})),
        );
        check(
            "rule put r suspend --server mx.x.test --reason why --until 2027-01-31T00:00:00Z",
            Some(json!({
                "match": {"server": "mx.x.test"}, "action": "suspend", "reason": "why",
                "expires_at": "2027-01-31T00:00:00Z",
            })),
        );
        check("rule put r hold --reason why", None);
        check("rule put r hold --domain x.test", None);
        check("rule put r hold --domain x.test --sender a@x.test --reason why", None);
    }
}
