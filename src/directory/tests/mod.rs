mod authenticator;
mod change;
mod damage;
mod property;
mod resolve;
mod token;

use std::sync::Arc;

use super::*;
use crate::base::{AccountId, Address, DomainName, Secret, SeededRandom, SystemClock, Timestamp};
use crate::settings::Settings;
use crate::store::{Halt, Op, Options, Schema, Store, StoreError, Tx, WriteError};

static SCHEMA: Schema = Schema { version: 1, tables: TABLES, checks: CHECKS, migrations: &[] };

/// A directory in memory.
struct World {
    store: Store,
}

/// What `mailbox` does around the account's mail, without the mail.
struct PutAccount(AccountChange);

impl Op for PutAccount {
    type Plan = AccountPlan;
    type Out = Put<Account>;
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "test.put_account"
    }

    fn check(&self, tx: &Tx<'_>) -> Result<AccountPlan, Halt<Refused>> {
        plan_account(tx, &self.0)
    }

    fn apply(&self, tx: &mut Tx<'_>, plan: AccountPlan) -> Result<Put<Account>, StoreError> {
        write_account(tx, &self.0, plan)
    }
}

struct DeleteAccount(Address);

impl Op for DeleteAccount {
    type Plan = Account;
    type Out = ();
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "test.delete_account"
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Account, Halt<Refused>> {
        account(tx, &self.0)?.ok_or(Halt::Refused(Refused::NotFound))
    }

    fn apply(&self, tx: &mut Tx<'_>, account: Account) -> Result<(), StoreError> {
        remove_account(tx, &account)
    }
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn domain_fields() -> DomainFields {
    DomainFields::new(&Settings::default())
}

fn alias_fields(targets: &[&str]) -> AliasFields {
    AliasFields::leading_to(targets.iter().map(|target| address(target)).collect())
}

fn change(at: &str) -> AccountChange {
    AccountChange {
        address: address(at),
        fields: AccountFields::default(),
        password: None,
        precondition: Precondition::None,
        at: Timestamp(1_000),
    }
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, WriteError<Refused>>) -> Refused {
    match outcome {
        Err(WriteError::Refused(refused)) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

impl World {
    fn new() -> Self {
        let store = Store::open(Options::memory(Arc::new(SystemClock)), &SCHEMA).unwrap();
        Self { store }
    }

    fn write<O: Op>(&self, op: O) -> Result<O::Out, WriteError<O::Refused>> {
        self.store.write_blocking(op).map(crate::store::Committed::into_inner)
    }

    fn put_domain(&self, text: &str, fields: DomainFields) -> Result<Put<Domain>, WriteError<Refused>> {
        let op = PutDomain { name: name(text), fields, precondition: Precondition::None, at: Timestamp(1_000) };
        self.write(op)
    }

    fn domain(&self, text: &str) {
        self.put_domain(text, domain_fields()).unwrap();
    }

    fn account(&self, text: &str) -> AccountId {
        self.write(PutAccount(change(text))).unwrap().row.id
    }

    fn account_with(&self, text: &str, fields: AccountFields) -> AccountId {
        self.write(PutAccount(AccountChange { fields, ..change(text) })).unwrap().row.id
    }

    fn put_alias(&self, text: &str, fields: AliasFields) -> Result<Put<Alias>, WriteError<Refused>> {
        let op = PutAlias { address: address(text), fields, precondition: Precondition::None, at: Timestamp(1_000) };
        self.write(op)
    }

    fn alias(&self, text: &str, targets: &[&str]) {
        self.put_alias(text, alias_fields(targets)).unwrap();
    }

    /// Nothing in the file contradicts anything else.
    fn is_sound(&self) {
        let findings = self.store.check().unwrap();
        assert_eq!(findings.lines(), [] as [&str; 0]);
    }
}
