use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use crate::net::{Listener, ListenerError};

/// Where servers take mail from each other. RFC 5321 §4.5.4.2
const SMTP_PORT: u16 = 25;
/// RFC 9110 §4.2.2
const HTTPS_PORT: u16 = 443;
/// Where name servers are asked. RFC 1035 §4.2
const DNS_PORT: u16 = 53;

/// How to run the server: what the command line says, before settings are read from the file.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the file lies; `None` for a store in memory (tests).
    pub data: Option<PathBuf>,
    /// The name that the server gives itself; `None` for the setting `smtp.hostname`, else the machine's own name.
    pub hostname: Option<String>,
    /// `--listen NAME=ADDR`: over the defaults, the later wins.
    pub listen: Vec<ListenFlag>,
    /// Added to every default port, so that a user who may not bind low ports can run it.
    pub port_offset: u16,
    /// Default listeners bind to loopback alone.
    pub loopback_only: bool,
    /// Written when everything is bound and served.
    pub ready_file: Option<PathBuf>,
    /// The keys with which secrets are sealed in the file; `None`: they lie there as they are.
    pub key_file: Option<PathBuf>,
    /// Drops the secrets of a file that is sealed, instead of refusing it.
    pub without_key: bool,
    /// Its content is an administrator's bearer token.
    pub http_token_file: Option<PathBuf>,
    /// `--set KEY=VALUE`, in their order.
    pub settings: Vec<String>,
    /// The content of `PILLARBOX_SET`: a `KEY=VALUE` a line, over the file's values and under the flags'.
    pub settings_environment: String,
    /// What to make at start when it is not there (`pillarbox dev`).
    pub preset: Option<Preset>,
    /// `--state`: the desired state that is applied before anything is served.
    pub state: Option<serde_json::Value>,
    /// `--resolver`: the name servers that are asked; empty for the system's.
    pub resolver: Vec<SocketAddr>,
    /// `--trust-anchor`: a file with the keys of the DNS's root, where it is not the public one.
    pub trust_anchor: Option<PathBuf>,
    /// `--remote-port`: where the servers of the DNS listen.
    pub remote_port: u16,
    /// `--policy-port`: where the web servers of MTA-STS policies listen.
    pub policy_port: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: Some(PathBuf::from("pillarbox.redb")),
            hostname: None,
            listen: Vec::new(),
            port_offset: 0,
            loopback_only: false,
            ready_file: None,
            key_file: None,
            without_key: false,
            http_token_file: None,
            settings: Vec::new(),
            settings_environment: String::new(),
            preset: None,
            state: None,
            resolver: Vec::new(),
            trust_anchor: None,
            remote_port: SMTP_PORT,
            policy_port: HTTPS_PORT,
        }
    }
}

/// Domains and accounts to make at start when they are not there.
#[derive(Debug, Clone)]
pub struct Preset {
    /// The domain.
    pub domain: String,
    /// Local parts of the accounts to make in it.
    pub accounts: Vec<String>,
    /// Their password: no secret, since the preset is for a developer's own machine.
    pub password: String,
    /// Makes an administrator's token and prints it.
    pub print_token: bool,
}

/// One `--listen NAME=ADDR` or `--listen NAME=off`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenFlag {
    /// Which listener.
    pub listener: Listener,
    /// Where it listens; `None` closes it. Port 0 picks a free one.
    pub at: Option<SocketAddr>,
}

impl FromStr for ListenFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, at) =
            text.split_once('=').ok_or("expected NAME=ADDRESS:PORT or NAME=off, as in smtp=127.0.0.1:2525")?;
        let listener = name.trim().parse().map_err(|error: ListenerError| error.to_string())?;
        let at = match at.trim() {
            "off" => None,
            at => Some(
                at.parse().map_err(|_| format!("{at:?} is not ADDRESS:PORT, as in 127.0.0.1:2525 or [::1]:2525"))?,
            ),
        };
        Ok(Self { listener, at })
    }
}

/// Reads `--resolver IP[:PORT][,…]`.
///
/// # Errors
/// What is wrong with it, for people.
pub fn name_servers(text: &str) -> Result<Vec<SocketAddr>, String> {
    let one = |part: &str| {
        let bare = part.trim_start_matches('[').trim_end_matches(']');
        let address = bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS_PORT));
        address.or_else(|_| part.parse()).map_err(|_| {
            format!("{part:?} is not IP or IP:PORT, as in 192.0.2.53, 127.0.0.1:5353 or [2001:db8::53]:53")
        })
    };
    text.split(',').map(str::trim).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_or_explained() {
        let check = |text: &str, expected: Option<&[&str]>| {
            let seen = name_servers(text).ok().map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(seen, expected.map(|all| all.iter().map(ToString::to_string).collect()), "{text}");
        };
        check("192.0.2.53", Some(&["192.0.2.53:53"]));
        check("127.0.0.1:5353, ::1", Some(&["127.0.0.1:5353", "[::1]:53"]));
        check("[::1]:5353,[::1]", Some(&["[::1]:5353", "[::1]:53"]));
        check("", None);
        check("192.0.2.53,", None);
        check("dns.example.org", None);
        check("192.0.2.53:port", None);
    }

    #[test]
    fn listen_flags_are_read_or_explained() {
        let check = |text: &str, expected: Option<(&str, Option<&str>)>| {
            let seen =
                text.parse::<ListenFlag>().ok().map(|flag| (flag.listener.name(), flag.at.map(|at| at.to_string())));
            assert_eq!(seen, expected.map(|(name, at)| (name, at.map(Into::into))), "{text}");
        };
        check("smtp=127.0.0.1:0", Some(("smtp", Some("127.0.0.1:0"))));
        check("pop3s=[::1]:995", Some(("pop3s", Some("[::1]:995"))));
        check("http=off", Some(("http", None)));
        check("smpt=off", None);
        check("smtp", None);
        check("smtp=localhost:25", None);
        check("smtp=127.0.0.1", None);
    }
}
