use super::*;

async fn house() -> (House, Client) {
    let house = House::new().await;
    let mut client = house.select().await;
    for number in 1..=3 {
        let answer = client.append("INBOX", "", format!("Subject: {number}\r\n\r\n").as_bytes()).await;
        assert!(answer.starts_with("OK "), "{answer}");
    }
    (house, client)
}

#[tokio::test]
async fn flags_are_set_taken_away_and_replaced() {
    let (house, mut client) = house().await;
    for (command, expected) in [
        ("STORE 1 +FLAGS (\\Seen $Work)", "* 1 FETCH (FLAGS (\\Seen $Work \\Recent))"),
        ("STORE 1 +FLAGS \\Flagged", "* 1 FETCH (FLAGS (\\Flagged \\Seen $Work \\Recent))"),
        ("STORE 1 -FLAGS (\\Seen $WORK)", "* 1 FETCH (FLAGS (\\Flagged \\Recent))"),
        ("STORE 1 FLAGS (\\Draft other)", "* 1 FETCH (FLAGS (\\Draft other \\Recent))"),
        ("STORE 1 FLAGS ()", "* 1 FETCH (FLAGS (\\Recent))"),
        ("UID STORE 2 +FLAGS (\\Answered \\Recent)", "* 2 FETCH (UID 2 FLAGS (\\Answered \\Recent))"),
        // What is as it was is told all the same.
        ("UID STORE 2 +FLAGS (\\Answered)", "* 2 FETCH (UID 2 FLAGS (\\Answered \\Recent))"),
        ("STORE 3 -FLAGS (never)", "* 3 FETCH (FLAGS (\\Recent))"),
    ] {
        let told = client.ok(command).await;
        assert_eq!(told.last().map(String::as_str), Some(expected), "{command}: {told:?}");
    }
    client.check("STORE 1:3 +FLAGS.SILENT (\\Deleted)", &["OK ~"]).await;
    client.check("NOOP", &["OK ~"]).await;
    let flags = [
        "* 1 FETCH (FLAGS (\\Deleted \\Recent))",
        "* 2 FETCH (FLAGS (\\Answered \\Deleted \\Recent))",
        "* 3 ~",
        "OK ~",
    ];
    client.check("FETCH 1:* FLAGS", &flags).await;
    client.check("STORE 4 +FLAGS (\\Seen)", &["BAD ~"]).await;
    client.check("UID STORE 4 +FLAGS (\\Seen)", &["OK ~"]).await;
    client.check("STORE 1 +FLAGS (\\Other)", &["BAD ~"]).await;
    house.check();
}

#[tokio::test]
async fn who_reads_only_changes_nothing() {
    let (house, _client) = house().await;
    let mut client = house.log_in().await;
    client.ok("EXAMINE INBOX").await;
    for command in ["STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "MOVE 1 Trash"] {
        client.check(command, &["NO ~"]).await;
    }
    client.check("FETCH 1 FLAGS", &["* 1 FETCH (FLAGS ())", "OK ~"]).await;
}

#[tokio::test]
async fn others_hear_of_it_and_what_they_did_is_told() {
    let (house, mut client) = house().await;
    let mut other = house.select().await;
    client.ok("STORE 2 +FLAGS (\\Flagged)").await;
    other.check("NOOP", &["* 2 FETCH (UID 2 FLAGS (\\Flagged))", "OK ~"]).await;
    other.ok("STORE 2 +FLAGS (\\Seen)").await;
    // Silence is for what the client knows; it does not know that the message was read.
    let told = ["* 2 FETCH (FLAGS (\\Flagged \\Deleted \\Seen \\Recent))", "OK ~"];
    client.check("STORE 2:3 +FLAGS.SILENT (\\Deleted)", &told).await;
}

#[tokio::test]
async fn a_message_that_has_changed_since_is_left_alone() {
    let (house, mut client) = house().await;
    let told = client.ok("FETCH 1:3 MODSEQ").await;
    let modseq: u64 = told[2].split(['(', ')']).nth(2).unwrap().parse().unwrap();
    let mut other = house.select().await;
    other.ok("STORE 2 +FLAGS (\\Flagged)").await;
    let changed = format!("* 2 FETCH (FLAGS (\\Flagged \\Recent) MODSEQ ({}))", modseq + 1);
    let one = format!("* 1 FETCH (FLAGS (\\Seen \\Recent) MODSEQ ({}))", modseq + 2);
    let three = format!("* 3 FETCH (FLAGS (\\Seen \\Recent) MODSEQ ({}))", modseq + 2);
    client
        .check(
            &format!("STORE 1:3 (UNCHANGEDSINCE {modseq}) +FLAGS (\\Seen)"),
            &[&one, &changed, &three, "OK [MODIFIED 2] ~"],
        )
        .await;
    let two = format!("* 2 FETCH (UID 2 MODSEQ ({}))", modseq + 3);
    client
        .check(&format!("UID STORE 2 (UNCHANGEDSINCE {}) +FLAGS.SILENT (\\Seen)", modseq + 1), &[&two, "OK STORE done"])
        .await;
    client.check("UID STORE 1:3 (UNCHANGEDSINCE 1) FLAGS.SILENT ()", &["OK [MODIFIED 1:3] ~"]).await;
    client.check("NOOP", &["OK ~"]).await;
}

#[tokio::test]
async fn what_others_did_meanwhile_is_told_with_its_modseq() {
    let (house, mut client) = house().await;
    let mut other = house.select().await;
    client.ok("SEARCH MODSEQ 1").await;
    other.ok("STORE 2 +FLAGS.SILENT (\\Flagged)").await;
    let told = client.ok("STORE 1 +FLAGS (\\Seen)").await;
    // RFC 7162 §3.2.4
    assert!(told[0].starts_with("* 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent) MODSEQ ("), "{told:?}");
    assert!(told[1].starts_with("* 1 FETCH (FLAGS (\\Seen \\Recent) MODSEQ ("), "{told:?}");
    other.ok("STORE 3 +FLAGS.SILENT (\\Flagged)").await;
    let told = client.ok("FETCH 2 BODY[HEADER]").await;
    assert!(told[0].starts_with("* 3 FETCH (UID 3 FLAGS (\\Flagged \\Recent) MODSEQ ("), "{told:?}");
    assert_eq!((told.len(), client.ok("NOOP").await.len()), (2, 0));
}

#[tokio::test]
async fn only_what_is_marked_is_expunged() {
    let (house, mut client) = house().await;
    let mut other = house.select().await;
    client.check("EXPUNGE", &["OK ~"]).await;
    client.ok("STORE 1,3 +FLAGS.SILENT (\\Deleted)").await;
    client.check("UID EXPUNGE 2:3", &["* 3 EXPUNGE", "OK ~"]).await;
    other.check("FETCH 1:3 UID", &["* 1 ~", "* 2 ~", "* 3 ~", "* 1 FETCH (UID 1 FLAGS (\\Deleted))", "OK ~"]).await;
    other.check("EXPUNGE", &["* 3 EXPUNGE", "* 1 EXPUNGE", "OK ~"]).await;
    client.check("NOOP", &["* 1 EXPUNGE", "OK ~"]).await;
    client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    client.check("CLOSE", &["OK ~"]).await;
    assert_eq!(client.ok("STATUS INBOX (MESSAGES)").await, ["* STATUS INBOX (MESSAGES 0)"]);
    other.check("NOOP", &["* 1 EXPUNGE", "OK ~"]).await;
    house.check();
}
