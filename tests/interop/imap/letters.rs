//! The letters that programs handle here, each awkward in its own way, known by their Message-IDs.

use crate::mails;

/// The names of the letters.
pub const NAMES: [&str; 8] = ["one", "two", "three", "four", "five", "six", "seven", "eight"];

/// The letter `name`, with CRLF line ends. Its Message-ID is `<NAME@example.test>`, its subject has `name` in it.
pub fn letter(name: &str) -> Vec<u8> {
    match name {
        "one" => plain(name, "7bit", "Hello.\r\n\r\nA quiet letter.\r\n".into()),
        "two" => plain(name, "8bit", "Grüße, привет, 日本語\r\n.\r\n..\r\n.dot\r\nFrom me to you\r\n\r\n\r\n".into()),
        "three" => with(name, "multipart/mixed; boundary=\"outer\"", &nested()),
        "four" => plain(name, "7bit", format!("{}\r\n", "long ".repeat(180))),
        "five" => mails::of_size(name, 5, 1_000_000),
        "six" => plain(name, "7bit", String::new()),
        "seven" => plain(name, "quoted-printable", "=47r=C3=BC=C3=9Fe mit Gr=\r\n=C3=BCn\r\n".into()),
        "eight" => with(name, "text/html; charset=iso-8859-1", b"<p>Vis-\xe0-vis &amp; <b>bold</b></p>\r\n"),
        _ => panic!("no letter is called {name}"),
    }
}

fn plain(name: &str, encoding: &str, body: String) -> Vec<u8> {
    with(name, &format!("text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}"), body.as_bytes())
}

fn with(name: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let header = format!(
        "Date: Thu, 01 Jan 2026 12:00:00 +0100\r\nFrom: =?utf-8?q?J=C3=BCrgen?= \"the\" Sender <sender@elsewhere.test>\r\n\
         To: Alice <alice@example.test>, group: bob@example.test;\r\nSubject: Letter {name},\r\n folded =?utf-8?b?w5xiZXI=?=\r\n\
         Message-ID: <{name}@example.test>\r\nMIME-Version: 1.0\r\nContent-Type: {kind}\r\n\r\n"
    );
    [header.as_bytes(), body].concat()
}

/// Text and HTML, a letter in the letter, and an attachment.
fn nested() -> Vec<u8> {
    let forwarded = String::from_utf8(letter("seven")).expect("it is ASCII");
    format!(
        "A preamble.\r\n--outer\r\nContent-Type: multipart/alternative; boundary=inner\r\n\r\n--inner\r\n\r\nplain words\r\n\
         --inner\r\nContent-Type: text/html\r\n\r\n<b>bold words</b>\r\n--inner--\r\n\r\n--outer\r\n\
         Content-Type: message/rfc822\r\n\r\n{forwarded}\r\n--outer\r\nContent-Type: application/octet-stream\r\n\
         Content-Disposition: attachment; filename*=utf-8''%C3%9Cber.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         AAECAwQFBgcICQ==\r\n--outer--\r\nAn epilogue.\r\n"
    )
    .into_bytes()
}
