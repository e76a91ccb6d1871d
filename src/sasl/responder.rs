use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Mechanism;
use crate::base::Secret;

/// The client's side of an exchange: what is still to be said.
// No Debug: it holds the password.
pub struct Responder {
    mechanism: Mechanism,
    /// The responses, the next one last, each as base64.
    responses: Vec<Secret<String>>,
}

/// The login or the password can't be sent with this mechanism: it is empty, or holds a NUL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the login or the password is empty or holds a NUL")]
pub struct Unspeakable;

impl Responder {
    /// Prepares what a mechanism says for this login.
    ///
    /// # Errors
    /// [`Unspeakable`]
    pub fn new(mechanism: Mechanism, login: &str, password: &Secret<String>) -> Result<Self, Unspeakable> {
        let is_good = |text: &str| !text.is_empty() && !text.contains('\0');
        if !is_good(login) || !is_good(password.expose()) {
            return Err(Unspeakable);
        }
        let encode = |text: &str| Secret::new(STANDARD.encode(text));
        let responses = match mechanism {
            // RFC 4616 §2: message = [authzid] UTF8NUL authcid UTF8NUL passwd
            Mechanism::Plain => {
                let message = Secret::new(format!("\0{login}\0{}", password.expose()));
                vec![encode(message.expose())]
            }
            Mechanism::Login => vec![encode(password.expose()), encode(login)],
        };
        Ok(Self { mechanism, responses })
    }

    /// The mechanism.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// What would be said next.
    pub fn peek(&self) -> Option<&Secret<String>> {
        self.responses.last()
    }

    /// Takes the initial response off, for mechanisms where the client speaks first (RFC 4954 §4).
    pub fn initial(&mut self) -> Option<Secret<String>> {
        match self.mechanism {
            Mechanism::Plain => self.responses.pop(),
            Mechanism::Login => None,
        }
    }

    /// What is said to the next challenge. What the challenge asks does not matter: both mechanisms say the same in any
    /// case. `None`: there is nothing more to say, and the exchange is to be given up.
    pub fn answer(&mut self) -> Option<Secret<String>> {
        self.responses.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Exchange, Step};
    use super::*;

    /// Plays both sides against each other: what the server understands.
    fn check(mechanism: Mechanism, with_initial: bool, login: &str, password: &str) {
        let mut responder = Responder::new(mechanism, login, &Secret::new(password.to_owned())).unwrap();
        let initial = if with_initial { responder.initial() } else { None };
        let mut step = Exchange::start(mechanism, initial.as_ref().map(|text| text.expose().as_bytes())).unwrap();
        loop {
            match step {
                Step::Done(credentials) => {
                    assert_eq!((credentials.login.as_str(), credentials.password.expose().as_str()), (login, password));
                    assert!(responder.answer().is_none(), "nothing is left to say");
                    return;
                }
                Step::Challenge(exchange, _) => {
                    let response = responder.answer().expect("an answer to the challenge");
                    step = exchange.answer(response.expose().as_bytes()).unwrap();
                }
            }
        }
    }

    #[test]
    fn our_server_understands_our_client() {
        for mechanism in Mechanism::ALL {
            for with_initial in [true, false] {
                check(mechanism, with_initial, "alice@example.test", "secret");
                check(mechanism, with_initial, "zoë", "päss wörd");
            }
        }
    }

    #[test]
    fn what_would_be_read_as_something_else_is_not_said() {
        for (login, password) in [("", "b"), ("a", ""), ("a\0b", "c"), ("a", "b\0c")] {
            for mechanism in Mechanism::ALL {
                let refused = Responder::new(mechanism, login, &Secret::new(password.to_owned())).err();
                assert_eq!(refused, Some(Unspeakable));
            }
        }
    }
}
