use super::*;

async fn house() -> (House, Client) {
    let house = House::new().await;
    let mut client = house.select().await;
    for number in 1..=4 {
        let date = format!("\"0{number}-Feb-2024 10:00:00 +0000\" ");
        let message = format!("Subject: {number}\r\n\r\ntext {number}\r\n");
        let answer = client.append("INBOX", &format!("(\\Seen k{number}) {date}"), message.as_bytes()).await;
        assert!(answer.starts_with("OK "), "{answer}");
    }
    (house, client)
}

#[tokio::test]
async fn copies_keep_what_they_had() {
    let (house, mut client) = house().await;
    let validity =
        client.ok("STATUS Trash (UIDVALIDITY)").await[0].replace("* STATUS Trash (UIDVALIDITY ", "").replace(')', "");
    client.check("COPY 2:3 Trash", &[&format!("OK [COPYUID {validity} 2:3 1:2] COPY done")]).await;
    client.check("UID COPY 4,1 Trash", &[&format!("OK [COPYUID {validity} 1,4 3:4] COPY done")]).await;
    client.check("UID COPY 9 Trash", &["OK ~"]).await;
    client.check("COPY 9 Trash", &["BAD ~"]).await;
    client.check("COPY 1 Nowhere", &["NO [TRYCREATE] ~"]).await;
    let told = client.ok("COPY 1 INBOX").await;
    assert_eq!(told[0], "* 5 EXISTS");
    client.ok("SELECT Trash").await;
    assert_eq!(
        client.ok("FETCH 1,4 (FLAGS INTERNALDATE BODY.PEEK[])").await,
        [
            "* 1 FETCH (FLAGS (\\Seen k2) INTERNALDATE \" 2-Feb-2024 10:00:00 +0000\" BODY[] {22}\r\nSubject: 2\r\n\r\ntext 2\r\n)",
            "* 4 FETCH (FLAGS (\\Seen k4) INTERNALDATE \" 4-Feb-2024 10:00:00 +0000\" BODY[] {22}\r\nSubject: 4\r\n\r\ntext 4\r\n)",
        ]
    );
    house.check();
}

#[tokio::test]
async fn what_moves_is_told_before_it_goes() {
    let (house, mut client) = house().await;
    let mut other = house.select().await;
    client.check("MOVE 2:3 Trash", &["* OK [COPYUID ~", "* 3 EXPUNGE", "* 2 EXPUNGE", "OK ~"]).await;
    client.check("UID MOVE 1 Trash", &["* OK [COPYUID ~", "* 1 EXPUNGE", "OK ~"]).await;
    client.check("UID MOVE 1 Trash", &["OK ~"]).await;
    client.check("MOVE 1 Nowhere", &["NO [TRYCREATE] ~"]).await;
    // What another session has moved is there no more.
    other.check("COPY 1:3 Trash", &["* 3 EXPUNGE", "* 2 EXPUNGE", "* 1 EXPUNGE", "NO [EXPUNGEISSUED] ~"]).await;
    assert_eq!(client.ok("STATUS Trash (MESSAGES)").await, ["* STATUS Trash (MESSAGES 3)"]);
    house.check();
}
