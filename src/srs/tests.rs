use std::sync::Arc;

use proptest::prelude::*;

use super::row::SENDERS;
use super::*;
use crate::base::{Address, DomainName, KeyRing, SeededRandom, SystemClock, SystemRandom, Timestamp, limits};
use crate::store::{Halt, Op, Options, Read, Schema, Sealing, Span, Store, StoreError, Tx};

const AT: Timestamp = Timestamp(1_795_341_900_123);
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

static SCHEMA: Schema = Schema { version: 1, tables: TABLES, checks: CHECKS, migrations: &[] };

struct World {
    store: Store,
}

struct Rewrite(Address, DomainName, Timestamp);

impl Op for Rewrite {
    type Plan = ();
    type Out = Option<Address>;
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "srs.rewrite"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Self::Refused>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<Option<Address>, StoreError> {
        rewrite(tx, &self.0, &self.1, self.2)
    }
}

impl World {
    fn new() -> Self {
        Self::with(Options::memory(Arc::new(SystemClock)), 1)
    }

    fn with(options: Options, seed: u64) -> Self {
        let store = Store::open(options, &SCHEMA).unwrap();
        store.write_blocking(MakeKey::new(&SeededRandom::new(seed))).unwrap().into_inner();
        Self { store }
    }

    fn rewrite_at(&self, sender: &str, at: Timestamp) -> Option<Address> {
        let domain = DomainName::parse("ours.test").unwrap();
        self.store.write_blocking(Rewrite(address(sender), domain, at)).unwrap().into_inner()
    }

    fn rewrite(&self, sender: &str) -> Address {
        self.rewrite_at(sender, AT).unwrap()
    }

    fn restore_at(&self, given: &Address, at: Timestamp) -> Option<String> {
        restore(&self.store.view().unwrap(), given, at).unwrap().ok().map(|sender| sender.to_string())
    }

    fn restore(&self, given: &Address) -> Option<String> {
        self.restore_at(given, AT)
    }

    fn kept(&self) -> usize {
        self.store.view().unwrap().keys(&SENDERS, Span::all(), usize::MAX).unwrap().len()
    }
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

#[test]
fn a_sender_is_in_its_address_and_comes_back() {
    let world = World::new();
    let rewritten = world.rewrite("Joe.Doe+x=y@far.test");
    let text = rewritten.to_string();
    let parts: Vec<&str> = text.splitn(5, '=').collect();
    assert_eq!((parts[0], parts[1].len(), parts[2].len()), ("SRS0", 8, 2), "{text}");
    assert_eq!((parts[3], parts[4]), ("far.test", "Joe.Doe+x=y@ours.test"));
    assert_eq!(world.restore(&rewritten).as_deref(), Some("Joe.Doe+x=y@far.test"));
    assert_eq!(world.kept(), 0);
    // What servers on the way make of it.
    for spelled in [text.to_lowercase(), text.to_uppercase(), text.replace("SRS0=", "SRS0+")] {
        let seen = world.restore(&address(&spelled)).unwrap();
        assert_eq!(seen.to_lowercase(), "joe.doe+x=y@far.test", "{spelled}");
    }
}

#[test]
fn what_was_rewritten_before_is_passed_through_one_server_alone() {
    let world = World::new();
    let second = world.rewrite("SRS0=abc=TT=far.test=joe@first.test");
    assert!(second.to_string().ends_with("=first.test==abc=TT=far.test=joe@ours.test"), "{second}");
    assert_eq!(world.restore(&second).as_deref(), Some("SRS0=abc=TT=far.test=joe@first.test"));
    let other = World::with(Options::memory(Arc::new(SystemClock)), 2);
    let third = other.rewrite(&second.to_string());
    assert!(third.to_string().ends_with("=first.test==abc=TT=far.test=joe@ours.test") && third != second, "{third}");
    assert_eq!(other.restore(&third).as_deref(), Some("SRS0=abc=TT=far.test=joe@first.test"));
    assert_eq!((other.restore(&second), world.restore(&third)), (None, None));
    let odd = world.rewrite("srs0+abc=TT=far.test=joe@first.test");
    assert_eq!(world.restore(&odd).as_deref(), Some("SRS0+abc=TT=far.test=joe@first.test"));
}

#[test]
fn a_sender_that_does_not_fit_is_kept() {
    let world = World::new();
    let long = "bounces+1234567-abcd-somebody=example.com@em1234.mail.far.test";
    let quoted = "\"a b\"@far.test";
    for (number, sender) in [long, quoted, "josé@far.test", "joe@[192.0.2.1]"].into_iter().enumerate() {
        let rewritten = world.rewrite(sender);
        assert!(rewritten.local.as_str().ends_with(&format!("=={number}")), "{rewritten}");
        assert!(rewritten.is_ascii() && rewritten.local.as_str().len() <= limits::LOCAL_PART_BYTES);
        assert_eq!(world.restore(&rewritten).as_deref(), Some(sender));
        assert_eq!(world.restore(&address(&rewritten.to_string().to_lowercase())).as_deref(), Some(sender));
    }
    let rewritten = world.rewrite(long);
    let of_another = rewritten.to_string().replace("==4@", "==1@");
    assert_eq!(world.restore(&address(&of_another)), None);
    assert_eq!(world.restore(&address(&rewritten.to_string().replace("==4@", "==99@"))), None);
    assert!(world.store.check().unwrap().lines().is_empty());
}

#[test]
fn every_octet_of_it_counts() {
    let world = World::new();
    for sender in ["joe@far.test", "SRS0=abc=TT=far.test=joe@first.test", "\"a b\"@far.test"] {
        let rewritten = world.rewrite(sender).local.as_str().to_owned();
        for place in "SRS0=".len()..rewritten.len() {
            let mut forged = rewritten.clone();
            let other = if forged[place..=place].eq_ignore_ascii_case("x") { "y" } else { "x" };
            forged.replace_range(place..=place, other);
            let seen = world.restore(&address(&format!("{forged}@ours.test")));
            assert_eq!(seen, None, "{forged}");
        }
    }
    for none in ["SRS0", "SRS0=", "SRS0=a", "SRS0=a=b=c", "SRS1=a=b", "SRS2=a=b=c=d", "joe", "SRS0====", "SRS1==="] {
        assert_eq!(world.restore(&address(&format!("{none}@ours.test"))), None, "{none}");
    }
}

#[test]
fn it_is_of_use_for_three_weeks() {
    let world = World::new();
    for sender in ["joe@far.test", "\"a b\"@far.test"] {
        let rewritten = world.rewrite(sender);
        let after = |days: u64| world.restore_at(&rewritten, AT.plus_ms(days * DAY_MS));
        assert_eq!(after(21).as_deref(), Some(sender));
        // The stamp comes round again in 1,024 days: it has two characters in all servers.
        assert_eq!((after(22), after(100), after(1000)), (None, None, None));
        // The clock was set back.
        assert_eq!(world.restore_at(&rewritten, Timestamp(AT.0 - DAY_MS)).as_deref(), Some(sender));
        assert_eq!(world.restore_at(&rewritten, Timestamp(AT.0 - 2 * DAY_MS)), None);
    }
}

#[test]
fn what_is_kept_is_forgotten_and_has_an_end() {
    let world = World::new();
    for _ in 0..3 {
        world.rewrite("\"a b\"@far.test");
    }
    assert_eq!(world.kept(), 3);
    let later = AT.plus_ms(23 * DAY_MS);
    let last = world.rewrite_at("\"a b\"@far.test", later).unwrap();
    assert_eq!(world.kept(), 1);
    assert_eq!(world.restore_at(&last, later).as_deref(), Some("\"a b\"@far.test"));
    struct Fill(u32);
    impl Op for Fill {
        type Plan = ();
        type Out = ();
        type Refused = std::convert::Infallible;
        fn name(&self) -> &'static str {
            "srs.fill"
        }
        fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Self::Refused>> {
            Ok(())
        }
        fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
            let row = super::row::Sender { address: address("joe@far.test") };
            tx.put(&SENDERS, &(self.0, limits::SRS_SENDERS_A_DAY - 1), &row)
        }
    }
    let day = u32::try_from(later.0 / DAY_MS).unwrap();
    world.store.write_blocking(Fill(day)).unwrap().into_inner();
    assert_eq!(world.rewrite_at("\"a b\"@far.test", later), None, "it stays as it is");
    assert!(world.rewrite_at("joe@far.test", later).is_some());
    assert!(world.rewrite_at("\"a b\"@far.test", later.plus_ms(DAY_MS)).is_some());
}

#[test]
fn the_key_is_made_once_and_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.redb");
    let ring = || {
        let text = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        Sealing::Keys(KeyRing::parse(text, Arc::new(SystemRandom)).unwrap())
    };
    let open = |sealing: Sealing, seed| {
        World::with(Options { sealing: Arc::new(sealing), disk_reserve_bytes: 0, ..Options::at(&path) }, seed)
    };
    let first = open(ring(), 1);
    let rewritten = first.rewrite("joe@far.test");
    let mut key = [0; 32];
    crate::base::Random::fill(&SeededRandom::new(1), &mut key);
    first.store.close();
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(16).any(|found| found == &key[..16]), "the key lies in the file as it is");
    let again = open(ring(), 2);
    assert_eq!(again.restore(&rewritten).as_deref(), Some("joe@far.test"));
    again.store.close();
    let without = open(Sealing::WithoutKey, 3);
    assert_eq!(without.restore(&rewritten), None, "another key was made");
    assert_eq!(without.restore(&without.rewrite("joe@far.test")).as_deref(), Some("joe@far.test"));
}

#[test]
fn only_such_an_address_looks_like_one() {
    let check = |local: &str, expected| assert_eq!(is_srs(&address(&format!("{local}@x.test"))), expected, "{local}");
    check("SRS0=a=b=c=d", true);
    check("srs0+x", true);
    check("SRS1-x", true);
    check("srs", false);
    check("SRS0", false);
    check("SRS0x=y", false);
    check("SRS2=x", false);
    check("josé", false);
}

proptest! {
    #[test]
    fn whoever_sends_gets_their_answers(local in "[a-zA-Z0-9.=+_-]{1,64}", host in "[a-z]{1,40}(\\.[a-z]{1,20}){1,3}") {
        let Ok(sender) = Address::parse(&format!("{local}@{host}")) else { return Ok(()) };
        let world = World::new();
        let rewritten = world.rewrite(&sender.to_string());
        prop_assert!(rewritten.local.as_str().len() <= limits::LOCAL_PART_BYTES);
        prop_assert_eq!(Address::parse(&rewritten.to_string()), Ok(rewritten.clone()));
        prop_assert_eq!(world.restore(&rewritten), Some(sender.to_string()));
    }

    #[test]
    fn no_other_address_is_one_of_ours(local in "[Ss][Rr][Ss][01][=+-][A-Za-z0-9=.]{0,40}") {
        let Ok(given) = Address::parse(&format!("{local}@ours.test")) else { return Ok(()) };
        prop_assert_eq!(World::new().restore(&given), None);
    }
}
