//! Mail that is awkward in the ways that mail is, from a seed: every multipart, charset, encoding, address and date form
//! that the wild has, also the broken ones.

use pillarbox::base::{Random, SeededRandom};

/// Levels of parts inside each other, at most.
const DEPTH: u32 = 5;

/// The message of that seed, with CRLF line ends.
pub fn message(seed: u64) -> Vec<u8> {
    let mut mail = Generator { dice: Dice(SeededRandom::new(seed)), out: Vec::new(), boundaries: 0 };
    mail.envelope_fields(seed);
    mail.entity(0, true);
    mail.out
}

struct Dice(SeededRandom);

impl Dice {
    fn below(&self, limit: usize) -> usize {
        (self.0.next_u64() % limit as u64) as usize
    }

    fn one_in(&self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<'a, T: ?Sized>(&self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

struct Generator {
    dice: Dice,
    out: Vec<u8>,
    boundaries: u32,
}

const DATES: &[&[u8]] = &[
    b"Thu, 01 Jan 2026 12:00:00 +0000",
    b"1 Jan 26 12:00 GMT",
    b"Mon, 29 Feb 2016 23:59:60 -0330",
    b"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600 (CST (nested))",
    b"Wed, 31 Dec 1969 23:59:59 EST",
    b"  Tue, 5 Aug 2003 01:02:03 +1400  ",
    b"2003-08-05 01:02:03",
    b"sometime last week",
    b"",
    b"Thu, 32 Jan 2026 25:61:61 +9999",
];

const ADDRESSES: &[&[u8]] = &[
    b"alice@example.test",
    b"Alice Example <alice@example.test>",
    b"\"Example, Alice \\\"Al\\\"\" <alice@example.test>",
    b"alice@example.test (Alice (the first) Example)",
    b"\"al ice\"@example.test",
    b"=?iso-8859-1?Q?J=F6rg?= <joerg@example.test>, =?UTF-8?B?0JDQu9C40YHQsA==?= <a@b.test>",
    b"A Group: one@example.test, Two <two@example.test>;",
    b"Undisclosed recipients:;",
    b"undisclosed-recipients: ;",
    b"<@one.test,@two.test:alice@example.test>",
    b"J\xf6rg M\xfcller <joerg@example.test>",
    "Jörg <jörg@exämple.test>".as_bytes(),
    b"alice",
    b"Alice Example",
    b"<alice@example.test",
    b"alice@example.test, , bob@example.test,",
    b"alice@[192.0.2.1]",
    b"alice . smith @ example . test",
    b"\"\" <alice@example.test>",
    b"<>",
    b"",
    b"a@b@c.test",
    b"Nobody <nobody>",
    b"one@a.test; two@b.test",
    b"(only a comment)",
    b"alice@example.test\r\n\t(folded\r\n comment), Bob\r\n <bob@example.test>",
    b"Pete(A wonderful \\) chap) <pete(his account)@silly.test(his host)>",
    b"\"unclosed <alice@example.test>",
    b"Outer: Inner: a@b.test;, c@d.test;",
];

const SUBJECTS: &[&[u8]] = &[
    b"Hello",
    b"",
    b" ",
    b"=?utf-8?B?R3LDvMOfZQ==?=",
    b"=?koi8-r?B?8NLJ18XU?= and\r\n =?shift_jis?B?k/qWe4zq?=",
    b"Gr\xfc\xdfe in Latin-1",
    "Grüße in UTF-8 日本語".as_bytes(),
    b"quotes \" and \\ backslashes \\\"",
    b"folded\r\n\twith a tab\r\n  and spaces   ",
    b"{7} braces (and) parentheses [too] %*",
    b"=?x-unknown?Q?what=3F?=",
    b"=?utf-8?Q?broken",
    b"tab\tinside and trailing tab\t",
];

const IDS: &[&[u8]] = &[
    b"<1@example.test>",
    b" <1@example.test>",
    b"<a b@example.test> (comment)",
    b"not an id",
    b"<unclosed@example.test",
    b"",
    b"<one@example.test>\r\n\t<two@example.test>",
];

const TEXT_TYPES: &[&[u8]] = &[
    b"text/plain",
    b"text/plain; charset=us-ascii",
    b"TEXT/HTML; CHARSET=\"iso-8859-15\"",
    b"text/plain; charset=koi8-r; format=flowed; delsp=yes",
    b"text/plain; charset=x-nobody-knows",
    b"text/plain;charset=utf-8;",
    b"text/plain; charset = \"utf-8\" ",
    b"text/plain; (a comment) charset=\"utf-8\" (another)",
    b"text/html; charset=windows-1252; name=\"quoted \\\"name\\\".html\"",
    b"text/plain; charset=shift_jis; name*=utf-8''%E2%82%AC.txt",
    b"text/x-odd+type; a=1; b=2; c=3",
    b"text",
    b"text/",
    b"/plain",
    b"text/plain; charset",
    b"text/plain; charset=; x=y",
    b"text/plain; name=unquoted name with spaces.txt",
    b"text/plain charset=utf-8",
    b"text/plain;\r\n\tcharset=utf-8;\r\n\tname=\"folded\r\n name.txt\"",
    b"text/calendar; method=REQUEST; charset=utf-8",
    b"",
    b"text/plain; name=\"unclosed",
    b"text/plain; name=\"=?utf-8?Q?enc=C3=B6ded?=\"",
];

const OTHER_TYPES: &[&[u8]] = &[
    b"application/octet-stream",
    b"application/octet-stream; name*0=\"long\"; name*1=\"er.bin\"",
    b"application/octet-stream; name*0*=us-ascii'en'A%20B; name*1*=%20C",
    b"image/png; name=picture.png",
    b"image/gif",
    b"audio/basic",
    b"video/mp4; codecs=\"a,b\"",
    b"application/vnd.openxmlformats-officedocument.wordprocessingml.document; name=\"a.docx\"",
    b"application/pgp-signature",
    b"message/delivery-status",
    b"message/partial; id=\"abc@host.test\"; number=2; total=3",
    b"message/external-body; access-type=local-file; name=\"/tmp/x\"",
    b"x-token/x-subtype",
    b"model/mesh",
    b"not a type at all",
];

const ENCODINGS: &[&[u8]] = &[
    b"7bit",
    b"8bit",
    b"8BIT",
    b"base64",
    b"Base64 ",
    b"quoted-printable",
    b"binary",
    b"x-uuencode",
    b"",
    b"7bit (comment)",
];

const DISPOSITIONS: &[&[u8]] = &[
    b"inline",
    b"attachment",
    b"attachment; filename=a.txt",
    b"ATTACHMENT; FILENAME=\"with \\\" quote.txt\"; size=100",
    b"attachment; filename*=utf-8''na%C3%AFve.txt",
    b"attachment; filename*0=one; filename*1=two",
    b"attachment; filename=\"=?utf-8?B?w7wudHh0?=\"",
    b"inline; creation-date=\"Wed, 12 Feb 1997 16:29:51 -0500\"",
    b"",
    b"attachment;",
    b"attachment filename=x",
    b"form-data; name=\"field\"",
];

const LANGUAGES: &[&[u8]] = &[b"en", b"en, de", b"en-GB (English), fr", b"", b"en;q=1"];

const LINES: &[&[u8]] = &[
    b"A line of text.",
    b"",
    b".",
    b"..",
    b"From the beginning of a line",
    b">From quoted",
    b"--",
    b"-- ",
    b"--not-a-boundary",
    "Grüße, привет, 日本語".as_bytes(),
    b"Gr\xfc\xdfe in Latin-1 \x80\x9f\xff",
    b"quoted=20printable=\r\n continues",
    b"VGhpcyBpcyBiYXNlNjQu",
    b"a tab\tand trailing spaces   ",
    b"Subject: looks like a field",
    b"{10}",
    b"* 1 EXISTS",
];

impl Generator {
    fn line(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    fn field(&mut self, name: &str, value: &[u8]) {
        // Names may be in any case, and some programs put no space behind the colon, or one before it.
        let name = match self.dice.below(12) {
            0 => name.to_ascii_uppercase(),
            1 => name.to_ascii_lowercase(),
            _ => name.to_owned(),
        };
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(match self.dice.below(16) {
            0 => b":",
            1 => b":\t",
            2 => b":   ",
            3 => b":\r\n ",
            _ => b": ",
        });
        self.line(value);
    }

    fn maybe(&mut self, one_in: usize, name: &str, values: &[&[u8]]) {
        if self.dice.one_in(one_in) {
            let value = self.dice.pick(values);
            self.field(name, value);
        }
    }

    fn usually(&mut self, name: &str, values: &[&[u8]]) {
        if !self.dice.one_in(10) {
            // Mostly the plain form.
            let value = if self.dice.one_in(2) { values[0] } else { self.dice.pick(values) };
            self.field(name, value);
        }
    }

    fn envelope_fields(&mut self, seed: u64) {
        if self.dice.one_in(3) {
            let hops = 1 + self.dice.below(12);
            for hop in 0..hops {
                self.line(format!("Received: from a{hop}.test by b{hop}.test\r\n\twith ESMTP id {seed:x}; Thu, 1 Jan 2026 00:00:{hop:02} +0000").as_bytes());
            }
        }
        self.usually("Date", DATES);
        self.usually("From", ADDRESSES);
        self.maybe(4, "Sender", ADDRESSES);
        self.maybe(4, "Reply-To", ADDRESSES);
        self.usually("To", ADDRESSES);
        self.maybe(3, "Cc", ADDRESSES);
        self.maybe(8, "Bcc", ADDRESSES);
        if self.dice.one_in(30) {
            let many: Vec<u8> =
                (0..900).flat_map(|n| format!("User {n} <u{n}@example.test>,\r\n ").into_bytes()).collect();
            self.field("To", &[many.as_slice(), b"last@example.test"].concat());
        }
        if self.dice.one_in(25) {
            let long = b"long subject ".repeat(20 + self.dice.below(400));
            self.field("Subject", long.trim_ascii());
        } else {
            self.usually("Subject", SUBJECTS);
        }
        if self.dice.one_in(12) {
            self.field("Message-ID", self.dice.pick(IDS));
        } else {
            self.field("Message-ID", format!("<{seed:016x}@generated.test>").as_bytes());
        }
        self.maybe(4, "In-Reply-To", IDS);
        if self.dice.one_in(4) {
            let ids: Vec<u8> =
                (0..self.dice.below(60)).flat_map(|n| format!("<{n}@references.test>\r\n ").into_bytes()).collect();
            self.field("References", &[ids.as_slice(), b"<last@references.test>"].concat());
        }
        if self.dice.one_in(40) {
            self.field("X-Long", &b"x".repeat(10_000 + self.dice.below(50_000)));
        }
        // A field that comes twice: readers have to choose.
        self.maybe(30, "Subject", SUBJECTS);
        self.maybe(30, "From", ADDRESSES);
    }

    fn content_fields(&mut self, content_type: Option<&[u8]>, with_encoding: bool) {
        if let Some(content_type) = content_type {
            self.field("Content-Type", content_type);
        }
        if with_encoding {
            self.maybe(2, "Content-Transfer-Encoding", ENCODINGS);
        }
        self.maybe(3, "Content-Disposition", DISPOSITIONS);
        self.maybe(8, "Content-ID", &[b"<part1@example.test>", b"no brackets", b""]);
        self.maybe(8, "Content-Description", SUBJECTS);
        self.maybe(12, "Content-Language", LANGUAGES);
        self.maybe(12, "Content-Location", &[b"http://example.test/a b", b"relative/path", b""]);
        self.maybe(16, "Content-MD5", &[b"Q2hlY2sgSW50ZWdyaXR5IQ==", b""]);
    }

    /// Header fields of a content, the blank line, and the content.
    fn entity(&mut self, depth: u32, root: bool) {
        if root && !self.dice.one_in(8) {
            self.field("MIME-Version", self.dice.pick(&[&b"1.0"[..], b"1.0 (a comment)", b"1.0", b"2.0"]));
        }
        let kind = if depth >= DEPTH { 4 + self.dice.below(6) } else { self.dice.below(10) };
        match kind {
            0..=2 => self.multipart(depth),
            3 => self.inner_message(depth),
            4..=7 => {
                let content_type = if self.dice.one_in(6) { None } else { Some(self.dice.pick(TEXT_TYPES)) };
                self.leaf(content_type);
            }
            _ => self.leaf(Some(self.dice.pick(OTHER_TYPES))),
        }
    }

    fn leaf(&mut self, content_type: Option<&[u8]>) {
        self.content_fields(content_type, true);
        if self.dice.one_in(40) {
            // The header ends without a blank line.
            return;
        }
        self.line(b"");
        let lines = match self.dice.below(6) {
            0 => 0,
            1 => self.dice.below(300),
            _ => self.dice.below(12),
        };
        for _ in 0..lines {
            let line = self.dice.pick(LINES);
            self.line(line);
        }
        if self.dice.one_in(20) {
            let long = b"y".repeat(self.dice.below(5000));
            self.line(&long);
        }
        if self.dice.one_in(6) {
            // No line end at the end.
            self.out.extend_from_slice(b"the last line");
        }
    }

    fn inner_message(&mut self, depth: u32) {
        let content_type = self.dice.pick(&[
            &b"message/rfc822"[..],
            b"MESSAGE/RFC822; name=\"x.eml\"",
            b"message/rfc822",
            b"message/global",
        ]);
        self.content_fields(Some(content_type), false);
        self.line(b"");
        if self.dice.one_in(20) {
            // Nothing inside.
            return;
        }
        self.envelope_fields(u64::from(depth));
        self.entity(depth + 1, true);
    }

    fn multipart(&mut self, depth: u32) {
        self.boundaries += 1;
        let number = self.boundaries;
        let boundary = match self.dice.below(8) {
            0 => format!("=_{number}'()+_,-./:=?"),
            1 => format!("a boundary with spaces {number}"),
            2 => format!("b{}", "x".repeat(60) + &number.to_string()),
            // One that is the beginning of another.
            3 => "b".repeat(number as usize),
            _ => format!("----=_Part_{number}_{depth}"),
        };
        let subtype = self.dice.pick(&[
            "mixed",
            "alternative",
            "related",
            "digest",
            "signed",
            "report",
            "MIXED",
            "x-own",
            "form-data",
        ]);
        let quoted = match self.dice.below(6) {
            0 if !boundary.contains([' ', '(', ')', ',', '/', ':', '=', '?']) => boundary.clone(),
            _ => format!("\"{boundary}\""),
        };
        let content_type = match self.dice.below(8) {
            0 => format!("multipart/{subtype};\r\n\ttype=\"text/html\";\r\n\tboundary={quoted}"),
            1 => format!("multipart/{subtype}; BOUNDARY={quoted}; charset=utf-8"),
            2 => format!("multipart/{subtype}; boundary={quoted} (a comment)"),
            // A multipart without a boundary is none.
            3 if self.dice.one_in(4) => format!("multipart/{subtype}"),
            _ => format!("multipart/{subtype}; boundary={quoted}"),
        };
        self.content_fields(Some(content_type.as_bytes()), false);
        self.line(b"");
        if self.dice.one_in(2) {
            self.line(b"This is a message in MIME format.");
        }
        let parts = if self.dice.one_in(15) { 0 } else { 1 + self.dice.below(4) };
        for _ in 0..parts {
            let padding = self.dice.pick(&["", "", "", " ", " \t "]);
            self.start_line();
            self.line(format!("--{boundary}{padding}").as_bytes());
            match self.dice.below(20) {
                // Nothing at all.
                0 => {}
                // No header fields.
                1 => self.line(b""),
                _ => self.entity(depth + 1, false),
            }
        }
        self.start_line();
        match self.dice.below(12) {
            // Cut short, or closed where it was never opened.
            0 => {}
            1 => self.out.extend_from_slice(format!("--{boundary}--").as_bytes()),
            2 => self.line(format!("--{boundary}--  ").as_bytes()),
            _ => self.line(format!("--{boundary}--").as_bytes()),
        }
        if self.dice.one_in(4) {
            self.start_line();
            self.line(b"An epilogue.");
        }
    }

    fn start_line(&mut self) {
        if !self.out.ends_with(b"\r\n") {
            self.out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_message_again_and_seeds_differ() {
        assert_eq!(message(5), message(5));
        assert_ne!(message(5), message(6));
    }

    #[test]
    fn line_ends_are_clean() {
        for seed in 0..500 {
            let message = message(seed);
            let (cr, lf) = (memchr::memchr_iter(b'\r', &message).count(), memchr::memchr_iter(b'\n', &message).count());
            assert_eq!((cr, lf), (memchr::memmem::find_iter(&message, b"\r\n").count(), cr), "seed {seed}");
        }
    }
}
