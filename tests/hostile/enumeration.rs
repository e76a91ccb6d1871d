//! Who is there is told to nobody who has not logged in: the same octets for those who are and those who are not.

use crate::client::{Client, server};

#[tokio::test]
async fn logins_are_refused_in_the_same_octets() {
    let stage = server().await;
    let mut replies = Vec::new();
    for login in [
        "alice@example.test",
        "nobody@example.test",
        "former@example.test",
        "info@example.test",
        "alice",
        "x@elsewhere.test",
    ] {
        let plain = crate::text::base64(format!("\0{login}\0wrong").as_bytes());
        let mut client = Client::submission_under_tls(&stage).await;
        let by_plain = client.say(&format!("AUTH PLAIN {plain}"), "535 5.7.8 ").await;
        client.say("AUTH LOGIN", "334 VXNlcm5hbWU6").await;
        client.say(&crate::text::base64(login.as_bytes()), "334 UGFzc3dvcmQ6").await;
        let by_login = client.say("d3Jvbmc=", "535 5.7.8 ").await;

        let mut client = Client::connect(&stage, "pop3s").await;
        client.wire = client.wire.tls().await.unwrap();
        client.expect("+OK").await;
        let user = client.say(&format!("USER {login}"), "+OK").await;
        let pass = client.say("PASS wrong", "-ERR [AUTH] ").await;

        let mut client = Client::connect(&stage, "imaps").await;
        client.wire = client.wire.tls().await.unwrap();
        client.expect("* OK ").await;
        let by_command = client.say(&format!("a LOGIN {login} wrong"), "a NO [AUTHENTICATIONFAILED] ").await;
        let by_sasl = client.say(&format!("a AUTHENTICATE PLAIN {plain}"), "a NO [AUTHENTICATIONFAILED] ").await;
        replies.push((login, [by_plain, by_login, user, pass, by_command, by_sasl]));
    }
    for (login, seen) in &replies {
        assert_eq!(seen, &replies[0].1, "{login}");
    }
    stage.examine().unwrap();
}

#[tokio::test]
async fn a_right_password_of_who_may_not_log_in_is_refused_in_the_same_octets() {
    let stage = server().await;
    let mut client = Client::submission_under_tls(&stage).await;
    let wrong = crate::text::base64(b"\0alice@example.test\0wrong");
    let disabled = crate::text::base64(b"\0former@example.test\0pillarbox");
    let expected = client.say(&format!("AUTH PLAIN {wrong}"), "535 5.7.8 ").await;
    assert_eq!(client.say(&format!("AUTH PLAIN {disabled}"), "535 5.7.8 ").await, expected);
    stage.examine().unwrap();
}

#[tokio::test]
async fn vrfy_and_expn_say_the_same_of_everybody() {
    let stage = server().await;
    for verb in ["VRFY", "EXPN"] {
        let mut client = Client::smtp(&stage).await;
        let expected = client.say(&format!("{verb} alice@example.test"), "").await;
        assert!(expected.starts_with("252 2.5.0 ") || expected.starts_with("550 5.7.2 "), "{expected}");
        for name in
            ["nobody@example.test", "team@example.test", "staff", "former@example.test", "x@elsewhere.test", "\"a b\""]
        {
            assert_eq!(client.say(&format!("{verb} {name}"), "").await, expected, "{verb} {name}");
        }
    }
    stage.examine().unwrap();
}
