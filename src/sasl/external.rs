use super::exchange::{self, SaslError};

/// What a client has shown by EXTERNAL: TLS has proved that it holds the key of this certificate. Whose that is, is for
/// others to say.
pub struct Shown {
    certificate: [u8; 32],
    acts_as: Option<String>,
    login: String,
}

impl Shown {
    /// Reads the client's response: as whom it wants to act, or nothing.
    // RFC 4422 appendix A.1: without an authorization identity, it is the one that the certificate stands for.
    pub(super) fn read(certificate: [u8; 32], response: &[u8]) -> Result<Self, SaslError> {
        let acts_as = if response.is_empty() { None } else { Some(exchange::login(response)?) };
        let fingerprint = || certificate.iter().map(|octet| format!("{octet:02x}")).collect();
        let login = acts_as.clone().unwrap_or_else(fingerprint);
        Ok(Self { certificate, acts_as, login })
    }

    /// Who claims to log in: the name that it gives, else the certificate's fingerprint.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// The SHA-256 of the certificate.
    pub fn certificate(&self) -> &[u8; 32] {
        &self.certificate
    }

    /// Whether whoever holds the certificate by that name may act as it has asked to: as itself.
    pub fn acts_as(&self, name: &str) -> bool {
        self.acts_as.as_deref().is_none_or(|acts_as| acts_as == name)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::super::{Channel, Claim, ClientTerms, Exchange, Mechanism, Responder, Seeds, Step, Terms};
    use super::*;
    use crate::base::Secret;

    fn terms(client_certificate: Option<[u8; 32]>) -> Terms {
        let seeds = Seeds { nonces: Secret::new([1; 32]), salts: Secret::new([2; 32]) };
        seeds.terms(1, Channel { exporter: Some([3; 32]), client_certificate, ..Channel::default() })
    }

    fn shown(step: Result<Step, SaslError>) -> Result<Shown, SaslError> {
        match step? {
            Step::Done(Claim::Certificate(shown)) => Ok(shown),
            _ => panic!("no claim"),
        }
    }

    /// The name that a response leads to: at once, and behind the empty challenge.
    fn check(response: &[u8], expected: Result<&str, SaslError>) {
        let encoded = STANDARD.encode(response);
        let initial = if response.is_empty() { "=" } else { &encoded };
        let at_once = Exchange::start(Mechanism::External, Some(initial.as_bytes()), Some(terms(Some([0xab; 32]))));
        let Ok(Step::Challenge(exchange, challenge)) =
            Exchange::start(Mechanism::External, None, Some(terms(Some([0xab; 32]))))
        else {
            panic!("no challenge")
        };
        assert_eq!(challenge, "");
        for step in [at_once, exchange.answer(encoded.as_bytes())] {
            let seen = shown(step).map(|shown| {
                assert_eq!(shown.certificate(), &[0xab; 32]);
                shown.login().to_owned()
            });
            assert_eq!(seen, expected.map(str::to_owned), "{response:?}");
        }
    }

    #[test]
    fn the_certificate_says_who_it_is() {
        check(b"", Ok(&"ab".repeat(32)));
        check(b"branch", Ok("branch"));
        check("Zweigstelle für alles".as_bytes(), Ok("Zweigstelle für alles"));
        for malformed in [&b"\xff"[..], b"bra\0nch", b"\0", b"\0branch", b"a\r\nb"] {
            check(malformed, Err(SaslError::Malformed));
        }
        check(&[b'a'; exchange::LOGIN_BYTES + 1], Err(SaslError::TooLong));
    }

    #[test]
    fn nobody_acts_as_another() {
        let as_whom = |response: &[u8]| Shown::read([1; 32], response).unwrap();
        assert!(as_whom(b"").acts_as("branch") && as_whom(b"branch").acts_as("branch"));
        for other in ["rival", "Branch", "branch ", "branc", "branch.test"] {
            assert!(!as_whom(other.as_bytes()).acts_as("branch"), "{other}");
        }
    }

    #[test]
    fn without_a_certificate_there_is_no_exchange() {
        for initial in [None, Some(&b"="[..]), Some(b"YnJhbmNo")] {
            for terms in [None, Some(terms(None))] {
                let begun = Exchange::start(Mechanism::External, initial, terms);
                assert_eq!(begun.map(|_| ()).err(), Some(SaslError::Unavailable));
            }
        }
    }

    #[test]
    fn a_cancelled_exchange_is_no_login() {
        let Ok(Step::Challenge(exchange, _)) = Exchange::start(Mechanism::External, None, Some(terms(Some([1; 32]))))
        else {
            panic!("no challenge")
        };
        assert_eq!(exchange.answer(b"*").map(|_| ()).err(), Some(SaslError::Cancelled));
    }

    #[test]
    fn our_server_understands_our_client() {
        for bytes_max in [500, 0] {
            let channel = Channel::default();
            let client = ClientTerms { nonce: "n", channel: &channel, offers_plus: false };
            let mut client = Responder::new(Mechanism::External, "", &Secret::new(String::new()), &client).unwrap();
            let initial = client.initial(bytes_max);
            let initial = initial.as_ref().map(|text| text.expose().as_bytes());
            let step = match Exchange::start(Mechanism::External, initial, Some(terms(Some([7; 32])))) {
                Ok(Step::Challenge(exchange, challenge)) => {
                    let answer = client.answer(&challenge).unwrap();
                    exchange.answer(answer.expose().as_bytes())
                }
                step => step,
            };
            let shown = shown(step).unwrap();
            assert!(shown.certificate() == &[7; 32] && shown.acts_as("branch") && client.is_satisfied());
            assert!(client.answer("").is_err(), "nothing is left to say");
        }
    }
}
