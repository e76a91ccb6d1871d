use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;
use serde_json::{Value, json};

use super::args::Output;
use super::client::Client;
use super::failure::Failure;
use super::request::{given, list};
use super::{jobs, output};
use crate::http::path_segment;

const KEYS: &[&str] = &["selector", "algorithm", "state", "state_since", "dns", "record_name"];
const RECORDS: &[&str] = &["state", "requirement", "type", "name", "value", "fix"];

#[derive(Subcommand)]
pub enum DkimAction {
    /// Lists a domain's keys
    List {
        /// The domain
        domain: String,
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Shows one, with the record to publish
    Show {
        #[command(flatten)]
        key: Key,
    },
    /// Makes one. It signs once its record was seen in the DNS
    Create {
        /// The domain
        domain: String,
        /// How it signs
        #[arg(long)]
        algorithm: Algorithm,
        /// Its selector [default: one that says the day]
        #[arg(long)]
        selector: Option<String>,
    },
    /// Lets one sign, when its record is in the DNS; the one before it retires
    Activate {
        #[command(flatten)]
        key: Key,
        /// Although its record was not seen
        #[arg(long)]
        force: bool,
    },
    /// Deletes one
    Delete {
        #[command(flatten)]
        key: Key,
        /// Although it signs, or mail that it has signed may be on its way
        #[arg(long)]
        force: bool,
    },
    /// Makes a new key of each algorithm; the server does the rest once their records are published
    Rotate {
        /// The domain
        domain: String,
        /// Says the job's id and does not wait for its end
        #[arg(long)]
        no_wait: bool,
    },
}

/// Which key.
#[derive(Args)]
pub struct Key {
    /// The domain
    domain: String,
    /// The key's selector
    selector: String,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Algorithm {
    Ed25519,
    Rsa2048,
}

#[derive(Subcommand)]
pub enum DnsAction {
    /// Says which records a domain needs, and which of them are there
    Show {
        /// The domain
        domain: String,
    },
    /// Prints them as lines of a zone file
    Zone {
        /// The domain
        domain: String,
    },
    /// Asks the DNS anew for them
    Check {
        /// The domain
        domain: String,
        /// Says the job's id and does not wait for its end
        #[arg(long)]
        no_wait: bool,
    },
}

/// `pillarbox dkim …`
pub fn act(action: DkimAction, client: &Client, output: Output) -> Result<(), Failure> {
    let send = |method, path: &str, body: Option<Value>| client.send(method, path, &[], body.as_ref());
    let forced = |path: String, force: bool| if force { format!("{path}?force=true") } else { path };
    match action {
        DkimAction::List { domain, limit } => list(client, &of_domain(&domain, "dkim-keys"), &[], limit, KEYS, output),
        DkimAction::Show { key } => output::show(&send(Method::GET, &key.path(), None)?.body, output),
        DkimAction::Create { domain, algorithm, selector } => {
            let body = body(algorithm, selector);
            output::show(&send(Method::POST, &of_domain(&domain, "dkim-keys"), Some(body))?.body, output)
        }
        DkimAction::Activate { key, force } => {
            let path = forced(format!("{}/activate", key.path()), force);
            output::show(&send(Method::POST, &path, None)?.body, output)
        }
        DkimAction::Delete { key, force } => send(Method::DELETE, &forced(key.path(), force), None).map(drop),
        DkimAction::Rotate { domain, no_wait } => {
            let job = send(Method::POST, &of_domain(&domain, "dkim/rotate"), None)?.body;
            jobs::started(job, !no_wait, client, output)
        }
    }
}

/// `pillarbox dns …`
pub fn dns(action: DnsAction, client: &Client, output: Output) -> Result<(), Failure> {
    match action {
        DnsAction::Show { domain } => {
            let mut seen = client.send(Method::GET, &of_domain(&domain, "dns"), &[], None)?.body;
            match output {
                Output::Table => {
                    let records = seen["records"].as_array_mut().map(std::mem::take).unwrap_or_default();
                    output::list(records, RECORDS, output)
                }
                Output::Json | Output::Yaml => output::show(&seen, output),
            }
        }
        DnsAction::Zone { domain } => {
            let path = of_domain(&domain, "dns/zone");
            client.stream(&path, &[], |octets| output::print_octets(octets).map(|()| true))
        }
        DnsAction::Check { domain, no_wait } => {
            let job = client.send(Method::POST, &of_domain(&domain, "dns/check"), &[], None)?.body;
            jobs::started(job, !no_wait, client, output)
        }
    }
}

impl Key {
    fn path(&self) -> String {
        format!("{}/{}", of_domain(&self.domain, "dkim-keys"), path_segment(&self.selector))
    }
}

fn of_domain(domain: &str, what: &str) -> String {
    format!("/api/v1/domains/{}/{what}", path_segment(domain))
}

fn body(algorithm: Algorithm, selector: Option<String>) -> Value {
    let algorithm = algorithm.to_possible_value().map(|value| json!(value.get_name()));
    Value::Object(given([("algorithm", algorithm), ("selector", selector.map(Value::from))]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_a_key() {
        assert_eq!(body(Algorithm::Rsa2048, None), json!({"algorithm": "rsa2048"}));
        let named = body(Algorithm::Ed25519, Some("s1".into()));
        assert_eq!(named, json!({"algorithm": "ed25519", "selector": "s1"}));
        let key = Key { domain: "x.test".into(), selector: "a.b".into() };
        assert_eq!(key.path(), "/api/v1/domains/x.test/dkim-keys/a.b");
    }
}
