use std::net::SocketAddr;

use crate::base::{Address, DomainName, Secret};
use crate::directory::{
    AccountChange, AccountFields, CreateToken, DomainFields, Precondition, PutDomain, Refused, Role, Scope, TokenFields,
};
use crate::mailbox::PutAccount;
use crate::net::Listener;
use crate::store::{Committed, WriteError};

use super::{Config, House, Preset, ServerError};

/// Who gets the mail that would leave a developer's machine.
const CAPTURED: &str = "captured@example.test";

/// Who may use the admin page on a developer's machine.
const ADMINISTRATOR: &str = "admin";

impl Config {
    /// The same for a developer's machine: on loopback, with accounts to play with, and no mail leaves it.
    #[must_use]
    pub fn for_development(mut self) -> Self {
        // Below the flags: who says where mail goes, means it.
        self.settings.insert(0, format!("delivery.capture_to={CAPTURED}"));
        Self { loopback_only: true, preset: Some(Preset::development()), ..self }
    }
}

impl Preset {
    fn development() -> Self {
        Self {
            domain: "example.test".into(),
            accounts: vec!["alice".into(), "bob".into(), "captured".into(), ADMINISTRATOR.into()],
            password: "pillarbox".into(),
            print_token: true,
        }
    }

    /// Makes what is not there; gives an administrator's token when the preset asks for one.
    pub(super) async fn make(&self, house: &House) -> Result<Option<Secret<String>>, ServerError> {
        let invalid = |error: crate::base::AddressError| ServerError::Hostname(format!("{}: {error}", self.domain));
        let name = DomainName::parse(&self.domain).map_err(invalid)?;
        let domain = PutDomain {
            name,
            fields: DomainFields::new(&house.settings),
            precondition: Precondition::Absent,
            at: house.clock.now(),
        };
        made(house.store.write(domain).await)?;
        for local in &self.accounts {
            let password = Secret::new(self.password.clone());
            let password =
                house.authenticator.hash(password).await.map_err(|error| ServerError::Store(error.to_string()))?;
            let account = PutAccount(AccountChange {
                address: Address::parse(&format!("{local}@{}", self.domain)).map_err(invalid)?,
                fields: fields_of(local),
                password: Some(password),
                precondition: Precondition::Absent,
                at: house.clock.now(),
            });
            made(house.store.write(account).await)?;
        }
        if !self.print_token {
            return Ok(None);
        }
        let fields = TokenFields { name: "dev".into(), scopes: vec![Scope::Admin], ..TokenFields::default() };
        let (token, secret) = CreateToken::new(fields, &*house.random, house.clock.now());
        made(house.store.write(token).await)?;
        Ok(Some(secret))
    }
}

fn fields_of(local: &str) -> AccountFields {
    let mut fields = AccountFields::default();
    if local == ADMINISTRATOR {
        fields.roles.push(Role::Admin);
    }
    fields
}

/// What is there already is as good as made.
fn made<T>(written: Result<Committed<T>, WriteError<Refused>>) -> Result<(), ServerError> {
    match written {
        Ok(_) | Err(WriteError::Refused(Refused::Precondition)) => Ok(()),
        Err(WriteError::Refused(refused)) => Err(ServerError::Preset(refused)),
        Err(error) => Err(error.into()),
    }
}

impl Preset {
    /// Tells the developer on stderr how to begin.
    pub(super) fn welcome(&self, bound: &[(Listener, SocketAddr)], captured_by: &str, token: Option<&Secret<String>>) {
        let mut text = String::from("\nPillarbox runs for development, on loopback alone:\n");
        for (listener, address) in bound {
            text.push_str(&format!("  {:<12} {address}\n", listener.name()));
        }
        let accounts: Vec<String> = self.accounts.iter().map(|local| format!("{local}@{}", self.domain)).collect();
        text.push_str(&format!("  accounts     {} (password: {})\n", accounts.join(", "), self.password));
        if !captured_by.is_empty() {
            text.push_str(&format!("  no mail leaves this machine: what is for elsewhere goes to {captured_by}\n"));
        }
        if let Some(token) = token {
            text.push_str(&format!("  admin token  {}\n", token.expose()));
            if let Some((_, http)) = bound.iter().find(|(listener, _)| *listener == Listener::Http) {
                text.push_str(&format!("  admin page   http://{http}/admin/ as {ADMINISTRATOR}@{}\n", self.domain));
                let variables = format!("PILLARBOX_URL=http://{http} PILLARBOX_TOKEN={}", token.expose());
                text.push_str(&format!("\nFor the command line: export {variables}\n"));
            }
        }
        eprintln!("{text}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::base::{Clock, MailOptions, RcptOptions, SeededRandom, SystemClock};
    use crate::intake::{Outbound, Settle};
    use crate::mailbox;
    use crate::queue::{self, Attempt, NewEntry, NewMessage, Notify, Outcome, Stage, Verdict, Words};
    use crate::store::{Halt, Op, StoreError, Tx};

    async fn house() -> House {
        let config = Config { data: None, hostname: Some("localhost".into()), ..Config::default() }.for_development();
        let house = House::open(&config, Arc::new(SystemClock), Arc::new(SeededRandom::new(1))).await.unwrap();
        assert!(house.furnish(&config).await.unwrap().is_some());
        assert!(house.furnish(&config).await.unwrap().is_some(), "what is there is left as it is");
        house
    }

    fn inbox(house: &House, who: &str) -> usize {
        let view = house.store.view().unwrap();
        let account = crate::directory::account(&view, &Address::parse(who).unwrap()).unwrap().unwrap();
        let inbox = mailbox::inbox(&view, account.id).unwrap().unwrap();
        mailbox::listing(&view, inbox).unwrap().len()
    }

    fn queued(house: &House) -> usize {
        queue::entries(&house.store.view().unwrap(), None, usize::MAX).unwrap().len()
    }

    #[tokio::test]
    async fn no_mail_leaves_a_developers_machine() {
        let house = house().await;
        let mut client = house.connect(Listener::Submission, std::net::Ipv4Addr::LOCALHOST.into());
        let login = STANDARD.encode("\0alice@example.test\0pillarbox");
        let script = format!(
            "EHLO c.test\r\nAUTH PLAIN {login}\r\nMAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\n\
             RCPT TO:<boss@company.test>\r\nRCPT TO:<x@[192.0.2.1]>\r\nDATA\r\nFrom: alice@example.test\r\n\r\nhi\r\n\
             .\r\nQUIT\r\n"
        );
        client.write_all(script.as_bytes()).await.unwrap();
        let mut heard = String::new();
        client.read_to_string(&mut heard).await.unwrap();
        assert!(heard.contains("250 2.0.0 m_"), "{heard}");
        assert_eq!((inbox(&house, "bob@example.test"), inbox(&house, CAPTURED), queued(&house)), (1, 1, 0));
        assert_eq!(house.store.check().unwrap().lines(), [] as [&str; 0]);
    }

    /// A message that was queued before the machine became a developer's.
    struct Queue;

    impl Op for Queue {
        type Plan = ();
        type Out = crate::base::QueueId;
        type Refused = std::convert::Infallible;

        fn name(&self) -> &'static str {
            "test.queue"
        }

        fn check(&self, _: &Tx<'_>) -> Result<(), Halt<std::convert::Infallible>> {
            Ok(())
        }

        fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<crate::base::QueueId, StoreError> {
            let message = NewMessage {
                id: crate::base::MessageId(1),
                sender: Address::parse("alice@elsewhere.test").ok(),
                notify: Notify::Sender,
                head: b"Subject: x\r\n",
                blob: None,
                body_bytes: 0,
                eight_bit: false,
                smtputf8: false,
                at: SystemClock.now(),
                options: MailOptions::default(),
                return_path: None,
                recipients: vec![NewEntry {
                    recipient: Address::parse("boss@company.test").unwrap(),
                    original: None,
                    options: RcptOptions::default(),
                }],
            };
            let policy = Outbound::of(
                &crate::settings::Settings::default(),
                DomainName::parse("x.test").unwrap(),
                Arc::default(),
            );
            Ok(queue::enqueue(tx, &message, &policy.unwrap().policy)?.remove(0))
        }
    }

    #[tokio::test]
    async fn nor_does_a_report() {
        let house = house().await;
        let entry = house.store.write(Queue).await.unwrap().into_inner();
        let outbound = Outbound::of(&house.settings, house.hostname.clone(), Arc::default()).unwrap();
        let attempt = Attempt {
            at: house.clock.now(),
            actor: "delivery".into(),
            server: None,
            server_ip: None,
            tls: None,
            stage: Stage::Route,
            words: Words { code: None, enhanced: Some((5, 1, 2)), text: "there is no such domain".into() },
            duration_ms: 1,
        };
        let outcomes = vec![Outcome::new(entry, Verdict::Failed, attempt)];
        let at = house.clock.now();
        house.store.write(Settle { outcomes, outbound: Arc::new(outbound), at, jitter: 0 }).await.unwrap().into_inner();
        assert_eq!((inbox(&house, CAPTURED), queued(&house)), (1, 0));
    }
}
