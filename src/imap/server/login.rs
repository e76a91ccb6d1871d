use super::context::User;
use super::link::End;
use super::session::{Done, Session, State};
use crate::base::{Secret, limits};
use crate::directory::{Identity, LoginError, Protocol};
use crate::imap::wire::{Answer, Code};
use crate::sasl::{Credentials, Exchange, Mechanism, SaslError, Step};
use crate::telemetry::metrics;
use crate::trace::{Event, Kind, Refusal, Subject};

impl Session {
    // RFC 9051 §6.2.3
    pub(super) async fn login(&mut self, user: &[u8], password: &[u8]) -> Result<Done, End> {
        if !self.takes_passwords() {
            return Ok(in_the_clear());
        }
        let text =
            |octets: &[u8]| std::str::from_utf8(octets).ok().filter(|text| !text.contains('\0')).map(str::to_owned);
        match (text(user), text(password)) {
            (Some(login), Some(password)) if password.len() <= limits::PASSWORD_BYTES => {
                self.log_in(Credentials { login, password: Secret::new(password) }).await
            }
            _ => self.login_failed().await,
        }
    }

    // RFC 9051 §6.2.2
    pub(super) async fn authenticate(&mut self, mechanism: &[u8], initial: Option<&[u8]>) -> Result<Done, End> {
        if !self.takes_passwords() {
            return Ok(in_the_clear());
        }
        let Some(mechanism) = Mechanism::of_password(mechanism) else {
            let answer = Answer::no("this mechanism is not available").with(Code::Cannot);
            return Ok(Done::error(State::NotAuthenticated, answer));
        };
        let mut step = Exchange::start(mechanism, initial, None);
        loop {
            match step {
                Ok(Step::Done(claim)) => match claim.into_password() {
                    Ok(credentials) => return self.log_in(credentials).await,
                    Err(error) => step = Err(error),
                },
                Ok(Step::Challenge(exchange, challenge)) => {
                    self.link.connection.write(format!("+ {challenge}\r\n").as_bytes());
                    step = match self.link.line(limits::SASL_RESPONSE_BYTES, false).await? {
                        Some(line) => exchange.answer(&line),
                        None => Err(SaslError::TooLong),
                    };
                }
                // RFC 4616 §2, RFC 5530 §3: it was understood, and nobody acts for others.
                Err(error @ SaslError::AuthorizationId) => {
                    let answer = Answer::no(error.to_string()).with(Code::AuthorizationFailed);
                    return Ok(Done::error(State::NotAuthenticated, answer));
                }
                Err(error) => return Ok(Done::error(State::NotAuthenticated, Answer::bad(error.to_string()))),
            }
        }
    }

    async fn log_in(&mut self, credentials: Credentials) -> Result<Done, End> {
        self.link.flush().await?;
        let Credentials { login, password } = credentials;
        let from = Some(self.link.connection.peer().ip());
        let verified = self.context.authenticator.authenticate(&login, &password, Protocol::Imap, from).await;
        metrics().login(Protocol::Imap.as_str(), LoginError::outcome(&verified));
        match verified {
            Ok(identity) => {
                self.link.connection.authenticated();
                self.link.enter(self.context.authenticator.enter(&identity, &self.context.stop));
                let Identity { account, login, .. } = identity;
                let state = State::Authenticated(User { account, login });
                let answer = Answer::ok("you are logged in").with(Code::Capability(self.capabilities(&state)));
                Ok(Done::new(state, answer))
            }
            Err(LoginError::Refused) => {
                self.note_refused(&login);
                self.login_failed().await
            }
            Err(LoginError::Busy) => Ok(unavailable("too many logins at a time, try again later")),
            Err(LoginError::Broken(cause)) => {
                tracing::error!(%cause, "an imap login failed for a fault of ours");
                Ok(unavailable("an internal error, try again later"))
            }
        }
    }

    /// Tells the trace of a login that was refused.
    fn note_refused(&self, login: &str) {
        let now = self.context.clock.now();
        let connection = &self.link.connection;
        let event = Event {
            peer_ip: Some(connection.peer().ip()),
            tls: connection.tls().map(crate::tls::Facts::summary),
            account: Some(login.chars().take(limits::TRACED_LOGIN_CHARS).collect()),
            ..Event::new(now, Kind::LoginFailed, "imap")
        };
        let subject = Subject::Refused(self.context.ids.refused(now));
        self.context.store.ride(Refusal::of_stranger(subject, event));
    }

    /// The same words, as late, for a name that nobody has and for a wrong password.
    async fn login_failed(&mut self) -> Result<Done, End> {
        self.login_failures += 1;
        self.wait().await?;
        let answer = Answer::no("authentication failed").with(Code::AuthenticationFailed);
        let is_last = self.login_failures >= limits::LOGIN_FAILURES;
        if is_last {
            self.link.connection.write(b"* BYE too many failed logins\r\n");
        }
        Ok(Done { is_last, ..Done::new(State::NotAuthenticated, answer) })
    }
}

fn in_the_clear() -> Done {
    let answer = Answer::no("use STARTTLS first: passwords are not taken in the clear").with(Code::PrivacyRequired);
    Done::error(State::NotAuthenticated, answer)
}

fn unavailable(text: &'static str) -> Done {
    Done::new(State::NotAuthenticated, Answer::no(text).with(Code::Unavailable))
}
