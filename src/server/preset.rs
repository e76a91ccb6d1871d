use std::net::SocketAddr;

use crate::base::{Address, DomainName, Secret};
use crate::directory::{
    AccountChange, AccountFields, CreateToken, DomainFields, Precondition, PutDomain, Refused, Scope, TokenFields,
};
use crate::mailbox::PutAccount;
use crate::net::Listener;
use crate::store::{Committed, WriteError};

use super::{House, Preset, ServerError};

impl Preset {
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
                fields: AccountFields::default(),
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

/// What is there already is as good as made.
fn made<T>(written: Result<Committed<T>, WriteError<Refused>>) -> Result<(), ServerError> {
    match written {
        Ok(_) | Err(WriteError::Refused(Refused::Precondition)) => Ok(()),
        Err(WriteError::Refused(refused)) => Err(ServerError::Preset(refused)),
        Err(error) => Err(ServerError::Store(error.to_string())),
    }
}

impl Preset {
    /// Tells the developer on stderr how to begin.
    pub(super) fn welcome(&self, bound: &[(Listener, SocketAddr)], token: Option<&Secret<String>>) {
        let mut text = String::from("\nPillarbox runs for development, on loopback alone:\n");
        for (listener, address) in bound {
            text.push_str(&format!("  {:<12} {address}\n", listener.name()));
        }
        let accounts: Vec<String> = self.accounts.iter().map(|local| format!("{local}@{}", self.domain)).collect();
        text.push_str(&format!("  accounts     {} (password: {})\n", accounts.join(", "), self.password));
        if let Some(token) = token {
            text.push_str(&format!("  admin token  {}\n", token.expose()));
            if let Some((_, http)) = bound.iter().find(|(listener, _)| *listener == Listener::Http) {
                let variables = format!("PILLARBOX_URL=http://{http} PILLARBOX_TOKEN={}", token.expose());
                text.push_str(&format!("\nFor the command line: export {variables}\n"));
            }
        }
        eprintln!("{text}");
    }
}
