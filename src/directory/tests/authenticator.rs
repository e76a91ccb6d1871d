use super::*;
use crate::base::{Clock, TurnedClock, limits};

const MINUTE_MS: u64 = 60_000;

struct Desk {
    world: World,
    clock: Arc<TurnedClock>,
    desk: Arc<Authenticator>,
}

fn desk() -> Desk {
    let world = World::new();
    let clock = Arc::new(TurnedClock::new(Timestamp(1_000_000_000)));
    world.put_domain("example.test", DomainFields { aliases: vec![name("other.test")], ..domain_fields() }).unwrap();
    let desk = Authenticator::new(world.store.clone(), Arc::clone(&clock) as _, Arc::new(SeededRandom::new(5)));
    Desk { world, clock, desk: Arc::new(desk) }
}

impl Desk {
    fn set(&self, at: &str, password: &str, fields: AccountFields) {
        let hash = PasswordHash::of(&Secret::new(password.to_owned()), &SeededRandom::new(6));
        self.world.write(PutAccount(AccountChange { password: Some(hash), fields, ..change(at) })).unwrap();
    }

    async fn login(&self, login: &str, password: &str) -> Result<String, LoginError> {
        let outcome = self.desk.authenticate(login, &Secret::new(password.to_owned()), Protocol::Pop3, None).await;
        outcome.map(|identity| identity.login.to_string())
    }
}

#[tokio::test]
async fn only_the_password_opens() {
    let desk = desk();
    desk.set("Alice@example.test", "correct horse", AccountFields::default());
    desk.world.account("nopass@example.test");
    for login in ["alice@example.test", "ALICE@EXAMPLE.TEST", "alice@other.test"] {
        assert_eq!(desk.login(login, "correct horse").await, Ok("Alice@example.test".into()), "{login}");
    }
    for (login, password) in [
        ("alice@example.test", "correct hors"),
        ("alice@example.test", ""),
        ("alice+tag@example.test", "correct horse"),
        ("alice", "correct horse"),
        ("", ""),
        ("nopass@example.test", ""),
        ("missing@example.test", ""),
        ("alice@far.test", "correct horse"),
        ("alice\0@example.test", "correct horse"),
    ] {
        assert_eq!(desk.login(login, password).await, Err(LoginError::Refused), "{login:?} {password:?}");
    }
}

#[tokio::test]
async fn a_failed_login_costs_the_same_whoever_is_asked_for() {
    let desk = desk();
    desk.set("alice@example.test", "secret", AccountFields::default());
    desk.set("off@example.test", "secret", AccountFields { enabled: false, ..AccountFields::default() });
    desk.set(
        "send@example.test",
        "secret",
        AccountFields { protocols: vec![Protocol::Submission], ..AccountFields::default() },
    );
    for (login, password) in [
        ("alice@example.test", "wrong"),
        ("missing@example.test", "wrong"),
        ("not an address", "wrong"),
        ("off@example.test", "wrong"),
        ("off@example.test", "secret"),
        ("send@example.test", "secret"),
    ] {
        let before = desk.desk.verifications();
        assert_eq!(desk.login(login, password).await, Err(LoginError::Refused));
        assert_eq!(desk.desk.verifications() - before, 1, "{login}");
    }
}

#[tokio::test]
async fn a_login_is_remembered_until_something_changes() {
    let desk = desk();
    desk.set("alice@example.test", "secret", AccountFields::default());
    let hashed = async |password: &str, expected: bool| {
        let before = desk.desk.verifications();
        assert_eq!(desk.login("alice@example.test", password).await.is_ok(), expected, "{password}");
        desk.desk.verifications() - before
    };
    assert_eq!(hashed("secret", true).await, 1);
    assert_eq!(hashed("secret", true).await, 0);
    assert_eq!(hashed("other", false).await, 1, "only the right password is remembered");
    desk.clock.advance_ms(limits::LOGIN_CACHE_MS);
    assert_eq!(hashed("secret", true).await, 1);
    desk.clock.set(Timestamp(5));
    assert_eq!(hashed("secret", true).await, 1, "a clock that was turned back keeps nothing alive");
    desk.set("alice@example.test", "new", AccountFields::default());
    assert_eq!(hashed("secret", false).await, 1);
    assert_eq!(hashed("new", true).await, 1);
    desk.world.account_with("alice@example.test", AccountFields { enabled: false, ..AccountFields::default() });
    assert_eq!(hashed("new", false).await, 0, "switched off at once, although the password is remembered");
    desk.world.write(DeleteAccount(address("alice@example.test"))).unwrap();
    assert_eq!(hashed("new", false).await, 1);
}

#[tokio::test]
async fn the_last_login_is_noted_once_a_minute() {
    let desk = desk();
    desk.set("alice@example.test", "secret", AccountFields::default());
    let noted = || {
        let view = desk.world.store.view().unwrap();
        let id = account(&view, &address("alice@example.test")).unwrap().unwrap().id;
        last_login(&view, id).unwrap().map(|last| last.at)
    };
    let login = async || {
        desk.login("alice@example.test", "secret").await.unwrap();
        // Something that is waited for takes with it what rides.
        desk.world.domain("ride.test");
    };
    login().await;
    let first = desk.clock.now();
    assert_eq!(noted(), Some(first));
    desk.clock.advance_ms(MINUTE_MS / 2);
    login().await;
    assert_eq!(noted(), Some(first));
    desk.clock.advance_ms(MINUTE_MS);
    login().await;
    assert_eq!(noted(), Some(desk.clock.now()));
    desk.world.is_sound();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_logins_is_told_to_come_back() {
    let desk = desk();
    desk.set("alice@example.test", "secret", AccountFields::default());
    let flood = (0..200).map(|number| {
        let desk = Arc::clone(&desk.desk);
        tokio::spawn(async move {
            let password = Secret::new(format!("guess {number}"));
            desk.authenticate("alice@example.test", &password, Protocol::Submission, None).await
        })
    });
    let mut busy = 0;
    for login in flood.collect::<Vec<_>>() {
        match login.await.unwrap() {
            Err(LoginError::Busy) => busy += 1,
            Err(LoginError::Refused) => {}
            other => panic!("{other:?}"),
        }
    }
    let served = 200 - busy;
    assert!(served >= limits::PASSWORD_HASHES_AT_ONCE + limits::PASSWORD_HASHES_WAITING, "{served} were served");
    assert!(busy > 0, "nobody was told to come back");
    // Afterwards the right password opens as ever.
    assert!(desk.login("alice@example.test", "secret").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_guesses_from_one_network_leaves_room_for_others() {
    let desk = desk();
    desk.set("alice@example.test", "secret", AccountFields::default());
    let login = |password: String, from: &str| {
        let (desk, from) = (Arc::clone(&desk.desk), Some(from.parse().unwrap()));
        let password = Secret::new(password);
        async move { desk.authenticate("alice@example.test", &password, Protocol::Imap, from).await }
    };
    let flood: Vec<_> =
        (0..100).map(|number| tokio::spawn(login(format!("guess {number}"), &format!("192.0.2.{number}")))).collect();
    // As many as there are places in all would have none left, while the flood is served.
    let right = login("secret".into(), "198.51.100.7").await;
    assert!(right.is_ok(), "{right:?}");
    let mut busy = 0;
    for guess in flood {
        busy += usize::from(matches!(guess.await.unwrap(), Err(LoginError::Busy)));
    }
    assert!(busy > 0, "nobody was told to come back");
}
