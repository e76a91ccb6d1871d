//! Who is who: domains, accounts and their credentials, aliases and groups, API tokens; and where an address leads.
//!
//! Floor F3b. Accounts are created and deleted by ops of `mailbox`, since their mail comes and goes with them: those
//! call [`plan_account`], [`write_account`] and [`remove_account`] here.

mod account;
mod account_row;
mod alias;
mod alias_row;
mod app_password;
mod authenticator;
mod census;
mod change;
mod check;
mod domain;
mod domain_row;
mod former;
mod forward;
mod password;
mod places;
mod powers;
mod presence;
mod resolve;
mod scope;
mod setup_link;
mod step;
mod token;
mod web_session;

pub use account::{
    Account, AccountChange, AccountFields, AccountPlan, LastLogin, Protocol, ProtocolError, Role, RoleError, account,
    account_by_id, accounts, last_login, password, password_changed_at, plan_account, quota_bytes, remove_account,
    write_account,
};
pub use alias::{Alias, AliasFields, DeleteAlias, Expn, PutAlias, alias, aliases};
pub use app_password::{AppPassword, CreateAppPassword, DeleteAppPassword, app_password, app_passwords};
pub use authenticator::{Authenticator, Identity, LoginError};
pub use census::{Census, census};
pub use change::{Holder, Precondition, Put, Refused};
pub use check::{CHECKS, TABLES};
pub use domain::{DeleteDomain, Domain, DomainFields, PutDomain, domain, domains, local_domain};
pub use former::{Former, FormerPlan, Remade, former, obstacle, plan_former, write_former};
pub use forward::Forward;
pub use password::{HashError, PasswordHash};
pub use powers::Powers;
pub use presence::Presence;
pub use resolve::{Delivery, Resolution, explain, may_send_as, resolve, resolve_postmaster};
pub use scope::{Scope, ScopeError};
pub use setup_link::{MakeSetupLink, NotSpent, SpendSetupLink, is_setup_token, needs_setup, spend_setup_link};
pub use step::{Step, StepKind};
pub use token::{
    CreateToken, DeleteToken, FILE_TOKEN, FileTokenError, SetFileToken, Token, TokenFields, TokenUsed, find_token,
    token, tokens,
};
pub use web_session::{
    CloseSession, EndSessions, OpenSession, SessionKey, SessionUsed, WebSession, end_every_session, find_session,
    sessions_of,
};

/// The bus topic of a changed account; its number is the [`crate::base::AccountId`].
pub const ACCOUNT_TOPIC: &str = "account";
/// The bus topic of a change of domains, aliases or tokens.
pub const DIRECTORY_TOPIC: &str = "directory";

#[cfg(test)]
mod tests;
