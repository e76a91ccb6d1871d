use super::*;

/// The resolution as one line.
fn shown(resolution: &Resolution) -> String {
    let deliveries = |list: &[Delivery]| {
        let one = |delivery: &Delivery| match &delivery.tag {
            Some(tag) => format!("{} [{tag}]", delivery.address),
            None => delivery.address.to_string(),
        };
        list.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    match resolution {
        Resolution::Local(list) => deliveries(list),
        Resolution::InternalOnly(list) => format!("internal: {}", deliveries(list)),
        Resolution::Forwards { local, remote, internal_only } => {
            let remote = remote.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let internal = if *internal_only { "internal " } else { "" };
            format!("{internal}forwards: {} / {remote}", deliveries(local))
        }
        other => format!("{other:?}"),
    }
}

fn check(world: &World, to: &str, expected: &str) {
    let resolution = resolve(&world.store.view().unwrap(), &address(to)).unwrap();
    assert_eq!(shown(&resolution), expected, "{to}");
}

fn off() -> AccountFields {
    AccountFields { enabled: false, ..AccountFields::default() }
}

fn with_role(role: Role) -> AccountFields {
    AccountFields { roles: vec![role], ..AccountFields::default() }
}

#[test]
fn an_account_has_its_address_in_every_spelling() {
    let world = World::new();
    world.put_domain("example.test", DomainFields { aliases: vec![name("other.test")], ..domain_fields() }).unwrap();
    world.account("Alice@example.test");
    world.account("\"two words\"@example.test");
    check(&world, "alice@example.test", "Alice@example.test");
    check(&world, "ALICE@Example.Test", "Alice@example.test");
    check(&world, "alice@other.test", "Alice@example.test");
    check(&world, "\"alice\"@other.test", "Alice@example.test");
    check(&world, "\"Two Words\"@example.test", "\"two words\"@example.test");
    check(&world, "bob@example.test", "Unknown");
    check(&world, "alice@foreign.test", "NotLocal");
    check(&world, "alice@sub.example.test", "NotLocal");
    check(&world, "alice@[127.0.0.1]", "NotLocal");
    // What other servers once took for a route is a name that nobody has.
    for trick in
        ["\"alice@foreign.test\"@example.test", "alice%foreign.test@example.test", "foreign.test!alice@example.test"]
    {
        check(&world, trick, "Unknown");
    }
    world.is_sound();
}

#[test]
fn a_tag_is_not_part_of_the_name() {
    let world = World::new();
    world.domain("plus.test");
    world.put_domain("dash.test", DomainFields { subaddress_sep: "-".into(), ..domain_fields() }).unwrap();
    world.put_domain("none.test", DomainFields { subaddress_sep: String::new(), ..domain_fields() }).unwrap();
    for domain in ["plus.test", "dash.test", "none.test"] {
        world.account(&format!("alice@{domain}"));
    }
    world.account("alice+own@plus.test");
    world.alias("sales@plus.test", &["alice@plus.test"]);
    check(&world, "alice+News@plus.test", "alice@plus.test [news]");
    check(&world, "alice+a+b@plus.test", "alice@plus.test [a+b]");
    check(&world, "alice+@plus.test", "alice@plus.test []");
    check(&world, "alice+own@plus.test", "alice+own@plus.test");
    check(&world, "sales+x@plus.test", "alice@plus.test");
    check(&world, "+alice@plus.test", "Unknown");
    check(&world, "alice-x@plus.test", "Unknown");
    check(&world, "alice-x@dash.test", "alice@dash.test [x]");
    check(&world, "alice+x@none.test", "Unknown");
}

#[test]
fn an_alias_leads_to_everybody_once() {
    let world = World::new();
    world.domain("example.test");
    world.account("alice@example.test");
    world.account("bob@example.test");
    world.account_with("gone@example.test", off());
    world.alias("one@example.test", &["alice@example.test"]);
    world.alias(
        "all@example.test",
        &["one@example.test", "alice+x@example.test", "bob@example.test", "gone@example.test"],
    );
    world.alias("nobody@example.test", &["missing@example.test"]);
    world.alias("retired@example.test", &["gone@example.test"]);
    world.alias("away@example.test", &["alice@example.test", "a@far.test", "b@far.test", "A@far.test"]);
    world.put_alias("off@example.test", AliasFields { enabled: false, ..alias_fields(&["bob@example.test"]) }).unwrap();
    let internal = AliasFields { internal_only: true, ..alias_fields(&["all@example.test"]) };
    world.put_alias("staff@example.test", internal).unwrap();
    world.alias("public@example.test", &["staff@example.test"]);
    let internal = AliasFields { internal_only: true, ..alias_fields(&["a@far.test"]) };
    world.put_alias("board@example.test", internal).unwrap();
    check(&world, "one@example.test", "alice@example.test");
    check(&world, "all@example.test", "alice@example.test, bob@example.test");
    check(&world, "nobody@example.test", "Unknown");
    check(&world, "retired@example.test", "Disabled");
    check(&world, "gone@example.test", "Disabled");
    check(&world, "off@example.test", "Disabled");
    check(&world, "away@example.test", "forwards: alice@example.test / a@far.test, b@far.test");
    check(&world, "staff@example.test", "internal: alice@example.test, bob@example.test");
    check(&world, "public@example.test", "alice@example.test, bob@example.test");
    check(&world, "board@example.test", "internal forwards:  / a@far.test");
    world.is_sound();
}

#[test]
fn a_catch_all_takes_what_nobody_has() {
    let world = World::new();
    let catching = |to: &str| DomainFields { catch_all: Some(address(to)), ..domain_fields() };
    world.put_domain("example.test", catching("alice@example.test")).unwrap();
    world.put_domain("own.test", catching("missing@own.test")).unwrap();
    world.put_domain("far.test", catching("all@far.example")).unwrap();
    world.put_domain("off.test", DomainFields { enabled: false, ..catching("alice@example.test") }).unwrap();
    world.account("alice@example.test");
    world.account_with("gone@example.test", off());
    check(&world, "anything@example.test", "alice@example.test");
    check(&world, "any+thing@example.test", "alice@example.test");
    check(&world, "gone@example.test", "Disabled");
    check(&world, "anything@own.test", "Unknown");
    check(&world, "anything@far.test", "forwards:  / all@far.example");
    check(&world, "anything@off.test", "Disabled");
    check(&world, "postmaster@off.test", "Disabled");
}

#[test]
fn somebody_reads_what_is_for_the_postmaster() {
    let world = World::new();
    world.domain("example.test");
    check(&world, "postmaster@example.test", "Unknown");
    world.account("first@example.test");
    check(&world, "PostMaster@example.test", "first@example.test");
    check(&world, "abuse@example.test", "first@example.test");
    check(&world, "hostmaster@example.test", "Unknown");
    let catching = DomainFields { catch_all: Some(address("bob@example.test")), ..domain_fields() };
    world.put_domain("example.test", catching).unwrap();
    world.account("bob@example.test");
    check(&world, "postmaster@example.test", "bob@example.test");
    world.account_with("admin@example.test", with_role(Role::Admin));
    check(&world, "abuse@example.test", "admin@example.test");
    world.account_with("boss@example.test", with_role(Role::DomainAdmin(name("example.test"))));
    world.account_with("elsewhere@example.test", with_role(Role::DomainAdmin(name("x.example.test"))));
    check(&world, "abuse@example.test", "boss@example.test");
    world.alias("abuse@example.test", &["bob@example.test"]);
    check(&world, "abuse@example.test", "bob@example.test");
    // Neither an alias that leads to nobody nor an account that is switched off may swallow it.
    world.alias("abuse@example.test", &["gone@example.test"]);
    world.account_with("gone@example.test", off());
    check(&world, "abuse@example.test", "boss@example.test");
    world.account_with("postmaster@example.test", off());
    check(&world, "postmaster@example.test", "boss@example.test");
    world.account_with("boss@example.test", off());
    check(&world, "postmaster@example.test", "admin@example.test");
    world.account("postmaster@example.test");
    check(&world, "postmaster@example.test", "postmaster@example.test");
    world.is_sound();
}

#[test]
fn what_leads_to_itself_alone_swallows_nothing() {
    let world = World::new();
    let fields =
        DomainFields { aliases: vec![name("b.test")], catch_all: Some(address("abuse@b.test")), ..domain_fields() };
    world.put_domain("example.test", fields).unwrap();
    world.domain("a.test");
    world.account("alice@example.test");
    world.alias("abuse@example.test", &["gone@a.test"]);
    check(&world, "abuse@example.test", "alice@example.test");
}

#[test]
fn the_bare_postmaster_is_that_of_the_hosts_domain() {
    let world = World::new();
    let shown = |host: &str| shown(&resolve_postmaster(&world.store.view().unwrap(), &name(host)).unwrap());
    assert_eq!(shown("mx.example.test"), "Unknown");
    world.domain("example.test");
    world.domain("other.test");
    world.account("alice@other.test");
    assert_eq!(shown("mx.example.test"), "alice@other.test");
    world.account_with("admin@other.test", with_role(Role::Admin));
    world.account("postmaster@example.test");
    assert_eq!(shown("mx.example.test"), "postmaster@example.test");
    assert_eq!(shown("example.test"), "postmaster@example.test");
    assert_eq!(shown("mx.far.example"), "admin@other.test");
}

#[test]
fn circles_and_crowds_have_an_end() {
    let world = World::new();
    world.domain("example.test");
    world.account("alice@example.test");
    // A circle closed by a tag: no write can see it, and mail still arrives.
    world.alias("a@example.test", &["b@example.test", "alice@example.test"]);
    world.alias("b@example.test", &["a+x@example.test"]);
    check(&world, "a@example.test", "alice@example.test");
    check(&world, "b@example.test", "alice@example.test");
    world.alias("c@example.test", &["c+x@example.test"]);
    check(&world, "c@example.test", "Unknown");
    // Ten levels are allowed, eleven are not.
    world.alias("level1@example.test", &["alice@example.test"]);
    for level in 2..=11 {
        world.alias(&format!("level{level}@example.test"), &[&format!("level{}@example.test", level - 1)]);
    }
    check(&world, "level10@example.test", "alice@example.test");
    check(&world, "level11@example.test", "TooFar");
    // So are a thousand members, and not one more.
    let members: Vec<String> = (0..501).map(|n| format!("m{n}@far.test")).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    world.alias("half@example.test", &members[..499]);
    world.alias("rest@example.test", &members[..499]);
    world.alias("crowd@example.test", &["half@example.test", "rest@example.test"]);
    assert!(matches!(
        resolve(&world.store.view().unwrap(), &address("crowd@example.test")).unwrap(),
        Resolution::Forwards { remote, .. } if remote.len() == 499
    ));
    world.alias("rest@example.test", &members);
    check(&world, "crowd@example.test", "TooFar");
}

#[test]
fn an_account_sends_only_as_itself() {
    let world = World::new();
    world
        .put_domain(
            "example.test",
            DomainFields {
                aliases: vec![name("other.test")],
                catch_all: Some(address("alice@example.test")),
                ..domain_fields()
            },
        )
        .unwrap();
    let send_as = vec!["friend@far.test".to_owned(), "@brand.test".to_owned()];
    let alice = world.account_with("alice@example.test", AccountFields { send_as, ..AccountFields::default() });
    let bob = world.account("bob@example.test");
    let gone = world.account_with("gone@example.test", off());
    world.alias("sales@example.test", &["alice@example.test"]);
    world.alias("both@example.test", &["alice@example.test", "bob@example.test"]);
    world.alias("copy@example.test", &["alice@example.test", "a@far.test"]);
    let check = |account, from: &str, expected| {
        let may = may_send_as(&world.store.view().unwrap(), account, &address(from)).unwrap();
        assert_eq!(may, expected, "{from} by {account}");
    };
    for own in ["alice@example.test", "Alice+tag@example.test", "alice@other.test", "sales@example.test"] {
        check(alice, own, true);
        check(bob, own, false);
    }
    for listed in ["friend@far.test", "FRIEND@FAR.test", "anybody@brand.test"] {
        check(alice, listed, true);
        check(bob, listed, false);
    }
    // Mail to an address that nobody has would reach her; that does not make it hers.
    for not_hers in
        ["both@example.test", "copy@example.test", "bob@example.test", "other@far.test", "made-up@example.test"]
    {
        check(alice, not_hers, false);
    }
    check(gone, "gone@example.test", false);
    check(AccountId(99), "alice@example.test", false);
}

fn forward(to: &[&str], keep: bool) -> AccountFields {
    let to = to.iter().map(|target| address(target)).collect();
    AccountFields { forward: Some(Forward { to, keep }), ..AccountFields::default() }
}

#[test]
fn an_account_forwards_its_mail() {
    let world = World::new();
    world.domain("example.test");
    let bob = world.account("bob@example.test");
    world.account_with("off@example.test", off());
    let away = world.account_with("away@example.test", forward(&["a@far.test", "b@far.test"], false));
    world.account_with("both@example.test", forward(&["a@far.test", "bob+x@example.test"], true));
    world.account_with("chain@example.test", forward(&["both@example.test"], false));
    world.account_with("lost@example.test", forward(&["nobody@example.test", "off@example.test"], false));
    world.alias("team@example.test", &["away@example.test", "both@example.test", "bob@example.test"]);
    check(&world, "away@example.test", "forwards:  / a@far.test, b@far.test");
    check(&world, "away+tag@example.test", "forwards:  / a@far.test, b@far.test");
    check(&world, "both+y@example.test", "forwards: both@example.test [y], bob@example.test [x] / a@far.test");
    check(&world, "chain@example.test", "forwards: both@example.test, bob@example.test [x] / a@far.test");
    check(&world, "team@example.test", "forwards: both@example.test, bob@example.test [x] / a@far.test, b@far.test");
    // What leads to nobody is kept.
    check(&world, "lost@example.test", "lost@example.test");
    // A circle that a tag closes: no write can see it, and mail still arrives, once.
    world.account_with("one@example.test", forward(&["two+x@example.test"], false));
    world.account_with("two@example.test", forward(&["one@example.test"], false));
    check(&world, "one@example.test", "two@example.test [x]");
    check(&world, "two@example.test", "one@example.test");
    // Whoever else is reached on the way does not stand for those in the circle.
    world.alias("crew@example.test", &["x@far.test", "one@example.test"]);
    check(&world, "crew@example.test", "forwards: two@example.test [x] / x@far.test");
    world.account_with("three@example.test", forward(&["x@far.test", "four+x@example.test"], false));
    world.account_with("four@example.test", forward(&["three@example.test"], false));
    check(&world, "three@example.test", "forwards: four@example.test [x] / x@far.test");
    // What comes back to one that keeps a copy has come to somebody.
    world.account_with("five@example.test", forward(&["six+x@example.test"], true));
    world.account_with("six@example.test", forward(&["five@example.test"], false));
    check(&world, "five@example.test", "five@example.test");
    // Whoever forwards still sends as themselves, and whom they forward to does not.
    let view = world.store.view().unwrap();
    assert!(may_send_as(&view, away, &address("away@example.test")).unwrap());
    let inside = world.account_with("inside@example.test", forward(&["bob@example.test"], false));
    let view = world.store.view().unwrap();
    assert!(may_send_as(&view, inside, &address("inside@example.test")).unwrap());
    assert!(!may_send_as(&view, bob, &address("inside@example.test")).unwrap());
    world.is_sound();
}

#[test]
fn each_step_of_the_way_is_told() {
    let world = World::new();
    let catching = DomainFields { catch_all: Some(address("info@example.test")), ..domain_fields() };
    world.put_domain("example.test", DomainFields { aliases: vec![name("other.test")], ..domain_fields() }).unwrap();
    world.put_domain("catch.test", catching).unwrap();
    world.account("alice@example.test");
    world.account_with("off@example.test", off());
    world.account_with("bob@example.test", forward(&["b@far.test"], true));
    world.alias("info@example.test", &["alice+x@example.test", "bob@example.test", "off@example.test"]);
    world.alias("all@example.test", &["info@example.test", "info@example.test", "nobody@example.test"]);
    let check = |to: &str, expected: &[&str]| {
        let (resolution, steps) = explain(&world.store.view().unwrap(), &address(to)).unwrap();
        let line = |step: &Step| {
            let ahead = if step.to.is_empty() { String::new() } else { format!(" > {}", step.to.join(", ")) };
            format!("{}{} {:?}{ahead}", "  ".repeat(step.depth), step.address, step.kind)
        };
        assert_eq!(steps.iter().map(line).collect::<Vec<_>>(), expected, "{to}");
        assert_eq!(resolution, resolve(&world.store.view().unwrap(), &address(to)).unwrap(), "{to}");
    };
    check("alice@example.test", &["alice@example.test Account"]);
    check("nobody@example.test", &["nobody@example.test Unknown"]);
    check("a@far.test", &["a@far.test NotLocal"]);
    check(
        "postmaster@example.test",
        &[
            "postmaster@example.test Unknown",
            "postmaster@example.test Administrator > alice@example.test",
            "  alice@example.test Account",
        ],
    );
    let info = [
        "info@example.test Alias > alice+x@example.test, bob@example.test, off@example.test",
        "  alice+x@example.test Subaddress > alice@example.test",
        "  alice@example.test Account",
        "  bob@example.test Forward > b@far.test",
        "  bob@example.test Account",
        "    b@far.test Remote",
        "  off@example.test Disabled",
    ];
    check("info@example.test", &info);
    let deeper: Vec<String> = info.iter().map(|line| format!("  {line}")).collect();
    let deeper: Vec<&str> = deeper.iter().map(String::as_str).collect();
    check("x@catch.test", &[&["x@catch.test CatchAll > info@example.test"], deeper.as_slice()].concat());
    let all = "all@example.test Alias > info@example.test, info@example.test, nobody@example.test";
    let first = ["all@other.test DomainAlias > all@example.test", all];
    let last = ["  info@example.test Repeated", "  nobody@example.test Unknown"];
    check("all@other.test", &[first.as_slice(), deeper.as_slice(), &last].concat());
}
