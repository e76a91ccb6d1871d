use std::ops::ControlFlow;

use super::account::{Account, AccountChange, AccountPlan, account, password, plan_account, write_account};
use super::alias::{ALIASES, Alias, PutAlias};
use super::app_password::{AppPassword, app_passwords, put_app_passwords};
use super::change::{Precondition, Refused};
use super::password::PasswordHash;
use crate::base::{Address, Timestamp};
use crate::store::{Halt, Op, Read, Span, StoreError, Tx};

/// An account as a copy of the file has it, with all that belongs to it alone, but for its mail.
#[derive(Clone)]
pub struct Former {
    /// The account.
    pub account: Account,
    password: Option<PasswordHash>,
    app_passwords: Vec<AppPassword>,
    /// The aliases that lead to it and to nobody else.
    pub aliases: Vec<Alias>,
}

impl Former {
    fn change(&self, at: Timestamp) -> AccountChange {
        AccountChange {
            address: self.account.address.clone(),
            fields: self.account.fields.clone(),
            password: self.password.clone(),
            precondition: Precondition::Absent,
            at,
        }
    }
}

/// The account of that address in a copy of the file.
///
/// # Errors
/// [`StoreError`].
pub fn former(read: &impl Read, address: &Address) -> Result<Option<Former>, StoreError> {
    let Some(account) = account(read, address)? else { return Ok(None) };
    let own = account.address.key();
    let mut its_own = Vec::new();
    read.scan(&ALIASES, Span::all(), |_, alias| {
        let leads_to_it = matches!(&alias.fields.targets[..], [one] if one.key() == own);
        its_own.extend(leads_to_it.then_some(alias));
        ControlFlow::Continue(())
    })?;
    Ok(Some(Former {
        password: password(read, account.id)?,
        app_passwords: app_passwords(read, account.id)?,
        aliases: its_own,
        account,
    }))
}

/// What bringing an account back needs beyond itself.
pub struct FormerPlan {
    change: AccountChange,
    plan: AccountPlan,
    aliases: Vec<(PutAlias, Option<Alias>)>,
    left_out: Vec<(Address, Refused)>,
}

/// An account that is there again.
#[derive(Debug)]
pub struct Remade {
    /// The account.
    pub account: Account,
    /// The aliases that are there again with it.
    pub aliases: Vec<Address>,
    /// Those that something stands in the way of.
    pub left_out: Vec<(Address, Refused)>,
}

/// What stands in the way of an account that is to be made again, if anything does; its aliases stand in no way.
///
/// # Errors
/// [`StoreError`].
pub fn obstacle(read: &impl Read, former: &Former, at: Timestamp) -> Result<Option<Refused>, StoreError> {
    match plan_account(read, &former.change(at)) {
        Ok(_) => Ok(None),
        Err(Halt::Refused(refused)) => Ok(Some(refused)),
        Err(Halt::Broken(error)) => Err(error),
    }
}

/// Looks whether an account may be there again.
///
/// # Errors
/// The [`Refused`] reason, which says what stands in its way, or [`StoreError`].
pub fn plan_former(tx: &Tx<'_>, former: &Former, at: Timestamp) -> Result<FormerPlan, Halt<Refused>> {
    let change = former.change(at);
    let plan = plan_account(tx, &change)?;
    let (mut aliases, mut left_out) = (Vec::new(), Vec::new());
    for Alias { address, fields, .. } in &former.aliases {
        let put = PutAlias { address: address.clone(), fields: fields.clone(), precondition: Precondition::Absent, at };
        match put.check(tx) {
            Ok(old) => aliases.push((put, old)),
            Err(Halt::Refused(refused)) => left_out.push((address.clone(), refused)),
            Err(Halt::Broken(error)) => return Err(Halt::Broken(error)),
        }
    }
    Ok(FormerPlan { change, plan, aliases, left_out })
}

/// Writes an account as planned: its settings, its passwords as they were kept, its aliases. It has a number of its own:
/// none is used twice.
///
/// # Errors
/// [`StoreError`].
pub fn write_former(tx: &mut Tx<'_>, former: &Former, plan: FormerPlan) -> Result<Remade, StoreError> {
    let account = write_account(tx, &plan.change, plan.plan)?.row;
    put_app_passwords(tx, account.id, &former.app_passwords)?;
    let mut aliases = Vec::with_capacity(plan.aliases.len());
    for (put, old) in plan.aliases {
        aliases.push(put.apply(tx, old)?.row.address);
    }
    Ok(Remade { account, aliases, left_out: plan.left_out })
}
