//! The same octets to imap-codec and to us: both take them for the same, or why not stands in a table.

use imap_codec::decode::Decoder;
use imap_codec::imap_types::command::{Command, CommandBody, FetchModifier, SelectParameter, StoreModifier};
use imap_codec::imap_types::core::{AString, Charset, IString};
use imap_codec::imap_types::extensions::binary::LiteralOrLiteral8;
use imap_codec::imap_types::fetch::{MacroOrMessageDataItemNames, MessageDataItemName, Part, Section};
use imap_codec::imap_types::flag::{Flag, StoreResponse, StoreType};
use imap_codec::imap_types::mailbox::{ListMailbox, Mailbox};
use imap_codec::imap_types::search::SearchKey;
use imap_codec::imap_types::sequence::{SeqOrUid, Sequence, SequenceSet};
use imap_codec::imap_types::status::StatusDataItemName;
use proptest::prelude::*;

use super::canonical::{joined, mailbox_text, plain, string};
use super::{canonical, generate};

/// What imap-codec reads, in the same canonical text.
fn theirs(input: &[u8]) -> Result<String, String> {
    let (rest, command) = imap_codec::CommandCodec::default().decode(input).map_err(|error| format!("{error:?}"))?;
    if rest.is_empty() { Ok(text(&command)) } else { Err("more than a command".into()) }
}

fn text(command: &Command<'_>) -> String {
    use CommandBody as Body;
    let uid = |uid: &bool, verb: &str| format!("{}{verb}", if *uid { "UID " } else { "" });
    match &command.body {
        Body::StartTLS => "STARTTLS".into(),
        Body::Authenticate { mechanism, initial_response } => {
            let initial = initial_response.as_ref().map(|initial| match initial.declassify().as_ref() {
                [] => " =".to_owned(),
                initial => format!(" {}", base64::Engine::encode(&base64::prelude::BASE64_STANDARD, initial)),
            });
            format!("AUTHENTICATE {}{}", mechanism.to_string().to_uppercase(), initial.unwrap_or_default())
        }
        Body::Login { username, password } => format!("LOGIN {} {}", astring(username), astring(password.declassify())),
        Body::Enable { capabilities } => {
            format!("ENABLE {}", joined(capabilities.as_ref().iter().map(|name| name.to_string().to_uppercase())))
        }
        Body::Id { parameters: None } => "ID NIL".into(),
        Body::Id { parameters: Some(pairs) } => {
            let pair = |(name, value): &(IString<'_>, imap_codec::imap_types::core::NString<'_>)| {
                format!(
                    "{} {}",
                    string(name.as_ref()),
                    value.0.as_ref().map_or("NIL".into(), |value| string(value.as_ref()))
                )
            };
            format!("ID ({})", joined(pairs.iter().map(pair)))
        }
        Body::Select { mailbox, parameters } => select("SELECT", mailbox, parameters),
        Body::Examine { mailbox, parameters } => select("EXAMINE", mailbox, parameters),
        Body::Create { mailbox } => format!("CREATE {}", name(mailbox)),
        Body::Delete { mailbox } => format!("DELETE {}", name(mailbox)),
        Body::Rename { from, to } => format!("RENAME {} {}", name(from), name(to)),
        Body::Subscribe { mailbox } => format!("SUBSCRIBE {}", name(mailbox)),
        Body::Unsubscribe { mailbox } => format!("UNSUBSCRIBE {}", name(mailbox)),
        Body::List { reference, mailbox_wildcard } => format!("LIST {} {}", name(reference), pattern(mailbox_wildcard)),
        Body::Lsub { reference, mailbox_wildcard } => format!("LSUB {} {}", name(reference), pattern(mailbox_wildcard)),
        Body::Status { mailbox, item_names } => {
            let item = |item: &StatusDataItemName| match item {
                StatusDataItemName::DeletedStorage => "DELETED-STORAGE".to_owned(),
                item => format!("{item:?}").to_uppercase(),
            };
            format!("STATUS {} ({})", name(mailbox), joined(item_names.iter().map(item)))
        }
        Body::Append { mailbox, flags: named, date, message } => {
            let date = date.as_ref().map_or("now".to_owned(), |date| date.as_ref().timestamp().to_string());
            let (kind, octets) = match message {
                LiteralOrLiteral8::Literal(literal) => ("", literal.as_ref().len()),
                LiteralOrLiteral8::Literal8(literal) => ("~", literal.data.len()),
            };
            format!("APPEND {} ({}) {date} {kind}{octets}", name(mailbox), flags(named))
        }
        Body::GetQuota { root } => format!("GETQUOTA {}", astring(root)),
        Body::GetQuotaRoot { mailbox } => format!("GETQUOTAROOT {}", name(mailbox)),
        Body::SetQuota { .. } => "SETQUOTA \"\" ()".into(),
        Body::Compress { algorithm } => format!("COMPRESS {algorithm}"),
        Body::ExpungeUid { sequence_set } => format!("UID EXPUNGE {}", sequence(sequence_set)),
        Body::Search { charset, criteria, uid: is_uid } => {
            let charset = charset.as_ref().map(|charset| match charset {
                Charset::Atom(charset) => format!("CHARSET {} ", string(charset.inner().as_bytes())),
                Charset::Quoted(charset) => format!("CHARSET {} ", string(charset.inner().as_bytes())),
            });
            format!("{} {}{}", uid(is_uid, "SEARCH"), charset.unwrap_or_default(), and(criteria.as_ref()))
        }
        Body::Fetch { sequence_set, macro_or_item_names, uid: is_uid, modifiers } => {
            let items = match macro_or_item_names {
                MacroOrMessageDataItemNames::Macro(shorthand) => joined(shorthand.expand().iter().map(item)),
                MacroOrMessageDataItemNames::MessageDataItemNames(items) => joined(items.iter().map(item)),
            };
            let since = modifiers.iter().map(|modifier| match modifier {
                FetchModifier::ChangedSince(modseq) => format!("CHANGEDSINCE {modseq}"),
                FetchModifier::Vanished => "VANISHED".into(),
            });
            let since = if modifiers.is_empty() { String::new() } else { format!(" ({})", joined(since)) };
            format!("{} {} ({items}){since}", uid(is_uid, "FETCH"), sequence(sequence_set))
        }
        Body::Store { sequence_set, kind, response, flags: named, uid: is_uid, modifiers } => {
            let since =
                modifiers.iter().map(|StoreModifier::UnchangedSince(modseq)| format!("(UNCHANGEDSINCE {modseq}) "));
            let mode = match kind {
                StoreType::Replace => "",
                StoreType::Add => "+",
                StoreType::Remove => "-",
            };
            let silent = if *response == StoreResponse::Silent { ".SILENT" } else { "" };
            let (verb, set, since) = (uid(is_uid, "STORE"), sequence(sequence_set), joined(since));
            format!("{verb} {set} {since}{mode}FLAGS{silent} ({})", flags(named))
        }
        Body::Copy { sequence_set, mailbox, uid: is_uid } => {
            format!("{} {} {}", uid(is_uid, "COPY"), sequence(sequence_set), name(mailbox))
        }
        Body::Move { sequence_set, mailbox, uid: is_uid } => {
            format!("{} {} {}", uid(is_uid, "MOVE"), sequence(sequence_set), name(mailbox))
        }
        body => body.name().to_uppercase(),
    }
}

fn select(verb: &str, mailbox: &Mailbox<'_>, parameters: &[SelectParameter]) -> String {
    format!("{verb} {}{}", name(mailbox), if parameters.is_empty() { "" } else { " (CONDSTORE)" })
}

fn astring(text: &AString<'_>) -> String {
    string(text.as_ref())
}

fn name(mailbox: &Mailbox<'_>) -> String {
    match mailbox {
        Mailbox::Inbox => mailbox_text(b"INBOX"),
        Mailbox::Other(name) => mailbox_text(name.as_ref()),
    }
}

fn pattern(pattern: &ListMailbox<'_>) -> String {
    match pattern {
        ListMailbox::Token(token) => string(token.as_ref()),
        ListMailbox::String(text) => string(text.as_ref()),
    }
}

fn flags(flags: &[Flag<'_>]) -> String {
    joined(flags.iter().map(Flag::to_string))
}

fn sequence(set: &SequenceSet) -> String {
    let star = |star: &SeqOrUid| match star {
        SeqOrUid::Value(number) => number.to_string(),
        SeqOrUid::Asterisk => "*".into(),
    };
    let range = |range: &Sequence| match range {
        Sequence::Range(first, last) if first != last => format!("{}:{}", star(first), star(last)),
        Sequence::Range(one, _) | Sequence::Single(one) => star(one),
    };
    set.0.as_ref().iter().map(range).collect::<Vec<_>>().join(",")
}

fn item(item: &MessageDataItemName<'_>) -> String {
    let MessageDataItemName::BodyExt { section, partial, peek } = item else {
        return match item {
            MessageDataItemName::Rfc822Header => "RFC822.HEADER".into(),
            MessageDataItemName::Rfc822Size => "RFC822.SIZE".into(),
            MessageDataItemName::Rfc822Text => "RFC822.TEXT".into(),
            item => format!("{item:?}").to_uppercase(),
        };
    };
    let names = |names: &[AString<'_>]| joined(names.iter().map(astring));
    let (part, text) = match section {
        None => (None, None),
        Some(Section::Part(part)) => (Some(part), None),
        Some(Section::Header(part)) => (part.as_ref(), Some("HEADER".into())),
        Some(Section::HeaderFields(part, fields)) => {
            (part.as_ref(), Some(format!("HEADER.FIELDS ({})", names(fields.as_ref()))))
        }
        Some(Section::HeaderFieldsNot(part, fields)) => {
            (part.as_ref(), Some(format!("HEADER.FIELDS.NOT ({})", names(fields.as_ref()))))
        }
        Some(Section::Text(part)) => (part.as_ref(), Some("TEXT".into())),
        Some(Section::Mime(part)) => (Some(part), Some("MIME".into())),
    };
    let numbers = part.map(|Part(numbers)| numbers.as_ref().iter().map(ToString::to_string).collect::<Vec<_>>());
    let pieces: Vec<String> = numbers.unwrap_or_default().into_iter().chain(text).collect();
    let partial = partial.map(|(first, count)| format!("<{first}.{count}>")).unwrap_or_default();
    format!("BODY{}[{}]{partial}", if *peek { ".PEEK" } else { "" }, pieces.join("."))
}

fn and(keys: &[SearchKey<'_>]) -> String {
    match keys {
        [key] => self::key(key),
        keys => format!("({})", joined(keys.iter().map(self::key))),
    }
}

fn key(key: &SearchKey<'_>) -> String {
    use SearchKey as Key;
    let header = |name: &str, text: &AString<'_>| format!("HEADER \"{name}\" {}", astring(text));
    // Their dates show themselves as in 1994-02-01.
    let date = |name: &str, date: &imap_codec::imap_types::datetime::NaiveDate| {
        let shown = date.as_ref().to_string();
        let mut pieces = shown.split('-');
        let mut number = || pieces.next().unwrap().parse::<usize>().unwrap();
        let (year, month, day) = (number(), number(), number());
        let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][month - 1];
        format!("{name} {day}-{month}-{year:04}")
    };
    match key {
        Key::And(keys) => and(keys.as_ref()),
        Key::SequenceSet(set) => sequence(set),
        Key::Uid(set) => format!("UID {}", sequence(set)),
        Key::Bcc(text) => header("Bcc", text),
        Key::Cc(text) => header("Cc", text),
        Key::From(text) => header("From", text),
        Key::Subject(text) => header("Subject", text),
        Key::To(text) => header("To", text),
        Key::Header(name, text) => format!("HEADER {} {}", astring(name), astring(text)),
        Key::Body(text) => format!("BODY {}", astring(text)),
        Key::Text(text) => format!("TEXT {}", astring(text)),
        Key::Before(day) => date("BEFORE", day),
        Key::On(day) => date("ON", day),
        Key::Since(day) => date("SINCE", day),
        Key::SentBefore(day) => date("SENTBEFORE", day),
        Key::SentOn(day) => date("SENTON", day),
        Key::SentSince(day) => date("SENTSINCE", day),
        Key::Larger(octets) => format!("LARGER {octets}"),
        Key::Smaller(octets) => format!("SMALLER {octets}"),
        Key::ModSequence { modseq, .. } => format!("MODSEQ {modseq}"),
        Key::Keyword(keyword) => format!("KEYWORD {}", plain(keyword.inner().as_bytes())),
        Key::Unkeyword(keyword) => format!("NOT KEYWORD {}", plain(keyword.inner().as_bytes())),
        Key::Not(key) => format!("NOT {}", self::key(key)),
        Key::Or(one, other) => format!("OR {} {}", self::key(one), self::key(other)),
        Key::New => "(RECENT NOT SEEN)".into(),
        Key::Old => "NOT RECENT".into(),
        key => {
            let name = format!("{key:?}").to_uppercase();
            name.strip_prefix("UN").map_or(name.clone(), |flag| format!("NOT {flag}"))
        }
    }
}

/// Forms about which both differ, and why. `Ok`: what we take them for; imap-codec refuses them. `Err`: imap-codec takes
/// them.
const DIFFERENCES: &[(&str, Result<&str, &str>, &str)] = &[
    ("A NOOP \r\n", Ok("NOOP"), "spaces at the end do no harm"),
    ("A  NOOP\r\n", Ok("NOOP"), "nor do two where one must stand"),
    ("A FETCH 1 ( FLAGS  UID )\r\n", Ok("FETCH 1 (FLAGS UID)"), "nor those inside of parentheses"),
    ("A AUTHENTICATE PLAIN A\r\n", Ok("AUTHENTICATE PLAIN A"), "base64 is for SASL to read, with its own answer"),
    ("A COMPRESS LZ4\r\n", Ok("COMPRESS LZ4"), "the session answers NO to an algorithm that it does not have"),
    (
        "A DELETE \"ä\"\r\n",
        Ok("DELETE {2}\r\nÃ¤"),
        "UTF-8 may stand in quotes: RFC 6855 §3, and clients send it unasked",
    ),
    ("A FETCH 1 BODY[]<4294967296.1>\r\n", Ok("FETCH 1 (BODY[]<4294967296.1>)"), "RFC 9051 §9 partial: 63 bits"),
    ("A SEARCH LARGER 4294967296\r\n", Ok("SEARCH LARGER 4294967296"), "RFC 9051 §9 search-key: 63 bits"),
    (
        "A APPEND x \"1-Jan-2020 00:00:00 +0000\" {1}\r\nx\r\n",
        Ok("APPEND \"x\" () 1577836800 1"),
        "a day of one digit without a space",
    ),
    ("A APPEND x {1}\r\n\0\r\n", Ok("APPEND \"x\" () now 1"), "a message is streamed: who takes it, refuses NUL"),
    ("A APPEND x UTF8 (~{1}\r\nx)\r\n", Ok("APPEND \"x\" () now ~1"), "RFC 6855 §4"),
    ("A APPEND x {1}\r\nx {1}\r\nx\r\n", Ok("APPEND \"x\" () now 1APPEND \"\" () now 1"), "RFC 3502"),
    ("A LIST (SUBSCRIBED) \"\" *\r\n", Ok("LIST (SUBSCRIBED) \"\" (\"*\") RETURN ()"), "RFC 5258"),
    ("A LIST \"\" (a b)\r\n", Ok("LIST () \"\" (\"a\" \"b\") RETURN ()"), "RFC 5258"),
    ("A LIST \"\" * RETURN (CHILDREN)\r\n", Ok("LIST () \"\" (\"*\") RETURN (CHILDREN)"), "RFC 5258"),
    ("A CREATE x (USE (\\Sent))\r\n", Ok("CREATE \"x\" (USE (\\Sent))"), "RFC 6154 §3"),
    ("A SEARCH RETURN () 1\r\n", Ok("SEARCH RETURN (ALL) 1"), "RFC 4731"),
    ("A STATUS x (APPENDLIMIT)\r\n", Ok("STATUS \"x\" (APPENDLIMIT)"), "RFC 7889"),
    ("A FETCH 1 FLAGS (CHANGEDSINCE 0)\r\n", Ok("FETCH 1 (FLAGS) (CHANGEDSINCE 0)"), "0 means since ever"),
    ("A ID ()\r\n", Ok("ID NIL"), "nothing said"),
    ("A SORT (DATE) UTF-8 ALL\r\n", Err("unknown command"), "RFC 5256 is not announced"),
    ("A THREAD REFERENCES UTF-8 ALL\r\n", Err("unknown command"), "RFC 5256 is not announced"),
    ("A FETCH 1 BINARY[1]\r\n", Err("FETCH item"), "RFC 3516 is not announced"),
    ("A FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)\r\n", Err("FETCH modifier"), "QRESYNC is not announced"),
    ("A SELECT x (QRESYNC (1 1))\r\n", Err("SELECT parameter"), "QRESYNC is not announced"),
];

#[test]
fn differences_are_known_one_by_one() {
    for (command, expected, why) in DIFFERENCES {
        let ours = canonical::read(command.as_bytes());
        assert_eq!(ours.as_deref().map_err(|_| ()), expected.map_err(|_| ()), "{command:?}: {why}");
        if let (Err(seen), Err(expected)) = (&ours, expected) {
            assert!(seen.contains(expected), "{command:?}: {seen}");
        }
        assert_ne!(theirs(command.as_bytes()).ok(), ours.ok(), "no difference any more: {command:?}: {why}");
    }
}

/// Whether a command with a mistake in it is of a kind that stands in the table.
fn is_known(command: &[u8]) -> bool {
    let has = |octets: &[u8]| memchr::memmem::find(command, octets).is_some();
    let verb = command.split(|byte| *byte == b' ').nth(1).unwrap_or_default().to_ascii_uppercase();
    let has_long_number = command.split(|byte| !byte.is_ascii_digit()).any(|digits| digits.len() >= 10);
    let has_spaces = has(b"  ") || has(b"( ") || has(b" )") || has(b" \r\n");
    let is_eight_bit = !command.is_ascii();
    has_spaces
        || has_long_number
        || is_eight_bit
        || matches!(verb.as_slice(), b"AUTHENTICATE" | b"COMPRESS" | b"APPEND")
}

/// A mod-sequence has 63 bits (RFC 7162 §7, mod-sequence-value); theirs take one of 64.
fn has_64_bits(command: &[u8]) -> bool {
    let numbers = command.split(|byte| !byte.is_ascii_digit()).filter_map(|digits| str::from_utf8(digits).ok());
    numbers.filter_map(|digits| digits.parse::<u64>().ok()).any(|number| number > i64::MAX as u64)
}

/// Puts a mistake into a command.
fn spoil(command: &mut Vec<u8>, place: usize, mistake: usize, octet: u8) {
    let at = place % command.len();
    match mistake {
        0 => drop(command.remove(at)),
        1 => command.insert(at, octet),
        2 => command[at] = octet,
        _ => command.insert(at, command[at]),
    }
}

fn same(command: &str) -> Result<(), TestCaseError> {
    let (ours, theirs) = (canonical::read(command.as_bytes()), theirs(command.as_bytes()));
    prop_assert_eq!(ours.clone().ok(), theirs.clone().ok(), "{:?}: {:?} {:?}", command, ours, theirs);
    Ok(())
}

proptest! {
    #[test]
    fn commands_of_known_forms_mean_the_same(command in generate::command()) {
        prop_assert!(canonical::read(command.as_bytes()).is_ok(), "{command:?}: {:?}", canonical::read(command.as_bytes()));
        same(&command)?;
    }

    #[test]
    fn commands_with_a_mistake_are_refused_by_both_or_by_none(
        command in generate::command(),
        mistakes in prop::collection::vec((any::<usize>(), 0..4_usize, prop::sample::select(b" ()\"{}[]<>\\*%+-.:,\r\n0aZ~\x00\xe4".as_slice())), 1..3),
    ) {
        let mut command = command.into_bytes();
        for (place, mistake, octet) in mistakes {
            spoil(&mut command, place, mistake, octet);
        }
        let (ours, theirs) = (canonical::read(&command), theirs(&command));
        // A line that ends so would announce a literal to the client.
        prop_assert!(!ours.as_ref().is_err_and(|what| what.ends_with('}')), "{:?}", ours);
        if ours.clone().ok() != theirs.clone().ok() {
            let shown = String::from_utf8_lossy(&command).into_owned();
            let is_excused = if theirs.is_err() { is_known(&command) } else { has_64_bits(&command) };
            prop_assert!(is_excused, "{:?}: {:?} {:?}", shown, ours, theirs);
        }
    }
}
