use super::*;

fn fields() -> TokenFields {
    TokenFields { name: "ci".into(), scopes: vec![Scope::DomainsRead], ..TokenFields::default() }
}

fn found(world: &World, text: &str) -> Option<Token> {
    find_token(&world.store.view().unwrap(), text).unwrap()
}

#[test]
fn a_token_is_known_by_its_whole_text() {
    let world = World::new();
    let (op, text) = CreateToken::new(fields(), &SeededRandom::new(1), Timestamp(5));
    let token = world.write(op.clone()).unwrap();
    let text = text.expose();
    assert!(text.starts_with(&format!("pbx_{}_", token.id)) && text.len() == 4 + 16 + 1 + 64, "{text}");
    assert_eq!(found(&world, text), Some(token.clone()));
    for wrong in ["", "pbx_", "pbx__", &text[1..], &text[..text.len() - 1], &text.to_uppercase(), &format!("{text}0")] {
        assert_eq!(found(&world, wrong), None, "{wrong}");
    }
    assert!(token.has(Scope::DomainsRead) && !token.has(Scope::DomainsWrite));
    assert_eq!(refused(world.write(op)), Refused::Precondition);
    world.write(TokenUsed { id: token.id.clone(), ip: None, at: Timestamp(9) }).unwrap();
    assert_eq!(found(&world, text).unwrap().last_used_at, Some(Timestamp(9)));
    world.write(DeleteToken { id: token.id.clone() }).unwrap();
    assert_eq!(found(&world, text), None);
    assert_eq!(refused(world.write(DeleteToken { id: token.id.clone() })), Refused::NotFound);
    // A use that comes after the end brings nothing back.
    world.write(TokenUsed { id: token.id, ip: None, at: Timestamp(10) }).unwrap();
    assert_eq!(tokens(&world.store.view().unwrap(), None, 9).unwrap(), []);
    world.is_sound();
}

#[test]
fn a_token_is_good_for_a_time_and_from_a_place() {
    let limited = TokenFields {
        expires_at: Some(Timestamp(100)),
        allow_ips: vec!["192.0.2.0/24".parse().unwrap()],
        restrict_domains: vec![name("example.test")],
        ..fields()
    };
    let world = World::new();
    let (op, _) = CreateToken::new(limited.clone(), &SeededRandom::new(2), Timestamp(5));
    let token = world.write(op).unwrap();
    let from = |ip: &str| Some(ip.parse().unwrap());
    assert!(token.admits(Timestamp(99), from("192.0.2.7")));
    assert!(token.admits(Timestamp(99), from("::ffff:192.0.2.7")));
    assert!(!token.admits(Timestamp(100), from("192.0.2.7")));
    assert!(!token.admits(Timestamp(99), from("192.0.3.7")));
    assert!(!token.admits(Timestamp(99), None));
    assert!(token.reaches(&name("example.test")) && !token.reaches(&name("other.test")));
    let create = |fields, at| refused(world.write(CreateToken::new(fields, &SeededRandom::new(3), at).0));
    assert!(matches!(create(limited, Timestamp(100)), Refused::Invalid { code: "past", .. }));
    let useless = TokenFields { scopes: Vec::new(), ..fields() };
    assert!(matches!(create(useless, Timestamp(0)), Refused::Invalid { code: "empty", .. }));
}

#[test]
fn the_file_holds_one_token() {
    let world = World::new();
    let set = |content: Option<&str>| {
        let content = content.map(|text| Secret::new(text.to_owned()));
        SetFileToken::new(content.as_ref(), Timestamp(1)).map(|op| world.write(op).unwrap())
    };
    let (one, two) = ("0123456789abcdef0123456789abcdef", "pbx_looks_like_one_of_our_own_tokens_but_is_not");
    set(Some(&format!("{one}\n"))).unwrap();
    assert!(found(&world, one).is_some_and(|token| token.id == FILE_TOKEN && token.has(Scope::TokensWrite)));
    world.write(TokenUsed { id: FILE_TOKEN.into(), ip: None, at: Timestamp(9) }).unwrap();
    set(Some(one)).unwrap();
    assert_eq!(found(&world, one).unwrap().last_used_at, Some(Timestamp(9)), "the same content changes nothing");
    set(Some(two)).unwrap();
    assert!(found(&world, two).is_some() && found(&world, one).is_none());
    assert_eq!(found(&world, &format!("pbx_{FILE_TOKEN}_{two}")), None);
    set(None).unwrap();
    assert_eq!(found(&world, two), None);
    for wrong in ["", "short", "0123456789abcdef 0123456789abcdef", "0123456789abcdef0123456789abcdeé"] {
        assert!(set(Some(wrong)).is_err(), "{wrong}");
    }
    world.is_sound();
}

#[test]
fn scopes_and_roles_have_one_spelling() {
    for scope in Scope::ALL {
        assert_eq!(scope.as_str().parse(), Ok(*scope));
    }
    assert!("domains".parse::<Scope>().is_err());
    for text in ["user", "operator", "admin", "domain_admin:example.test"] {
        assert_eq!(text.parse::<Role>().map(|role| role.to_string()), Ok(text.into()));
    }
    for wrong in ["", "root", "domain_admin", "domain_admin:", "domain_admin:a b"] {
        assert!(wrong.parse::<Role>().is_err(), "{wrong}");
    }
}
