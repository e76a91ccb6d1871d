use serde::{Deserialize, Serialize};

/// A SASL mechanism that is built.
// Rows hold it: what is added comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mechanism {
    /// SCRAM-SHA-256 (RFC 7677), bound to the connection.
    ScramSha256Plus,
    /// RFC 7677: both sides prove that they know the secret, and neither shows it.
    ScramSha256,
    /// RFC 4616: one message with the login and the password.
    Plain,
    /// Never more than a draft (draft-murchison-sasl-login), and still all that some devices speak: the login and the
    /// password as answers to two prompts.
    Login,
    /// RFC 2195: a keyed hash of a challenge. Who hears it can try out secrets at leisure, and who serves it has to keep the
    /// secret itself: for secrets that a machine has made, and peers that know nothing better.
    CramMd5,
    /// RFC 4422 appendix A: nothing is said. Who the client is, it has shown by its certificate when TLS was begun.
    External,
}

impl Mechanism {
    /// Every mechanism, the strongest first.
    pub const ALL: [Self; 6] =
        [Self::ScramSha256Plus, Self::ScramSha256, Self::External, Self::Plain, Self::Login, Self::CramMd5];

    /// Those for who has a user name and a secret, the strongest first.
    pub const BY_SECRET: [Self; 5] =
        [Self::ScramSha256Plus, Self::ScramSha256, Self::Plain, Self::Login, Self::CramMd5];

    /// Those that a peer with a secret may use where nothing else is said.
    pub const USUAL: [Self; 4] = [Self::ScramSha256Plus, Self::ScramSha256, Self::Plain, Self::Login];

    /// Those in which the password itself is sent: all that can be done where only its hash is kept. In the order in which
    /// they are announced.
    pub const PASSWORDS: [Self; 2] = [Self::Plain, Self::Login];

    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::CramMd5 => "CRAM-MD5",
            Self::External => "EXTERNAL",
        }
    }

    /// The mechanism of that name, in any case; `None` when it is not built.
    pub fn parse(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| name.eq_ignore_ascii_case(mechanism.name().as_bytes()))
    }

    /// The same, of those in which the password is sent.
    pub fn of_password(name: &[u8]) -> Option<Self> {
        Self::parse(name).filter(|mechanism| Self::PASSWORDS.contains(mechanism))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mechanism_is_known_by_its_name_in_any_case() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::parse(mechanism.name().as_bytes()), Some(mechanism));
        }
        assert_eq!(Mechanism::parse(b"pLaIn"), Some(Mechanism::Plain));
        assert_eq!(Mechanism::parse(b"scram-sha-256-plus"), Some(Mechanism::ScramSha256Plus));
        assert_eq!(Mechanism::of_password(b"login"), Some(Mechanism::Login));
        for other in Mechanism::ALL.into_iter().filter(|other| !Mechanism::PASSWORDS.contains(other)) {
            assert_eq!(Mechanism::of_password(other.name().as_bytes()), None);
        }
        let by_secret = Mechanism::ALL.into_iter().filter(|mechanism| *mechanism != Mechanism::External);
        assert_eq!(by_secret.collect::<Vec<_>>(), Mechanism::BY_SECRET);
        for unknown in ["", "PLAIN ", "PLAINTEXT", "SCRAM-SHA-1", "XOAUTH2"] {
            assert_eq!(Mechanism::parse(unknown.as_bytes()), None, "{unknown}");
        }
    }
}
