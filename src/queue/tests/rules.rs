use super::*;
use crate::directory::Precondition;

pub(super) fn rule_for(matches: RuleMatch, action: RuleAction, until: Option<Timestamp>) -> RuleFields {
    RuleFields { matches, action, reason: "asked them".into(), until }
}

impl World {
    pub(super) async fn put_rule(&self, name: &str, fields: RuleFields) -> Result<(), RuleRefused> {
        let op = PutRule { name: name.into(), fields, precondition: Precondition::None, at: START };
        self.write(op).await.map(drop)
    }

    async fn hold_by_rule(&self, entries: &[QueueId], at: Timestamp) {
        self.write(HoldByRule { entries: entries.to_vec(), at }).await.unwrap();
    }

    fn states(&self, ids: &[QueueId]) -> Vec<State> {
        let view = self.store.view().unwrap();
        ids.iter().map(|id| entry(&view, *id).unwrap().unwrap().state).collect()
    }
}

#[tokio::test]
async fn the_rule_for_a_mail_is_found_by_its_places() {
    let world = World::new();
    let ids = world.bring(1, "alice@us.test", &["a@one.test"]).await;
    let check = |sender: &str, at: Timestamp, expected: Option<&str>| {
        let view = world.store.view().unwrap();
        let entry = entry(&view, ids[0]).unwrap().unwrap();
        let rule = Rules::at(&view, at).unwrap().of(&view, &entry, Some(&address(sender)), false).unwrap();
        assert_eq!(rule.map(|rule| rule.name).as_deref(), expected, "{sender} at {at}");
    };
    check("alice@us.test", START, None);
    let (hold, suspend) = (RuleAction::Hold, RuleAction::Suspend);
    let until = START.plus_ms(5000);
    world.put_rule("to", rule_for(RuleMatch::Recipient(address("A@one.test")), suspend, None)).await.unwrap();
    check("alice@us.test", START, Some("to"));
    // One that holds goes before one that suspends, as long as it lasts.
    let domain = "us.test".parse().unwrap();
    world.put_rule("from", rule_for(RuleMatch::SenderDomain(domain), hold, Some(until))).await.unwrap();
    check("alice@us.test", START, Some("from"));
    check("alice@us.test", until, Some("to"));
    check("bob@far.test", START, Some("to"));
    let server = RuleMatch::Server(Host::parse("mx.there.test").unwrap());
    world.put_rule("mx", rule_for(server.clone(), suspend, None)).await.unwrap();
    let view = world.store.view().unwrap();
    let rules = Rules::at(&view, START).unwrap();
    let of_server = |name: &str| rules.of_server(&view, name).unwrap().map(|rule| rule.name);
    assert_eq!((of_server("MX.there.test"), of_server("mx2.there.test")), (Some("mx".into()), None));
    drop(view);
    // One for each kind of mail.
    let taken = world.put_rule("too", rule_for(server.clone(), suspend, None)).await;
    assert_eq!(taken, Err(RuleRefused::Taken("mx".into())));
    let field = |refused: Result<(), RuleRefused>| match refused {
        Err(RuleRefused::Field(name, _)) => name,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(world.put_rule("mx", rule_for(server.clone(), hold, None)).await), "action");
    assert_eq!(field(world.put_rule("mx", rule_for(server.clone(), suspend, Some(START))).await), "expires_at");
    assert_eq!(field(world.put_rule("Mx", rule_for(server, suspend, None)).await), "name");
    world.write(DeleteRule { name: "mx".into(), precondition: Precondition::None }).await.unwrap();
    assert_eq!(world.store.check().unwrap().lines(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_rule_holds_what_waits_until_it_ends_and_what_is_released_goes_once() {
    let world = World::new();
    let ids = world.bring(1, "bulk@us.test", &["a@one.test", "b@one.test", "c@two.test"]).await;
    let until = START.plus_ms(5000);
    let matches = RuleMatch::Sender(address("bulk@us.test"));
    world.put_rule("spree", rule_for(matches, RuleAction::Hold, Some(until))).await.unwrap();
    world.open(&ids[2..]).await.unwrap();
    world.hold_by_rule(&ids, START).await;
    let held = State::Held { reason: "asked them (rule spree)".into() };
    let waiting = |released| State::Waiting { released };
    assert_eq!(world.states(&ids), [held.clone(), held.clone(), waiting(false)]);
    let due = |id| entry(&world.store.view().unwrap(), id).unwrap().unwrap().due;
    assert_eq!(due(ids[0]), until, "it goes when the rule ends");
    let told = trace::story(&world.store.view().unwrap(), Subject::Message(ids[0].message)).unwrap();
    assert_eq!(told.iter().filter(|event| event.kind == Kind::Held).count(), 2);
    // What an operator lets go is not held again before it was tried.
    world.act(ids[0], Action::Release).await.unwrap();
    world.hold_by_rule(&ids, START).await;
    assert_eq!(world.states(&ids[..2]), [waiting(true), held]);
    world.settle(ids[0], Verdict::Deferred, attempt(Stage::Connect, None), START).await.unwrap();
    world.hold_by_rule(&ids[..1], START).await;
    assert!(matches!(world.states(&ids[..1])[0], State::Held { .. }));
    // Behind its end it does nothing.
    world.write(EndHold { entries: ids.clone(), at: until }).await.unwrap();
    world.hold_by_rule(&ids[..2], until).await;
    assert_eq!(world.states(&ids[..2]), [waiting(false), waiting(false)]);
    assert_eq!(world.store.check().unwrap().lines(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_pause_is_there_until_it_ends() {
    let world = World::new();
    let check = |at: Timestamp, expected: Option<&str>| {
        let seen = pause(&world.store.view().unwrap(), at).unwrap();
        assert_eq!(seen.map(|pause| pause.reason).as_deref(), expected, "{at}");
    };
    let put = |reason: &str, until| PutPause { reason: reason.into(), until, at: START };
    check(START, None);
    world.write(put("we move", Some(START.plus_ms(9)))).await.unwrap();
    check(START.plus_ms(8), Some("we move"));
    check(START.plus_ms(9), None);
    world.write(put("for long", None)).await.unwrap();
    check(NEVER, Some("for long"));
    assert!(world.write(put("", None)).await.is_err());
    assert!(world.write(put("late", Some(START))).await.is_err());
    world.write(EndPause).await.unwrap();
    world.write(EndPause).await.unwrap();
    check(START, None);
}
