//! Mails with a fixed seed, each awkward in its own way.

use pillarbox::base::{Random, SeededRandom};

/// A message and what it is for.
pub struct Mail {
    /// Its name in failures.
    pub name: &'static str,
    /// The whole message with CRLF line ends.
    pub content: Vec<u8>,
}

/// The mails that every program must carry.
pub fn plain() -> Vec<Mail> {
    vec![
        mail("eight-bit and dots", "8bit", &eight_bit_and_dots()),
        mail("one line", "7bit", b"Hello.\r\n"),
        mail("a 20 MB attachment", "7bit", &attachment(20_000_000)),
        mail("empty", "7bit", b""),
    ]
}

/// [`plain`], and the lines of 10,000 characters that not every program can carry.
pub fn all() -> Vec<Mail> {
    let mut mails = plain();
    mails.insert(2, mail("10,000-character lines", "8bit", &long_lines()));
    mails
}

/// A message of about `bytes` octets, with the Message-ID `id`@example.test, that does not compress to nothing: base64
/// of random octets.
pub fn of_size(id: &str, seed: u64, bytes: usize) -> Vec<u8> {
    let mut content = header(id, "7bit").into_bytes();
    base64_lines(&SeededRandom::new(seed), bytes.saturating_sub(content.len()), &mut content);
    content
}

fn mail(name: &'static str, encoding: &str, body: &[u8]) -> Mail {
    let mut content = header(&name.replace([' ', ','], "-"), encoding).into_bytes();
    content.extend_from_slice(body);
    Mail { name, content }
}

/// Has every field that a submission server may add, so that there is nothing to add.
fn header(id: &str, encoding: &str) -> String {
    format!(
        "Date: Thu, 01 Jan 2026 12:00:00 +0000\r\nFrom: Alice <alice@example.test>\r\nTo: Bob <bob@example.test>\r\n\
         Subject: {id}\r\n\twith a folded line\r\nMessage-ID: <{id}@example.test>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    )
}

/// Lines that begin with dots or look like the end of data, words of other protocols at line starts, and every octet
/// above 127; and no end that a program could tidy away.
fn eight_bit_and_dots() -> Vec<u8> {
    let mut body: Vec<u8> = b".\r\n..\r\n...\r\n. \r\n.\t.\r\n.leading\r\n..leading\r\nFrom me to you\r\n>From\r\n\
        +OK\r\n-ERR\r\nDATA\r\nQUIT\r\n  spaces before and after  \r\n\t\r\n\r\n\r\n"
        .to_vec();
    body.extend_from_slice("Grüße, привет, 日本語\r\n".as_bytes());
    for byte in 0x80..=0xff_u8 {
        body.extend_from_slice(&[b'.', byte, byte, b'\r', b'\n']);
    }
    for byte in (0x20..0x7f_u8).rev() {
        body.extend_from_slice(&[byte, b' ', byte, b'\r', b'\n']);
    }
    body.extend_from_slice(b"the end\r\n");
    body
}

fn long_lines() -> Vec<u8> {
    let random = SeededRandom::new(10_000);
    let mut body = Vec::new();
    for number in 0..20_u8 {
        let start = body.len();
        // Some begin with a dot, which makes 10,001 on the wire.
        body.push(if number % 4 == 0 { b'.' } else { b'x' });
        while body.len() < start + 10_000 {
            // No backslash: swaks takes a \n of two characters for a line end.
            body.push(match b' ' + (random.next_u64() % 94) as u8 {
                b'\\' => b'/',
                other => other,
            });
        }
        // A space at the end would be fair game for a program that strips them.
        *body.last_mut().expect("the line is not empty") = b'$';
        body.extend_from_slice(b"\r\n");
    }
    body
}

fn attachment(bytes: usize) -> Vec<u8> {
    let mut body = b"This body has an attachment.\r\n\r\n--part\r\nContent-Type: application/octet-stream\r\n\
        Content-Disposition: attachment; filename=\"random.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        .to_vec();
    base64_lines(&SeededRandom::new(20), bytes.div_ceil(3) * 4, &mut body);
    body.extend_from_slice(b"--part--\r\n");
    body
}

/// About `bytes` octets of lines of 76 characters, each of base64's.
fn base64_lines(random: &SeededRandom, bytes: usize, out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let end = out.len() + bytes;
    out.reserve(bytes + 80);
    let mut octets = [0_u8; 76];
    while out.len() < end {
        random.fill(&mut octets);
        out.extend(octets.iter().map(|octet| ALPHABET[usize::from(octet % 64)]));
        out.extend_from_slice(b"\r\n");
    }
}

/// Fails unless `received` is `sent` below header lines that a server adds at delivery, and those only.
pub fn assert_same(name: &str, sent: &[u8], received: &[u8]) {
    let Some(added) = received.strip_suffix(sent) else {
        panic!("{name}: {}", difference(sent, received));
    };
    let added = std::str::from_utf8(added).expect("the added lines are UTF-8");
    assert!(added.is_empty() || added.ends_with("\r\n"), "{name}: whole lines are added, not {added:?}");
    for line in added.split_terminator("\r\n") {
        let known = ["Return-Path:", "Delivered-To:", "Received:", "Authentication-Results:", " ", "\t"];
        assert!(known.iter().any(|start| line.starts_with(start)), "{name}: an added line {line:?}");
    }
}

/// Where a message from its own first field on differs: the two may be too large to print.
pub fn difference(sent: &[u8], received: &[u8]) -> String {
    let marker = sent.get(..24).unwrap_or(sent);
    let start = received.windows(marker.len()).position(|window| window == marker);
    let Some(start) = start else {
        return format!("its first field is not in the {} octets that came back", received.len());
    };
    let received = &received[start..];
    let at = sent.iter().zip(received).take_while(|(a, b)| a == b).count();
    let around = |bytes: &[u8]| bytes[at.saturating_sub(20)..bytes.len().min(at + 40)].escape_ascii().to_string();
    format!(
        "{} octets came back of {}; they part at octet {at}: sent …{}… received …{}…",
        received.len(),
        sent.len(),
        around(sent),
        around(received)
    )
}
