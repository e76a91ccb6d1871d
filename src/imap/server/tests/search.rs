use super::*;

const MAILS: [(&str, &str); 4] = [
    (
        "(\\Seen $Work) \"01-Feb-2024 10:00:00 +0000\" ",
        "From: Ann <ann@x>\r\nTo: bob@y\r\nDate: Wed, 31 Jan 2024 23:00:00 -0800\r\nSubject: Plans for today\r\n\r\nLet us meet.\r\n",
    ),
    (
        "(\\Flagged) \"02-Feb-2024 10:00:00 +0000\" ",
        "From: =?utf-8?q?J=C3=BCrgen?= <j@x>\r\nTo: Ann <ann@x>\r\nDate: Fri, 2 Feb 2024 08:00:00 +0000\r\n\
         Subject: =?iso-8859-1?q?Gr=FC=DFe?=\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\nVon J=FCrgen, mit =\r\nGr=FC=DFen\r\n",
    ),
    (
        "\"03-Feb-2024 10:00:00 +0000\" ",
        "Subject: encoded\r\nX-Spam: no\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
         Content-Transfer-Encoding: base64\r\n\r\naGlkZGVuIHRyZWFzdXJl\r\n--b\r\nContent-Type: image/png\r\n\r\ntreasure\r\n--b--\r\n",
    ),
    ("(\\Deleted) \"04-Feb-2024 10:00:00 +0000\" ", "Subject: the longest of them\r\n\r\n"),
];

async fn house() -> (House, Client) {
    let house = House::new().await;
    let mut client = house.select().await;
    for (number, (arguments, message)) in MAILS.iter().enumerate() {
        let filling = if number == 3 { "x".repeat(5000) + "\r\n" } else { String::new() };
        let answer = client.append("INBOX", arguments, format!("{message}{filling}").as_bytes()).await;
        assert!(answer.starts_with("OK "), "{answer}");
    }
    (house, client)
}

#[tokio::test]
async fn every_key_finds_what_it_means() {
    let (_house, mut client) = house().await;
    for (keys, expected) in [
        ("ALL", " 1 2 3 4"),
        ("SEEN", " 1"),
        ("UNSEEN", " 2 3 4"),
        ("KEYWORD $work", " 1"),
        ("UNKEYWORD $Work", " 2 3 4"),
        ("KEYWORD never", ""),
        ("DELETED", " 4"),
        ("FLAGGED UNDELETED", " 2"),
        ("OR SEEN FLAGGED", " 1 2"),
        ("NOT (OR SEEN FLAGGED)", " 3 4"),
        ("RECENT", " 1 2 3 4"),
        ("OLD", ""),
        ("NEW", " 2 3 4"),
        ("2:3", " 2 3"),
        ("*", " 4"),
        ("UID 3:*", " 3 4"),
        ("9", ""),
        ("BEFORE 2-Feb-2024", " 1"),
        ("ON 2-Feb-2024", " 2"),
        ("SINCE 2-Feb-2024", " 2 3 4"),
        ("SENTBEFORE 1-Feb-2024", " 1"),
        ("SENTON 31-Jan-2024", " 1"),
        ("SENTSINCE 1-Feb-2024", " 2"),
        ("LARGER 1000", " 4"),
        ("SMALLER 1000", " 1 2 3"),
        ("FROM ann", " 1"),
        ("TO ANN", " 2"),
        ("SUBJECT \"for today\"", " 1"),
        ("HEADER X-Spam \"\"", " 3"),
        ("HEADER X-Spam yes", ""),
        ("CC ann", ""),
        ("BODY meet", " 1"),
        ("BODY plans", ""),
        ("TEXT plans", " 1"),
        ("TEXT treasure", " 3"),
        ("BODY \"hidden treasure\"", " 3"),
        ("BODY \"\"", " 1 2 3 4"),
        ("UNSEEN TEXT \"\" NOT BODY treasure", " 2 4"),
        ("OR BODY meet BODY hidden", " 1 3"),
    ] {
        assert_eq!(client.ok(&format!("SEARCH {keys}")).await, [format!("* SEARCH{expected}")], "{keys}");
    }
}

#[tokio::test]
async fn texts_are_found_in_whatever_charset_they_were_asked_for() {
    let (_house, mut client) = house().await;
    for (command, text) in [
        ("SEARCH CHARSET UTF-8 FROM ", "jürgen".as_bytes()),
        ("SEARCH FROM ", "JÜRGEN".as_bytes()),
        ("SEARCH CHARSET ISO-8859-1 SUBJECT ", b"gr\xfc\xdfe"),
        ("SEARCH CHARSET utf-8 BODY ", "mit grüßen".as_bytes()),
        ("SEARCH CHARSET windows-1252 TEXT ", b"gr\xfc\xdfe"),
    ] {
        let command = [command.as_bytes(), format!("{{{}+}}\r\n", text.len()).as_bytes(), text].concat();
        let (told, answer) = client.raw(&command).await;
        assert!(answer.starts_with("OK "), "{answer}");
        assert_eq!(super::text(&told[0]), "* SEARCH 2", "{}", super::text(&command));
    }
    let texts =
        |count: usize| (0..count).map(|text| format!(" BODY t{} TEXT t{}", text / 2, text / 2)).collect::<String>();
    client.ok(&format!("SEARCH{}", texts(crate::base::limits::IMAP_SEARCH_TEXTS))).await;
    client.check(&format!("SEARCH{}", texts(crate::base::limits::IMAP_SEARCH_TEXTS + 1)), &["NO [LIMIT] ~"]).await;
    client.check("SEARCH CHARSET KLINGON ALL", &["NO [BADCHARSET (UTF-8)] ~"]).await;
    client.check("SEARCH CHARSET US-ASCII SUBJECT plans", &["* SEARCH 1", "OK ~"]).await;
    client.ok("ENABLE UTF8=ACCEPT").await;
    client.check("SEARCH CHARSET UTF-8 ALL", &["BAD ~"]).await;
    client.check("UID SEARCH FROM \"Jürgen\"", &["* SEARCH 2", "OK ~"]).await;
}

#[tokio::test]
async fn answers_come_in_the_form_that_was_asked_for() {
    let (house, mut client) = house().await;
    client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    client.ok("UID EXPUNGE 1").await;
    client.check("UID SEARCH ALL", &["* SEARCH 2 3 4", "OK ~"]).await;
    client.send(b"x1 UID SEARCH RETURN (MIN MAX COUNT ALL) UNFLAGGED\r\n").await;
    assert_eq!(client.piece().await, b"* ESEARCH (TAG \"x1\") UID MIN 3 MAX 4 ALL 3:4 COUNT 2\r\n");
    assert_eq!(client.piece().await, b"x1 OK SEARCH done\r\n");
    client.send(b"x2 SEARCH RETURN () SEEN\r\n").await;
    assert_eq!(client.piece().await, b"* ESEARCH (TAG \"x2\")\r\n");
    client.piece().await;
    let told = client.ok("SEARCH MODSEQ 1").await;
    assert!(told[0].starts_with("* SEARCH 1 2 3 (MODSEQ "), "{told:?}");
    // Numbers are those that the client knows, and what is gone is found by what is in memory.
    let mut other = house.select().await;
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    client.check("SEARCH ALL", &["* SEARCH 1 2 3", "OK ~"]).await;
    client.check("SEARCH SUBJECT e", &["* SEARCH 2", "OK ~"]).await;
    client.check("SEARCH TEXT e", &["* SEARCH 2", "OK ~"]).await;
    client.check("UID SEARCH ALL", &["* SEARCH 2 3 4", "* 3 EXPUNGE", "* 1 EXPUNGE", "OK ~"]).await;
}
