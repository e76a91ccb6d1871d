use super::account::PutAccount;
use crate::base::{Address, DomainName, Timestamp};
use crate::directory::{
    self, Account, AccountChange, AccountFields, Domain, DomainFields, PasswordHash, Precondition, Protocol, PutDomain,
    Refused, Role,
};
use crate::settings::{Change, ChangeRefused, Setter};
use crate::store::{Halt, Op, StoreError, Tx};

/// Makes the first administrator, the domain of the address where it is not one of ours, and names the server: all of
/// it, or nothing. The link that lets somebody do so is spent with it.
#[derive(Clone)]
pub struct SetUp {
    /// What the link holds.
    pub token: String,
    /// The administrator's address.
    pub address: Address,
    /// Its password.
    pub password: PasswordHash,
    /// The domain of the address, and what is set of it when it is new.
    pub domain: (DomainName, DomainFields),
    /// The server's name, where it is to be another one.
    pub hostname: Option<String>,
    /// Now.
    pub at: Timestamp,
}

/// Why the server is not set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetUpRefused {
    /// It is set up already.
    Done,
    /// The token is not that of the link, or the link has ended.
    Token,
    /// Domain or account can't be made.
    Directory(Refused),
    /// The name can't be taken.
    Hostname(ChangeRefused),
}

/// What there is to do.
pub struct SetUpPlan {
    domain: Option<(PutDomain, Option<Domain>)>,
    account: AccountChange,
}

impl SetUp {
    fn change(&self, old: Option<Account>) -> AccountChange {
        // Who has an account here already keeps what it has, and gets what it needs.
        let mut fields = old.map_or_else(AccountFields::default, |old| old.fields);
        fields.enabled = true;
        if !fields.roles.contains(&Role::Admin) {
            fields.roles.push(Role::Admin);
        }
        if !fields.protocols.contains(&Protocol::Http) {
            fields.protocols.push(Protocol::Http);
        }
        AccountChange {
            address: self.address.clone(),
            fields,
            password: Some(self.password.clone()),
            precondition: Precondition::None,
            at: self.at,
        }
    }

    fn naming(&self) -> Option<Change> {
        let values = vec![("smtp.hostname".to_owned(), Some(self.hostname.clone()?))];
        Some(Change { values, setter: Setter::Page, expected: None, at: self.at })
    }
}

fn of_directory(halt: Halt<Refused>) -> Halt<SetUpRefused> {
    match halt {
        Halt::Refused(refused) => Halt::Refused(SetUpRefused::Directory(refused)),
        Halt::Broken(error) => Halt::Broken(error),
    }
}

impl Op for SetUp {
    type Plan = SetUpPlan;
    type Out = Account;
    type Refused = SetUpRefused;

    fn name(&self) -> &'static str {
        "mailbox.set_up"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<SetUpPlan, Halt<SetUpRefused>> {
        if !directory::needs_setup(tx)? {
            return Err(Halt::Refused(SetUpRefused::Done));
        }
        if !directory::is_setup_token(tx, &self.token, self.at)? {
            return Err(Halt::Refused(SetUpRefused::Token));
        }
        if let Some(naming) = self.naming() {
            naming.check(tx).map_err(|halt| match halt {
                Halt::Refused(refused) => Halt::Refused(SetUpRefused::Hostname(refused)),
                Halt::Broken(error) => Halt::Broken(error),
            })?;
        }
        let account = self.change(directory::account(tx, &self.address)?);
        let (name, fields) = &self.domain;
        if directory::domain(tx, name)?.is_some() {
            directory::plan_account(tx, &account).map_err(of_directory)?;
            return Ok(SetUpPlan { domain: None, account });
        }
        // In a domain that is made here nothing stands in the account's way.
        let (name, fields) = (name.clone(), fields.clone());
        let put = PutDomain { name, fields, precondition: Precondition::Absent, at: self.at };
        let plan = put.check(tx).map_err(of_directory)?;
        Ok(SetUpPlan { domain: Some((put, plan)), account })
    }

    fn apply(&self, tx: &mut Tx<'_>, plan: SetUpPlan) -> Result<Account, StoreError> {
        if let Some((put, plan)) = plan.domain {
            put.apply(tx, plan)?;
        }
        let put = PutAccount(plan.account);
        let plan = put.check(tx).map_err(|halt| match halt {
            Halt::Broken(error) => error,
            // It undoes the whole: better than an administrator without a domain.
            Halt::Refused(refused) => StoreError::Damaged { table: "accounts", what: refused.to_string() },
        })?;
        let account = put.apply(tx, plan)?.row;
        if let Some(naming) = self.naming() {
            naming.apply(tx, ())?;
        }
        directory::spend_setup_link(tx)?;
        Ok(account)
    }
}
