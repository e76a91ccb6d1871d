/// A SASL mechanism that is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616: one message with the login and the password.
    Plain,
    /// Never more than a draft (draft-murchison-sasl-login), and still all that some devices speak: the login and the
    /// password as answers to two prompts.
    Login,
}

impl Mechanism {
    /// Every mechanism, in the order in which they are announced.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Login];

    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// The mechanism of that name, in any case; `None` when it is not built.
    pub fn parse(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| name.eq_ignore_ascii_case(mechanism.name().as_bytes()))
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
        for unknown in ["", "PLAIN ", "PLAINTEXT", "CRAM-MD5", "XOAUTH2"] {
            assert_eq!(Mechanism::parse(unknown.as_bytes()), None, "{unknown}");
        }
    }
}
