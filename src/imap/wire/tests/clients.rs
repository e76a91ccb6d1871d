//! What mail programs send.

use proptest::prelude::*;

use super::{canonical, generate};

/// Forms as programs send them, known from their sources and from published logs, and what they mean where the canonical
/// text differs.
const COMMANDS: &[(&str, &[(&str, &str)])] = &[
    (
        "Apple Mail",
        &[
            (
                r#"A1 ID ("name" "iPhone Mail" "version" "22A3354" "os" "iOS" "os-version" "18.0 (22A3354)")"#,
                "ID (\"name\" ",
            ),
            ("A5 NAMESPACE", "NAMESPACE"),
            (r#"A6 LIST "" "*" RETURN (SPECIAL-USE)"#, r#"LIST () "" ("*") RETURN (SPECIAL-USE)"#),
            (r#". LIST "" "*" RETURN (SPECIAL-USE STATUS (UNSEEN))"#, r#"RETURN (SPECIAL-USE STATUS (UNSEEN))"#),
            ("3.8 SELECT INBOX (CONDSTORE)", r#"SELECT "INBOX" (CONDSTORE)"#),
            ("4.8 UID SEARCH RETURN (COUNT) UNSEEN UNDELETED", "RETURN (COUNT) (NOT SEEN NOT DELETED)"),
            (
                "5.8 FETCH 1:20 (INTERNALDATE UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (date subject from to cc message-id in-reply-to references content-type x-priority x-uniform-type-identifier x-universally-unique-identifier received-spf)] MODSEQ)",
                "x-universally-unique-identifier",
            ),
            ("6.8 UID FETCH 20 (BODYSTRUCTURE BODY.PEEK[HEADER])", "UID FETCH 20 (BODYSTRUCTURE BODY.PEEK[HEADER])"),
            ("7.8 UID FETCH 20 BODY.PEEK[1.2]<0.262144>", "(BODY.PEEK[1.2]<0.262144>)"),
            (r"8.8 UID STORE 20 +FLAGS.SILENT (\Seen $NotJunk)", r"+FLAGS.SILENT (\Seen $NotJunk)"),
        ],
    ),
    (
        "Outlook",
        &[
            (r#"ea9t LOGIN "alice@example.test" "a\"b\\c""#, r#"LOGIN "alice@example.test" "a\"b\\c""#),
            (r#"9wn6 XLIST "" "*""#, "unknown command"),
            (r#"g8u2 LSUB "" "*""#, r#"LSUB "" "*""#),
            ("z3ss UID FETCH 1:* (UID FLAGS)", "UID FETCH 1:* (UID FLAGS)"),
            (
                "k4py UID FETCH 5 (UID FLAGS RFC822.SIZE BODY.PEEK[HEADER] INTERNALDATE)",
                "BODY.PEEK[HEADER] INTERNALDATE",
            ),
            ("x1x1 UID FETCH 5 (UID FLAGS BODY.PEEK[])", "UID FETCH 5 (UID FLAGS BODY.PEEK[])"),
            (r"c0py UID STORE 5 +FLAGS (\Deleted \Seen)", r"+FLAGS (\Deleted \Seen)"),
            (r#"m0ve UID COPY 5 "Deleted Items""#, r#"UID COPY 5 "Deleted Items""#),
            ("nx0l IDLE", "IDLE"),
        ],
    ),
    (
        "Thunderbird",
        &[
            (r#"2 authenticate PLAIN AGFsaWNlAHNlY3JldA=="#, "AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA=="),
            (r#"59 ID ("name" "Thunderbird" "version" "115.2.2")"#, "ID "),
            ("60 ENABLE UTF8=ACCEPT", "ENABLE UTF8=ACCEPT"),
            (
                r#"61 list (subscribed) "" "*" return (special-use)"#,
                r#"LIST (SUBSCRIBED) "" ("*") RETURN (SPECIAL-USE)"#,
            ),
            (r#"5 list "" "%/%""#, r#"LIST "" "%/%""#),
            (r#"6 select "INBOX" (CONDSTORE)"#, r#"SELECT "INBOX" (CONDSTORE)"#),
            ("7 getquotaroot \"INBOX\"", "GETQUOTAROOT"),
            ("8 UID fetch 1:* (FLAGS)", "UID FETCH 1:* (FLAGS)"),
            ("9 UID fetch 1:* (FLAGS) (CHANGEDSINCE 7)", "(CHANGEDSINCE 7)"),
            (
                "10 UID fetch 4:6,9 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])",
                "Newsgroups",
            ),
            ("11 UID fetch 9 (UID RFC822.SIZE BODY.PEEK[])", "BODY.PEEK[]"),
            (
                "12 UID fetch 9 (UID BODY.PEEK[HEADER.FIELDS (Content-Type Content-Transfer-Encoding)] BODY.PEEK[TEXT]<0.2048>)",
                "BODY.PEEK[TEXT]<0.2048>",
            ),
            ("13 UID fetch 9 (BODY.PEEK[1.MIME])", "BODY.PEEK[1.MIME]"),
            (r"14 uid store 9 +Flags (\Seen)", r"UID STORE 9 +FLAGS (\Seen)"),
            (r#"15 uid move 9 "Trash""#, r#"UID MOVE 9 "Trash""#),
            (
                r#"16 UID SEARCH UNDELETED HEADER Message-ID <1@example.test>"#,
                r#"HEADER "Message-ID" "<1@example.test>""#,
            ),
            (
                r#"17 UID SEARCH CHARSET UTF-8 UNDELETED OR SUBJECT "a" FROM "b""#,
                r#"OR HEADER "Subject" "a" HEADER "From" "b""#,
            ),
            ("18 STATUS \"Sent\" (UIDNEXT MESSAGES UNSEEN RECENT)", "(UIDNEXT MESSAGES UNSEEN RECENT)"),
            (
                "19 append \"Drafts\" (\\Seen \\Draft) \" 1-Nov-2026 10:00:00 +0100\" {5+}\r\nA: b\n",
                r#"APPEND "Drafts" (\Seen \Draft) 1793523600 5"#,
            ),
        ],
    ),
    (
        "K-9 Mail",
        &[
            (
                "1 UID FETCH 3,4 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (date subject from content-type to cc reply-to message-id references in-reply-to list-unsubscribe X-K9mail-Identity Chat-Version)])",
                "X-K9mail-Identity",
            ),
            ("2 UID FETCH 3 (UID BODYSTRUCTURE)", "BODYSTRUCTURE"),
            ("3 UID FETCH 3 (UID BODY.PEEK[]<0.32768>)", "BODY.PEEK[]<0.32768>"),
            ("4 UID SEARCH 1:25 UNDELETED", "(1:25 NOT DELETED)"),
            (r"5 UID STORE 3 +FLAGS.SILENT (\Answered)", "+FLAGS.SILENT"),
            (r#"6 LIST "" "*" RETURN (SPECIAL-USE)"#, "SPECIAL-USE"),
        ],
    ),
    (
        "mutt and NeoMutt",
        &[
            (r#"a0003 LIST "" """#, r#"LIST "" """#),
            ("a0004 ENABLE UTF8=ACCEPT", "ENABLE UTF8=ACCEPT"),
            (r#"a0005 STATUS "INBOX" (UIDNEXT UIDVALIDITY UNSEEN RECENT MESSAGES)"#, "STATUS"),
            (
                "a0006 FETCH 1:3 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM SENDER SUBJECT TO CC MESSAGE-ID REFERENCES CONTENT-TYPE CONTENT-DESCRIPTION IN-REPLY-TO REPLY-TO LINES LIST-POST LIST-SUBSCRIBE X-LABEL X-ORIGINAL-TO)])",
                "X-LABEL",
            ),
            ("a0007 UID FETCH 1:9 (UID FLAGS) (CHANGEDSINCE 4)", "(CHANGEDSINCE 4)"),
            (r"a0008 UID STORE 1,3:5 +FLAGS.SILENT (\Deleted)", r"1,3:5 +FLAGS.SILENT (\Deleted)"),
            (r#"a0009 LIST (SUBSCRIBED RECURSIVEMATCH) "" "%""#, r#"LIST (SUBSCRIBED RECURSIVEMATCH) "" ("%")"#),
            ("a0010 UID FETCH 7 BODY.PEEK[]", "BODY.PEEK[]"),
            ("a0011 APPEND \"Sent\" (\\Seen) \"22-Nov-2026 10:05:00 +0000\" {4}\r\nabcd", "1795341900 4"),
        ],
    ),
    (
        "mbsync",
        &[
            (r#"3 LIST "" "*""#, "LIST"),
            (r#"4 SELECT "a b""#, "SELECT"),
            ("5 UID FETCH * (UID)", "UID FETCH * (UID)"),
            ("6 UID FETCH 1:17 (UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (X-TUID)])", r#"("X-TUID")"#),
            (r"7 UID STORE 17 +FLAGS.SILENT (\Deleted)", "UID STORE 17"),
            (
                "8 APPEND \"INBOX\" (\\Flagged \\Seen) \" 2-Nov-2026 10:05:00 +0000\" {2+}\r\n\r\n",
                "(\\Flagged \\Seen) 1793613900 2",
            ),
            ("9 UID MOVE 17 \"Trash\"", "UID MOVE 17"),
        ],
    ),
    (
        "offlineimap, imaplib, IMAPClient",
        &[
            ("OGIM1 LOGIN alice@example.test \"secret\"", "LOGIN"),
            ("OGIM2 FETCH 1:* (FLAGS UID INTERNALDATE)", "FETCH 1:* (FLAGS UID INTERNALDATE)"),
            ("OGIM3 UID FETCH 5 (BODY.PEEK[])", "BODY.PEEK[]"),
            (r"OGIM4 UID STORE 5 +FLAGS (\Seen)", "+FLAGS"),
            ("OGIM5 SEARCH HEADER X-OfflineIMAP 1234-example", "\"X-OfflineIMAP\""),
            ("OGIM6 FETCH 1 (RFC822)", "(RFC822)"),
            ("OGIM7 SEARCH CHARSET UTF-8 SUBJECT {4}\r\näö", "{4}\r\n"),
            (r#"OGIM8 LIST "" (INBOX "Sent Items")"#, r#"("INBOX" "Sent Items")"#),
        ],
    ),
    (
        "imapflow",
        &[
            ("1 LOGIN \"alice\" \"secret\"", "LOGIN"),
            (
                r#"2 ID ("name" "imapflow" "version" "1.0" "vendor" "Postal Systems" "support-url" "https://github.com" "date" "22-Nov-2026 10:00:00 +0000")"#,
                "ID",
            ),
            (
                r#"3 LIST "" "*" RETURN (SUBSCRIBED STATUS (MESSAGES UNSEEN))"#,
                "RETURN (SUBSCRIBED STATUS (MESSAGES UNSEEN))",
            ),
            ("4 FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE MODSEQ)", "MODSEQ"),
            (
                "5 UID FETCH 1:* (UID MODSEQ FLAGS BODY.PEEK[HEADER.FIELDS (Date Subject)] BODY.PEEK[1]<0.100>)",
                "BODY.PEEK[1]<0.100>",
            ),
            ("6 UID SEARCH RETURN (ALL) NOT (DELETED)", "RETURN (ALL) NOT DELETED"),
            ("7 UID STORE 1 (UNCHANGEDSINCE 5) FLAGS (\\Seen)", "(UNCHANGEDSINCE 5) FLAGS"),
            ("8 COMPRESS DEFLATE", "COMPRESS DEFLATE"),
            ("9 EXAMINE INBOX", "EXAMINE"),
        ],
    ),
    (
        "imapfilter, fetchmail, getmail, alpine",
        &[
            ("1001 UID FETCH 1,2 FAST", "(FLAGS INTERNALDATE RFC822.SIZE)"),
            ("1002 UID SEARCH CHARSET \"UTF-8\" UNSEEN SENTBEFORE 22-Nov-2026", "SENTBEFORE 22-Nov-2026"),
            ("A0003 FETCH 1 RFC822.HEADER", "RFC822.HEADER"),
            ("A0004 FETCH 1 BODY.PEEK[TEXT]", "BODY.PEEK[TEXT]"),
            ("A0005 FETCH 1:2 RFC822.SIZE", "RFC822.SIZE"),
            (r"A0006 STORE 1 +FLAGS (\Seen \Deleted)", "STORE 1"),
            ("A0007 UID SEARCH UNSEEN UNDELETED", "(NOT SEEN NOT DELETED)"),
            (
                "00000008 FETCH 1:30 (UID ENVELOPE BODY.PEEK[HEADER.FIELDS (Newsgroups Content-MD5 Content-Disposition Content-Language Content-Location Followup-To References)] INTERNALDATE RFC822.SIZE FLAGS)",
                "Followup-To",
            ),
            ("00000009 SEARCH ALL 1:4 NOT DELETED", "(ALL 1:4 NOT DELETED)"),
        ],
    ),
];

#[test]
fn what_programs_send_is_understood() {
    for (program, commands) in COMMANDS {
        for (command, expected) in *commands {
            let seen = canonical::read(format!("{command}\r\n").as_bytes());
            let seen = seen.unwrap_or_else(|what| what.to_owned());
            let (seen, expected) = (seen.to_lowercase(), expected.to_lowercase());
            let plain = seen.replace('"', "");
            assert!(seen.contains(&expected) || plain.contains(&expected), "{program}: {command}: {seen}");
        }
    }
}

proptest! {
    /// A canonical text means what was meant.
    #[test]
    fn what_is_written_again_means_the_same(command in prop_oneof![generate::command(), generate::extended()]) {
        let text = canonical::read(command.as_bytes());
        prop_assert!(text.is_ok(), "{command:?}: {text:?}");
        let text = text.unwrap();
        if !text.starts_with("APPEND") {
            let again = [b"b ".as_slice(), &canonical::octets(&text), b"\r\n"].concat();
            prop_assert_eq!(canonical::read(&again), Ok(text));
        }
    }
}
