use super::*;

impl House {
    /// Changes the account, or gives it another password.
    async fn change(&self, fields: AccountFields, password: Option<&str>) {
        let random = SeededRandom::new(2);
        let change = AccountChange {
            address: Address::parse("alice@example.test").unwrap(),
            fields,
            password: password.map(|password| PasswordHash::of(&Secret::new(password.into()), &random)),
            precondition: Precondition::None,
            at: NOW,
        };
        let _ = self.context.store.write(PutAccount(change)).await.unwrap();
    }
}

impl Client {
    /// The session ends by itself, with that.
    async fn check_bye(&mut self, expected: &str) {
        assert_eq!(text(&self.piece().await), format!("* BYE {expected}"));
        let mut rest = Vec::new();
        timeout(SOON, self.stream.read_to_end(&mut rest)).await.expect("the server closes").unwrap();
        assert_eq!(text(&rest), "");
    }
}

const ENDED: &str = "your login has ended: log in again";

#[tokio::test]
async fn a_session_ends_with_its_login() {
    let house = House::new().await;
    let (mut waiting, mut selected, mut idling) = (house.log_in().await, house.select().await, house.select().await);
    idling.send(b"i IDLE\r\n").await;
    assert!(idling.piece().await.starts_with(b"+ "));
    // What the login does not rest on ends nothing.
    let fields = || AccountFields { display_name: "Alice".into(), ..AccountFields::default() };
    house.change(fields(), None).await;
    waiting.ok("NOOP").await;
    house.change(AccountFields { enabled: false, ..fields() }, None).await;
    for client in [&mut waiting, &mut selected, &mut idling] {
        client.check_bye(ENDED).await;
    }
    house.change(fields(), None).await;
    let mut client = house.log_in().await;
    house.change(fields(), Some("secret")).await;
    client.check_bye(ENDED).await;
    house.check();
}

#[tokio::test]
async fn the_end_of_the_server_is_told_as_such() {
    let house = House::new().await;
    let mut client = house.select().await;
    house.context.stop.cancel();
    client.check_bye("[UNAVAILABLE] the server stops, try again later").await;
}
