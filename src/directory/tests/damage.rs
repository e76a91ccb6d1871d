use super::super::account::{
    ACCOUNT_NAMES, ACCOUNT_ROLES, ACCOUNTS, AccountRef, LAST_LOGINS, LastLogin, NUMBERS, Role,
};
use super::super::alias::ALIASES;
use super::super::change::VERSIONS;
use super::super::domain::{AliasOf, DOMAIN_ALIASES, DOMAINS};
use super::super::token::TOKENS;
use super::super::web_session::{WEB_SESSIONS, WEB_SESSIONS_OF, WebSession};
use super::*;
use crate::store::Read;

/// A domain with another name, an operator and an alias.
fn world() -> World {
    let world = World::new();
    world.put_domain("x.test", DomainFields { aliases: vec![name("b.test")], ..domain_fields() }).unwrap();
    let roles = vec![Role::User, Role::Operator];
    assert_eq!(world.account_with("a@x.test", AccountFields { roles, ..AccountFields::default() }), ID);
    world.alias("info@x.test", &["a@x.test"]);
    world.is_sound();
    world
}

const ID: AccountId = AccountId(1);

/// Does damage to it, which the check must name, and a repair mend.
fn check(damage: impl Fn(&mut Tx<'_>) -> Result<(), StoreError> + Send + 'static, expected: &str) -> World {
    let world = world();
    world.store.is_mended(damage, expected);
    world
}

fn at(local: &str) -> (String, String) {
    ("x.test".into(), local.into())
}

/// The account as it was made.
fn is_whole(world: &World) {
    let view = world.store.view().unwrap();
    let account = account(&view, &address("a@x.test")).unwrap().unwrap();
    assert!(account.id == ID && account.fields.enabled && account.fields.roles.contains(&Role::Operator));
}

#[test]
fn indexes_are_made_anew() {
    is_whole(&check(|tx| tx.remove(&DOMAIN_ALIASES, &"b.test".into()).map(drop), "b.test does not lead to x.test"));
    let other = |tx: &mut Tx<'_>| tx.put(&DOMAIN_ALIASES, &"c.test".into(), &AliasOf(name("x.test")));
    is_whole(&check(other, "c.test leads to x.test, which does not know it"));
    is_whole(&check(|tx| tx.remove(&ACCOUNT_NAMES, &at("a")).map(drop), "a@x.test does not lead to account"));
    is_whole(&check(|tx| tx.put(&ACCOUNT_NAMES, &at("zz"), &AccountRef(ID)), "zz@x.test leads to account"));
    let role = |role: &str| (role.to_owned(), ID);
    is_whole(&check(move |tx| tx.remove(&ACCOUNT_ROLES, &role("operator")).map(drop), "the role operator of"));
    is_whole(&check(move |tx| tx.put(&ACCOUNT_ROLES, &role("admin"), &()), "has no role admin"));
    for (counter, expected) in [(NUMBERS, "their numbers is behind"), (VERSIONS, "their versions is behind")] {
        let world = world();
        world.store.forget_counter(counter);
        world.store.is_mended_of(expected);
        is_whole(&world);
    }
}

#[test]
fn a_row_that_is_lost_is_made_anew_from_what_leads_to_it() {
    let world = check(|tx| tx.remove(&DOMAINS, &"x.test".into()).map(drop), "the domain of a@x.test is not there");
    is_whole(&world);
    let there = domain(&world.store.view().unwrap(), &name("x.test")).unwrap().unwrap();
    assert_eq!(there.fields.aliases, [name("b.test")]);
    let world = check(|tx| tx.remove(&ACCOUNTS, &ID).map(drop), "a@x.test leads to account");
    let there = account(&world.store.view().unwrap(), &address("a@x.test")).unwrap().unwrap();
    assert!(there.id == ID && there.fields.roles == [Role::User, Role::Operator]);
    assert!(!there.fields.enabled, "until somebody has looked at it");
    assert_ne!(world.account("b@x.test"), ID, "its number is not given again");
}

#[test]
fn what_belongs_to_nothing_is_taken_out() {
    let login = LastLogin { at: Timestamp(7), protocol: Protocol::Imap };
    is_whole(&check(move |tx| tx.put(&LAST_LOGINS, &AccountId(9), &login), "an account that is not there"));
    let both = |tx: &mut Tx<'_>| {
        let alias = tx.get(&ALIASES, &at("info"))?.expect("it is there");
        tx.put(&ALIASES, &at("a"), &Alias { address: address("a@x.test"), ..alias })
    };
    is_whole(&check(both, "a@x.test is an account too"));
    let moved = |tx: &mut Tx<'_>| {
        let alias = tx.get(&ALIASES, &at("info"))?.expect("it is there");
        tx.put(&ALIASES, &at("other"), &alias)
    };
    is_whole(&check(moved, "the row at other@x.test is of info@x.test"));
    let world = world();
    let fields = TokenFields { name: "ci".into(), scopes: vec![Scope::DomainsRead], ..TokenFields::default() };
    let (op, text) = CreateToken::new(fields, &SeededRandom::new(1), Timestamp(5));
    let token = world.write(op).unwrap();
    let copy = token.clone();
    world.store.is_mended(move |tx| tx.put(&TOKENS, &"other".into(), &copy), "the row at other is of token");
    assert_eq!(find_token(&world.store.view().unwrap(), text.expose()).unwrap(), Some(token));
}

#[test]
fn sessions_of_the_page_are_mended() {
    let session = |account| WebSession {
        account,
        roles: vec![Role::User],
        created_at: Timestamp(5),
        last_used_at: Timestamp(5),
        ip: None,
        user_agent: String::new(),
    };
    let (here, nobody) = (session(ID), session(AccountId(9)));
    is_whole(&check(move |tx| tx.put(&WEB_SESSIONS, &[1; 32], &nobody), "a session of account 9, which is not there"));
    let world = check(move |tx| tx.put(&WEB_SESSIONS, &[1; 32], &here), "a session of account 1 is missing");
    assert!(world.store.view().unwrap().has(&WEB_SESSIONS, &[1; 32]).unwrap(), "who is logged in stays so");
    world.store.is_mended(|tx| tx.put(&WEB_SESSIONS_OF, &(ID, [2; 32]), &()), "account 1 has no such session");
}
