use super::context::User;
use super::copy::copy;
use super::expunge::expunge;
use super::fetch::fetch;
use super::folders::folders;
use super::link::End;
use super::quota::quota;
use super::search::search;
use super::selected::Selected;
use super::session::{Done, Session, State};
use super::store::store;
use super::table;
use crate::imap::wire::{Answer, Request, Status};

impl Session {
    /// Carries out a command that may come in this state.
    pub(super) async fn execute(&mut self, state: State, tag: &[u8], request: Request<'_>) -> Result<Done, End> {
        if table::enables_condstore(&request) && !self.context.is_disabled("CONDSTORE") {
            // SELECT has told the highest modseq already (RFC 7162 §3.1.2.1).
            self.enabled.condstore = true;
        }
        match request {
            Request::Capability => {
                self.tell_capabilities(&state);
                Ok(Done::new(state, Answer::ok("that is all")))
            }
            Request::Noop => Ok(Done::new(state, Answer::ok("nothing done"))),
            Request::Id(_) => {
                // RFC 2971 §3.3: the version would help only those who look for faults in it.
                self.link.connection.write(b"* ID (\"name\" \"Pillarbox\")\r\n");
                Ok(Done::new(state, Answer::ok("nice to meet you")))
            }
            // RFC 9051 §6.1.3
            Request::Logout => {
                self.link.connection.write(b"* BYE see you\r\n");
                Ok(Done { is_last: true, ..Done::new(state, Answer::ok("bye")) })
            }
            request => match state {
                State::NotAuthenticated => self.before_login(tag, request).await,
                State::Authenticated(user) => self.after_login(user, None, tag, request).await,
                State::Selected(user, selected) => self.after_login(user, Some(selected), tag, request).await,
            },
        }
    }

    async fn before_login(&mut self, tag: &[u8], request: Request<'_>) -> Result<Done, End> {
        match request {
            Request::StartTls => self.start_tls(tag).await,
            Request::Login { user, password } => self.login(&user, &password.0).await,
            Request::Authenticate { mechanism, initial } => self.authenticate(mechanism, initial).await,
            _ => Ok(Done::error(State::NotAuthenticated, Answer::bad("log in first"))),
        }
    }

    async fn after_login(
        &mut self,
        user: User,
        selected: Option<Box<Selected>>,
        tag: &[u8],
        request: Request<'_>,
    ) -> Result<Done, End> {
        let request = match request {
            // RFC 9051 §6.3.2: whatever comes of it, the mailbox that was open is open no more.
            Request::Select { mailbox, read_only, .. } => {
                if selected.is_some() {
                    self.link.connection.write(b"* OK [CLOSED] the mailbox before is closed\r\n");
                }
                return Ok(self.select(user, &mailbox, read_only).await);
            }
            Request::Enable(names) => {
                self.enable(&names);
                return Ok(Done::new(state(user, selected), Answer::ok("enabled")));
            }
            Request::Compress(algorithm) => return self.compress(state(user, selected), tag, algorithm).await,
            request => request,
        };
        if let Some(answer) = quota(&mut self.link, &self.context, &user, self.enabled, &request) {
            return Ok(Done::new(state(user, selected), answer));
        }
        if let Some(answer) = folders(&mut self.link, &self.context, &user, self.enabled, &request).await? {
            return Ok(Done::new(state(user, selected), answer));
        }
        match selected {
            Some(selected) => self.in_mailbox(user, selected, tag, request).await,
            None => Ok(Done::error(State::Authenticated(user), Answer::bad("select a mailbox first"))),
        }
    }

    // RFC 9051 §6.4
    async fn in_mailbox(
        &mut self,
        user: User,
        mut selected: Box<Selected>,
        tag: &[u8],
        request: Request<'_>,
    ) -> Result<Done, End> {
        let (link, context, enabled, mailbox) = (&mut self.link, &*self.context, self.enabled, &mut *selected);
        let answer = match &request {
            Request::Check => Answer::ok("all is on disk"),
            Request::Expunge(uids) => expunge(link, context, &user, mailbox, uids.as_ref()).await?,
            Request::Search(keys) => search(link, context, mailbox, enabled, tag, keys).await?,
            Request::Fetch(items) => fetch(link, context, mailbox, enabled, items).await?,
            Request::Store(change) => store(link, context, mailbox, enabled, change).await?,
            Request::Copy { messages, mailbox: target, moves } => {
                copy(link, context, &user, mailbox, enabled, messages, target, *moves).await?
            }
            Request::Unselect => return Ok(Done::new(State::Authenticated(user), Answer::ok("closed"))),
            // RFC 9051 §6.4.1
            Request::Close if mailbox.read_only => {
                return Ok(Done::new(State::Authenticated(user), Answer::ok("closed")));
            }
            Request::Close => {
                let answer = expunge(link, context, &user, mailbox, None).await?;
                let answer = if answer.status == Status::Ok { Answer::ok("closed") } else { answer };
                return Ok(Done::new(State::Authenticated(user), answer));
            }
            _ => Answer::bad("unknown command"),
        };
        Ok(Done::new(State::Selected(user, selected), answer))
    }
}

fn state(user: User, selected: Option<Box<Selected>>) -> State {
    match selected {
        Some(selected) => State::Selected(user, selected),
        None => State::Authenticated(user),
    }
}
