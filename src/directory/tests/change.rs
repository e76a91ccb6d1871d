use super::*;

fn put_domain(world: &World, precondition: Precondition) -> Result<Put<Domain>, WriteError<Refused>> {
    world.write(PutDomain { name: name("example.test"), fields: domain_fields(), precondition, at: Timestamp(2_000) })
}

#[test]
fn a_change_happens_only_to_what_was_seen() {
    let world = World::new();
    assert_eq!(refused(put_domain(&world, Precondition::Present)), Refused::Precondition);
    assert_eq!(refused(put_domain(&world, Precondition::Version(1))), Refused::Precondition);
    let first = put_domain(&world, Precondition::Absent).unwrap();
    assert!(first.created);
    assert_eq!(refused(put_domain(&world, Precondition::Absent)), Refused::Precondition);
    let second = put_domain(&world, Precondition::Version(first.row.version)).unwrap();
    assert!(!second.created && second.row.version != first.row.version);
    assert_eq!(refused(put_domain(&world, Precondition::Version(first.row.version))), Refused::Precondition);
    let delete = |precondition| world.write(DeleteDomain { name: name("example.test"), precondition });
    assert_eq!(refused(delete(Precondition::Version(first.row.version))), Refused::Precondition);
    delete(Precondition::Version(second.row.version)).unwrap();
    assert_eq!(refused(delete(Precondition::None)), Refused::NotFound);
    // What comes back under the name is not what was there: no version is used twice.
    let third = put_domain(&world, Precondition::Absent).unwrap();
    assert!(third.row.version > second.row.version);
}

#[test]
fn a_name_has_one_holder() {
    let world = World::new();
    world.domain("example.test");
    world.put_domain("main.test", DomainFields { aliases: vec![name("other.test")], ..domain_fields() }).unwrap();
    assert_eq!(refused(world.put_domain("other.test", domain_fields())), Refused::Conflict(Holder::DomainAlias));
    for (taken, message) in [
        (vec!["main.test"], "main.test is a domain"),
        (vec!["example.test"], "example.test is a domain"),
        (vec!["x.test", "x.test"], "x.test is a domain alias"),
    ] {
        let aliases = taken.iter().map(|text| name(text)).collect::<Vec<_>>();
        let pointer = format!("/aliases/{}", aliases.len() - 1);
        let outcome = refused(world.put_domain("main.test", DomainFields { aliases, ..domain_fields() }));
        assert_eq!(outcome, Refused::Invalid { pointer, code: "taken", message: message.into() });
    }
    let stolen = DomainFields { aliases: vec![name("other.test")], ..domain_fields() };
    assert!(matches!(refused(world.put_domain("example.test", stolen)), Refused::Invalid { code: "taken", .. }));
    // Replacing a domain gives its aliases free.
    world.put_domain("main.test", domain_fields()).unwrap();
    world.domain("other.test");
    world.account("alice@example.test");
    world.alias("sales@example.test", &["alice@example.test"]);
    let outcome = world.put_alias("ALICE@example.test", alias_fields(&["x@far.test"]));
    assert_eq!(refused(outcome), Refused::Conflict(Holder::Account));
    assert_eq!(refused(world.write(PutAccount(change("Sales@example.test")))), Refused::Conflict(Holder::Alias));
    assert_eq!(refused(world.write(PutAccount(change("a@far.test")))), Refused::NoDomain(name("far.test")));
    assert_eq!(
        refused(world.put_alias("a@far.test", alias_fields(&["b@far.test"]))),
        Refused::NoDomain(name("far.test"))
    );
    world.is_sound();
}

#[test]
fn what_a_domain_holds_keeps_it() {
    let world = World::new();
    world.put_domain("example.test", DomainFields { max_accounts: Some(2), ..domain_fields() }).unwrap();
    // A domain whose name begins with the other's holds nothing of it.
    world.domain("example.test2");
    world.account("alice@example.test");
    world.account("bob@example.test");
    world.account("bob@example.test");
    assert_eq!(refused(world.write(PutAccount(change("carol@example.test")))), Refused::TooManyAccounts(2));
    world.alias("sales@example.test", &["alice@example.test"]);
    let delete = |text: &str| world.write(DeleteDomain { name: name(text), precondition: Precondition::None });
    delete("example.test2").unwrap();
    assert_eq!(refused(delete("example.test")), Refused::NotEmpty);
    for gone in ["alice@example.test", "bob@example.test"] {
        world.write(DeleteAccount(address(gone))).unwrap();
        world.is_sound();
    }
    assert_eq!(refused(delete("example.test")), Refused::NotEmpty);
    let precondition = Precondition::None;
    world.write(DeleteAlias { address: address("sales@example.test"), precondition }).unwrap();
    let again = world.write(DeleteAlias { address: address("sales@example.test"), precondition });
    assert_eq!(refused(again), Refused::NotFound);
    delete("example.test").unwrap();
    world.is_sound();
}

#[test]
fn an_account_keeps_its_number_password_and_spelling() {
    let world = World::new();
    world.domain("example.test");
    let hash = PasswordHash::import("$2b$04$abcdefghijklmnopqrstuuQ1qFE4VcYvJvoHZ8KqYyb2zLkFhEh5K").unwrap();
    let first = AccountChange { password: Some(hash), ..change("Alice@example.test") };
    let first = world.write(PutAccount(first)).unwrap();
    let fields = AccountFields { roles: vec![Role::Operator, Role::Admin], ..AccountFields::default() };
    let second = AccountChange { fields, at: Timestamp(9_000), ..change("alice@example.test") };
    let second = world.write(PutAccount(second)).unwrap();
    assert!(first.created && !second.created);
    assert_eq!((second.row.id, second.row.address.to_string()), (first.row.id, "Alice@example.test".into()));
    assert_eq!((second.row.created_at, second.row.changed_at), (Timestamp(1_000), Timestamp(9_000)));
    let view = world.store.view().unwrap();
    assert_eq!(password_changed_at(&view, first.row.id).unwrap(), Some(Timestamp(1_000)));
    world.is_sound();
    world.account("alice@example.test");
    world.is_sound();
    world.write(DeleteAccount(address("alice@example.test"))).unwrap();
    world.is_sound();
    assert!(world.account("alice@example.test") > first.row.id, "a number is never used twice");
    let view = world.store.view().unwrap();
    assert_eq!(password_changed_at(&view, first.row.id).unwrap(), None);
}

#[test]
fn fields_are_looked_at() {
    let world = World::new();
    world.domain("example.test");
    let check = |outcome: Refused, pointer: &str, code: &str| match outcome {
        Refused::Invalid { pointer: seen, code: why, .. } => assert_eq!((seen.as_str(), why), (pointer, code)),
        other => panic!("{pointer}: {other:?}"),
    };
    for separator in ["++", "a", "@", ".", " ", "é"] {
        let fields = DomainFields { subaddress_sep: separator.into(), ..domain_fields() };
        check(refused(world.put_domain("example.test", fields)), "/subaddress_sep", "not_a_separator");
    }
    let fields = DomainFields { catch_all: Some(address("a@[127.0.0.1]")), ..domain_fields() };
    check(refused(world.put_domain("example.test", fields)), "/catch_all", "no_domain");
    let account = |fields| refused(world.write(PutAccount(AccountChange { fields, ..change("a@example.test") })));
    let fields = AccountFields { display_name: "a\r\nBcc: b".into(), ..AccountFields::default() };
    check(account(fields), "/display_name", "control_character");
    let fields = AccountFields { display_name: "x".repeat(2_000), ..AccountFields::default() };
    check(account(fields), "/display_name", "too_long");
    let fields = AccountFields { send_as: vec!["a@b.test".into(), "nobody".into()], ..AccountFields::default() };
    check(account(fields), "/send_as/1", "not_an_address");
    check(refused(world.write(PutAccount(change("a@[127.0.0.1]")))), "/address", "no_domain");
    let alias = |fields| refused(world.put_alias("x@example.test", fields));
    check(alias(alias_fields(&[])), "/targets", "empty");
    check(alias(alias_fields(&["a@b.test", "c@[IPv6:::1]"])), "/targets/1", "no_domain");
    check(alias(alias_fields(&["X@example.test"])), "/targets/0", "circle");
    world.alias("y@example.test", &["x@example.test"]);
    check(alias(alias_fields(&["a@b.test", "y@example.test"])), "/targets/1", "circle");
    check(
        alias(AliasFields { note: "\u{1b}[31m".into(), ..alias_fields(&["a@b.test"]) }),
        "/note",
        "control_character",
    );
}

#[test]
fn lists_come_in_pages() {
    let world = World::new();
    for domain in ["b.test", "a.test", "c.test"] {
        world.domain(domain);
        world.account(&format!("two@{domain}"));
        world.account(&format!("one@{domain}"));
        world.alias(&format!("list@{domain}"), &["one@a.test"]);
    }
    let view = world.store.view().unwrap();
    let names = |after: Option<&str>, limit| {
        let page = domains(&view, after.map(name).as_ref(), limit).unwrap();
        page.into_iter().map(|domain| domain.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(None, 2), ["a.test", "b.test"]);
    assert_eq!(names(Some("b.test"), 2), ["c.test"]);
    let page = |domain: Option<&str>, after: Option<&str>, limit| {
        let page = accounts(&view, domain.map(name).as_ref(), after.map(address).as_ref(), limit).unwrap();
        page.into_iter().map(|account| account.address.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(page(Some("b.test"), None, 9), ["one@b.test", "two@b.test"]);
    assert_eq!(page(Some("b.test"), Some("one@b.test"), 9), ["two@b.test"]);
    assert_eq!(page(None, Some("two@a.test"), 3), ["one@b.test", "two@b.test", "one@c.test"]);
    assert_eq!(aliases(&view, None, Some(&address("list@a.test")), 9).unwrap().len(), 2);
}

#[test]
fn a_quota_is_the_accounts_or_the_domains() {
    let world = World::new();
    world.put_domain("example.test", DomainFields { default_quota_bytes: Some(7), ..domain_fields() }).unwrap();
    world.domain("free.test");
    let own = AccountFields { quota_bytes: Some(3), ..AccountFields::default() };
    let (own, default, none) =
        (world.account_with("a@example.test", own), world.account("b@example.test"), world.account("c@free.test"));
    let view = world.store.view().unwrap();
    let quota = |id| quota_bytes(&view, &account_by_id(&view, id).unwrap().unwrap()).unwrap();
    assert_eq!((quota(own), quota(default), quota(none)), (Some(3), Some(7), None));
}

#[test]
fn no_way_leads_back_to_where_it_began() {
    let world = World::new();
    world.domain("example.test");
    let put = |text: &str, to: &[&str]| {
        let forward = Some(Forward { to: to.iter().map(|target| address(target)).collect(), keep: true });
        let fields = AccountFields { forward, ..AccountFields::default() };
        world.write(PutAccount(AccountChange { fields, ..change(text) })).map(drop)
    };
    let check = |seen: Result<(), WriteError<Refused>>, expected: Option<(&str, &str)>| {
        let seen = match seen {
            Ok(()) => None,
            Err(WriteError::Refused(Refused::Invalid { pointer, code, .. })) => Some((pointer, code)),
            Err(error) => panic!("{error:?}"),
        };
        assert_eq!(seen, expected.map(|(pointer, code)| (pointer.to_owned(), code)));
    };
    world.account("c@example.test");
    check(put("a@example.test", &["x@far.test", "A@example.test"]), Some(("/forward/to/1", "circle")));
    check(put("a@example.test", &[]), Some(("/forward/to", "empty")));
    check(put("a@example.test", &["a@[192.0.2.1]"]), Some(("/forward/to/0", "no_domain")));
    check(put("a@example.test", &["b@example.test", "x@far.test"]), None);
    world.alias("b@example.test", &["c@example.test"]);
    check(put("c@example.test", &["y@far.test", "a@example.test"]), Some(("/forward/to/1", "circle")));
    let back = world.put_alias("b@example.test", alias_fields(&["a@example.test"])).map(drop);
    check(back, Some(("/targets/0", "circle")));
    // Eleven groups, each with a thousand members and the next one: no more than so many are looked at.
    let members: Vec<String> = (0..999).map(|n| format!("m{n}@far.test")).collect();
    let group = |number: usize| {
        let next = format!("g{}@example.test", number + 1);
        let targets: Vec<&str> = members.iter().map(String::as_str).chain([next.as_str()]).collect();
        world.put_alias(&format!("g{number}@example.test"), alias_fields(&targets)).map(drop)
    };
    for number in (1..=10).rev() {
        check(group(number), None);
    }
    check(group(0), Some(("/targets/999", "too_far")));
}
