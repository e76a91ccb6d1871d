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
    /// Peers that fetch their mail by ATRN or TURN (RFC 2645), with STARTTLS.
    Odmr,
    /// The same, with TLS from the first byte.
    Odmrs,
    /// POP3, with STLS.
    Pop3,
    /// POP3, with TLS from the first byte.
    Pop3s,
    /// IMAP, with STARTTLS.
    Imap,
    /// IMAP, with TLS from the first byte.
    Imaps,
    /// REST and the admin page, plain.
    Http,
    /// REST and the admin page.
    Https,
}

/// No listener has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no listener {0:?}: expected one of smtp, submission, submissions, odmr, odmrs, pop3, pop3s, imap, imaps, http, https"
)]
pub struct ListenerError(String);

impl Listener {
    /// Every listener.
    pub const ALL: [Self; 11] = [
        Self::Smtp,
        Self::Submission,
        Self::Submissions,
        Self::Odmr,
        Self::Odmrs,
        Self::Pop3,
        Self::Pop3s,
        Self::Imap,
        Self::Imaps,
        Self::Http,
        Self::Https,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Odmr => "odmr",
            Self::Odmrs => "odmrs",
            Self::Pop3 => "pop3",
            Self::Pop3s => "pop3s",
            Self::Imap => "imap",
            Self::Imaps => "imaps",
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that it opens, before any `--port-offset`. `None`: it opens only where `--listen` says so. That is how
    /// those are that only peers use; RFC 2645 §4 gives port 366 to `odmr`.
    pub fn default_port(self) -> Option<u16> {
        match self {
            Self::Smtp => Some(25),
            Self::Submission => Some(587),
            Self::Submissions => Some(465),
            Self::Odmr | Self::Odmrs => None,
            Self::Pop3 => Some(110),
            Self::Pop3s => Some(995),
            Self::Imap => Some(143),
            Self::Imaps => Some(993),
            Self::Http => Some(8080),
            Self::Https => Some(443),
        }
    }

    /// Whether TLS begins with the first byte.
    pub fn is_implicit_tls(self) -> bool {
        matches!(self, Self::Submissions | Self::Odmrs | Self::Pop3s | Self::Imaps | Self::Https)
    }

    /// What is spoken inside TLS.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Smtp | Self::Submission | Self::Submissions | Self::Odmr | Self::Odmrs => Protocol::Smtp,
            Self::Pop3 | Self::Pop3s => Protocol::Pop3,
            Self::Imap | Self::Imaps => Protocol::Imap,
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
