use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::base::limits;

/// One thing that an administrator does, with numbers for names.
#[derive(Debug, Clone)]
enum Step {
    Domain { name: u8, alias: Option<u8>, catch_all: Option<(u8, u8)>, enabled: bool },
    Account { at: (u8, u8), enabled: bool, admin: bool },
    DeleteAccount { at: (u8, u8) },
    Alias { at: (u8, u8), targets: Vec<(u8, u8)>, enabled: bool },
    DeleteAlias { at: (u8, u8) },
    DeleteDomain { name: u8 },
}

/// The last two are never created: they are elsewhere.
const DOMAINS: [&str; 5] = ["a.test", "b.test", "c.test", "far.test", "away.test"];
const LOCALS: [&str; 6] = ["x", "y", "z", "x+tag", "postmaster", "abuse"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = || (0..6u8, 0..3u8);
    let anywhere = || (0..6u8, 0..5u8);
    let step = prop_oneof![
        2 => (0..3u8, prop::option::of(0..3u8), prop::option::of(anywhere()), prop::bool::weighted(0.9))
            .prop_map(|(name, alias, catch_all, enabled)| Step::Domain { name, alias, catch_all, enabled }),
        3 => (at(), prop::bool::weighted(0.8), prop::bool::weighted(0.2))
            .prop_map(|(at, enabled, admin)| Step::Account { at, enabled, admin }),
        1 => at().prop_map(|at| Step::DeleteAccount { at }),
        4 => (at(), prop::collection::vec(anywhere(), 1..4), prop::bool::weighted(0.9))
            .prop_map(|(at, targets, enabled)| Step::Alias { at, targets, enabled }),
        1 => at().prop_map(|at| Step::DeleteAlias { at }),
        1 => (0..3u8).prop_map(|name| Step::DeleteDomain { name }),
    ];
    prop::collection::vec(step, 1..30)
}

fn text((local, domain): (u8, u8)) -> String {
    format!("{}@{}", LOCALS[usize::from(local)], DOMAINS[usize::from(domain)])
}

/// Does the step. Whether it is refused is not asked: what is left behind is what counts.
fn play(world: &World, step: &Step) {
    let precondition = Precondition::None;
    match step {
        Step::Domain { name: number, alias, catch_all, enabled } => {
            let fields = DomainFields {
                aliases: alias.iter().map(|alias| name(DOMAINS[usize::from(*alias)])).collect(),
                catch_all: catch_all.map(|at| address(&text(at))),
                enabled: *enabled,
                ..domain_fields()
            };
            drop(world.put_domain(DOMAINS[usize::from(*number)], fields));
        }
        Step::Account { at, enabled, admin } => {
            let role = if *admin { Role::Admin } else { Role::User };
            let fields = AccountFields { enabled: *enabled, roles: vec![role], ..AccountFields::default() };
            drop(world.write(PutAccount(AccountChange { fields, ..change(&text(*at)) })));
        }
        Step::DeleteAccount { at } => drop(world.write(DeleteAccount(address(&text(*at))))),
        Step::Alias { at, targets, enabled } => {
            let targets: Vec<String> = targets.iter().map(|at| text(*at)).collect();
            let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
            drop(world.put_alias(&text(*at), AliasFields { enabled: *enabled, ..alias_fields(&targets) }));
        }
        Step::DeleteAlias { at } => drop(world.write(DeleteAlias { address: address(&text(*at)), precondition })),
        Step::DeleteDomain { name: number } => {
            drop(world.write(DeleteDomain { name: name(DOMAINS[usize::from(*number)]), precondition }));
        }
    }
}

/// What must hold of every address, whatever was done.
fn holds(world: &World, to: &str) {
    let view = world.store.view().unwrap();
    let to = address(to);
    let domain = local_domain(&view, to.host.name().unwrap()).unwrap();
    let (local, remote) = match resolve(&view, &to).unwrap() {
        Resolution::NotLocal => {
            assert!(domain.is_none(), "{to} is ours");
            return;
        }
        Resolution::Local(local) | Resolution::InternalOnly(local) => (local, Vec::new()),
        Resolution::Forwards { local, remote, .. } => (local, remote),
        Resolution::Unknown | Resolution::Disabled => {
            assert!(domain.is_some(), "{to} is not ours");
            let is_required = ["postmaster", "abuse"].contains(&to.local.as_str());
            let is_open = domain.is_some_and(|domain| domain.fields.enabled);
            let somebody = accounts(&view, None, None, 99).unwrap().iter().any(|account| account.fields.enabled);
            assert!(!(is_required && is_open && somebody), "nobody reads {to}");
            return;
        }
        Resolution::TooFar => panic!("{to}: three domains with six names each are not too far"),
    };
    let domain = domain.unwrap_or_else(|| panic!("{to} is not ours, and leads to {local:?}"));
    assert!(domain.fields.enabled, "{to} is switched off");
    assert!(local.len() + remote.len() <= limits::ALIAS_MEMBERS && !(local.is_empty() && remote.is_empty()));
    let once: HashSet<_> = local.iter().map(|delivery| delivery.account).collect();
    assert_eq!(once.len(), local.len(), "{to} leads to an account twice");
    for delivery in &local {
        let account = account_by_id(&view, delivery.account).unwrap().expect("the account is there");
        assert!(account.fields.enabled && account.address == delivery.address);
    }
    for target in &remote {
        assert_eq!(local_domain(&view, target.host.name().unwrap()).unwrap(), None, "{target} is ours");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_address_has_an_end_and_no_foreign_one_is_ours(steps in steps()) {
        let world = World::new();
        world.domain("a.test");
        for step in &steps {
            play(&world, step);
        }
        for local in 0..6 {
            for domain in 0..5 {
                holds(&world, &text((local, domain)));
            }
        }
        world.is_sound();
    }
}
