use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::scram::Client;
use super::{Channel, Mechanism, cram};
use crate::base::Secret;

/// The client's side of an exchange: what is still to be said.
// No Debug: it holds the password.
pub struct Responder {
    mechanism: Mechanism,
    said: Said,
}

enum Said {
    /// The responses, the next one last, each as base64.
    Passwords(Vec<Secret<String>>),
    Scram(Box<Client>),
    /// What is said once to a challenge.
    Cram(Option<(String, Secret<String>)>),
    /// Nothing, once; whether it is still to be said.
    External(bool),
}

/// What the mechanisms need in which the password itself is not sent.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// What nobody could foresee, and no other exchange has: printable ASCII without a comma.
    pub nonce: &'a str,
    /// What the connection is known by.
    pub channel: &'a Channel,
    /// The server has announced SCRAM-SHA-256-PLUS.
    pub offers_plus: bool,
}

/// The login or the password can't be sent with this mechanism: it is empty, holds a NUL, or for SCRAM anything but
/// printable ASCII; or the connection can't be bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the login or the password can't be sent with this mechanism")]
pub struct Unspeakable;

/// A challenge is not answered, and the exchange is to be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unanswerable {
    /// It is not what the mechanism says, or one too many.
    #[error("the server's challenge makes no sense")]
    Nonsense,
    /// SCRAM: so many rounds are too few to be safe, or too many to be done.
    #[error("the server asks for a number of iterations that is not safe")]
    Iterations,
    /// SCRAM: the server does not know the secret.
    #[error("the server does not prove that it knows the secret")]
    Unproved,
}

impl Responder {
    /// Prepares what a mechanism says for this login. EXTERNAL says nothing of it: who we are, our certificate says.
    ///
    /// # Errors
    /// [`Unspeakable`]
    pub fn new(
        mechanism: Mechanism,
        login: &str,
        password: &Secret<String>,
        terms: &Terms<'_>,
    ) -> Result<Self, Unspeakable> {
        let is_good = |text: &str| !text.is_empty() && !text.contains('\0');
        if mechanism != Mechanism::External && !(is_good(login) && is_good(password.expose())) {
            return Err(Unspeakable);
        }
        let scram = |is_plus| Ok(Said::Scram(Box::new(Client::new(is_plus, login, password, terms)?)));
        let said = match mechanism {
            // RFC 4616 §2: message = [authzid] UTF8NUL authcid UTF8NUL passwd
            Mechanism::Plain => {
                let message = Secret::new(format!("\0{login}\0{}", password.expose()));
                Said::Passwords(vec![encode(message.expose())])
            }
            Mechanism::Login => Said::Passwords(vec![encode(password.expose()), encode(login)]),
            Mechanism::ScramSha256Plus => scram(true)?,
            Mechanism::ScramSha256 => scram(false)?,
            Mechanism::CramMd5 => Said::Cram(Some((login.to_owned(), password.clone()))),
            Mechanism::External => Said::External(true),
        };
        Ok(Self { mechanism, said })
    }

    /// The mechanism.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The initial response, for mechanisms where the client speaks first (RFC 4954 §4), where it has at most so many
    /// octets: else it is said to the first, empty challenge.
    pub fn initial(&mut self, bytes_max: usize) -> Option<Secret<String>> {
        let fits = |initial: &Secret<String>| initial.expose().len() <= bytes_max;
        match (&mut self.said, self.mechanism) {
            (Said::Passwords(responses), Mechanism::Plain) if responses.last().is_some_and(fits) => responses.pop(),
            (Said::Passwords(_) | Said::Cram(_), _) => None,
            // RFC 4954 §4: `=` is a response of no octets.
            (Said::External(is_due), _) => {
                (bytes_max > 0 && std::mem::take(is_due)).then(|| Secret::new("=".to_owned()))
            }
            (Said::Scram(client), _) => {
                let initial = client.first().map(|first| encode(&first)).filter(fits)?;
                client.has_begun();
                Some(initial)
            }
        }
    }

    /// What is said to the next challenge, both as base64. With PLAIN and LOGIN it does not matter what that asks.
    ///
    /// # Errors
    /// [`Unanswerable`].
    pub fn answer(&mut self, challenge: &str) -> Result<Secret<String>, Unanswerable> {
        match &mut self.said {
            Said::Passwords(responses) => responses.pop().ok_or(Unanswerable::Nonsense),
            Said::Cram(waiting) => {
                let (login, secret) = waiting.take().ok_or(Unanswerable::Nonsense)?;
                let challenge = STANDARD.decode(challenge).map_err(|_| Unanswerable::Nonsense)?;
                Ok(encode(&cram::answer(&login, secret.expose(), &challenge)))
            }
            Said::External(is_due) => match std::mem::take(is_due) {
                true => Ok(Secret::new(String::new())),
                false => Err(Unanswerable::Nonsense),
            },
            Said::Scram(client) => {
                let challenge = STANDARD.decode(challenge).map_err(|_| Unanswerable::Nonsense)?;
                client.answer(&challenge).map(|answer| encode(&answer))
            }
        }
    }

    /// Whether the server's word that we are logged in may be taken: with SCRAM, only once it has proved that it knows the
    /// secret.
    pub fn is_satisfied(&self) -> bool {
        match &self.said {
            Said::Passwords(_) | Said::Cram(_) | Said::External(_) => true,
            Said::Scram(client) => client.is_proved(),
        }
    }
}

fn encode(text: &str) -> Secret<String> {
    Secret::new(STANDARD.encode(text))
}

#[cfg(test)]
mod tests {
    use super::super::{Claim, Exchange, Step};
    use super::*;

    const TERMS: Terms<'_> = Terms { nonce: "n", channel: &NO_CHANNEL, offers_plus: false };
    const NO_CHANNEL: Channel = Channel { exporter: None, server_end_point: None, client_certificate: None };

    /// Plays both sides against each other: what the server understands.
    fn check(mechanism: Mechanism, with_initial: bool, login: &str, password: &str) {
        let secret = Secret::new(password.to_owned());
        let mut responder = Responder::new(mechanism, login, &secret, &TERMS).unwrap();
        let initial = responder.initial(if with_initial { 500 } else { 0 });
        let initial = initial.as_ref().map(|text| text.expose().as_bytes());
        let mut step = Exchange::start(mechanism, initial, None).unwrap();
        loop {
            match step {
                Step::Done(claim) => {
                    let credentials = claim.into_password().unwrap();
                    assert_eq!((credentials.login.as_str(), credentials.password.expose().as_str()), (login, password));
                    let more = responder.answer("").map(|_| ());
                    assert_eq!(more, Err(Unanswerable::Nonsense), "nothing is left to say");
                    return;
                }
                Step::Challenge(exchange, challenge) => {
                    let response = responder.answer(&challenge).expect("an answer to the challenge");
                    step = exchange.answer(response.expose().as_bytes()).unwrap();
                }
            }
        }
    }

    #[test]
    fn our_server_understands_our_client() {
        for mechanism in Mechanism::PASSWORDS {
            for with_initial in [true, false] {
                check(mechanism, with_initial, "alice@example.test", "secret");
                check(mechanism, with_initial, "zoë", "päss wörd");
            }
        }
    }

    #[test]
    fn a_challenge_is_answered_once() {
        let secret = Secret::new("tanstaaftanstaaf".to_owned());
        let mut responder = Responder::new(Mechanism::CramMd5, "tim", &secret, &TERMS).unwrap();
        assert!(responder.initial(500).is_none());
        let terms = || {
            let (nonce, channel) = ("n".to_owned(), Channel::default());
            super::super::Terms { nonce, salt_key: Secret::new([0; 32]), channel }
        };
        assert!(Exchange::start(Mechanism::CramMd5, Some(b"dGlt"), Some(terms())).is_err(), "the server speaks first");
        let Ok(Step::Challenge(exchange, challenge)) = Exchange::start(Mechanism::CramMd5, None, Some(terms())) else {
            panic!("no challenge");
        };
        let answer = responder.answer(&challenge).unwrap();
        let Ok(Step::Done(Claim::Cram(shown))) = exchange.answer(answer.expose().as_bytes()) else {
            panic!("no claim")
        };
        assert_eq!((shown.login(), shown.verify(secret.expose()), shown.verify("other")), ("tim", true, false));
        assert_eq!(responder.answer(&challenge).map(|_| ()), Err(Unanswerable::Nonsense));
    }

    #[test]
    fn what_would_be_read_as_something_else_is_not_said() {
        for (login, password) in [("", "b"), ("a", ""), ("a\0b", "c"), ("a", "b\0c")] {
            for mechanism in Mechanism::BY_SECRET {
                let secret = Secret::new(password.to_owned());
                let refused = Responder::new(mechanism, login, &secret, &TERMS).err();
                assert_eq!(refused, Some(Unspeakable));
            }
        }
    }
}
