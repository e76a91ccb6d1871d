use std::fmt;
use std::str::FromStr;

use crate::tls::Protocol;

/// A listener, by the name that `--listen`, the ready file and the log use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Listener {
    /// Mail from other servers.
    Smtp,
    /// Mail from users, with STARTTLS.
    Submission,
    /// Mail from users, with TLS from the first byte.
    Submissions,
    /// POP3, with STLS.
    Pop3,
    /// POP3, with TLS from the first byte.
    Pop3s,
    /// REST and the admin page, plain.
    Http,
    /// REST and the admin page.
    Https,
}

/// No listener has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no listener {0:?}: expected one of smtp, submission, submissions, pop3, pop3s, http, https")]
pub struct ListenerError(String);

impl Listener {
    /// Every listener.
    pub const ALL: [Self; 7] =
        [Self::Smtp, Self::Submission, Self::Submissions, Self::Pop3, Self::Pop3s, Self::Http, Self::Https];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Pop3 => "pop3",
            Self::Pop3s => "pop3s",
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that clients expect it on, before any `--port-offset`.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Smtp => 25,
            Self::Submission => 587,
            Self::Submissions => 465,
            Self::Pop3 => 110,
            Self::Pop3s => 995,
            Self::Http => 8080,
            Self::Https => 443,
        }
    }

    /// Whether TLS begins with the first byte.
    pub fn is_implicit_tls(self) -> bool {
        matches!(self, Self::Submissions | Self::Pop3s | Self::Https)
    }

    /// What is spoken inside TLS.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Smtp | Self::Submission | Self::Submissions => Protocol::Smtp,
            Self::Pop3 | Self::Pop3s => Protocol::Pop3,
            Self::Http | Self::Https => Protocol::Http,
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Listener {
    type Err = ListenerError;

    fn from_str(name: &str) -> Result<Self, ListenerError> {
        Self::ALL.into_iter().find(|listener| listener.name() == name).ok_or_else(|| ListenerError(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for listener in Listener::ALL {
            assert_eq!(listener.name().parse(), Ok(listener));
        }
        let error = "pop".parse::<Listener>().unwrap_err().to_string();
        for listener in Listener::ALL {
            assert!(error.contains(listener.name()), "{error}");
        }
    }
}
