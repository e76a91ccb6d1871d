//! A command's meaning as text: one command, one text. It is a command itself, so that it can be read again.

use std::fmt::Write;

use super::super::date::civil;
use super::super::*;
use crate::base::{SystemFlags, Timestamp};

/// What stands on the wire, as a session reads it: the whole input is one command.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(input: &[u8]) -> Result<String, &'static str> {
    let mut framer = Framer::new();
    let mut at = 0;
    loop {
        let (frame, used) = framer.next(&input[at..], 1 << 20);
        at += used;
        match frame {
            Frame::Incomplete => return Err("not all of a command"),
            Frame::Oversize => return Err("oversize"),
            Frame::Command if at < input.len() => return Err("more than a command"),
            Frame::Command => break,
            Frame::Literal(literal) => match append(framer.so_far()) {
                None => framer.collect(),
                Some(Err(error)) => return Err(error.what),
                Some(Ok(begin)) => {
                    let text = append_text(&begin.mailbox, &begin.message, literal);
                    let was_utf8 = begin.message.is_utf8;
                    framer.leave();
                    return read_append(input, at, literal, framer, text, was_utf8);
                }
            },
        }
    }
    let command = framer.take();
    parse(&command).map(|command| text(&command.request)).map_err(|error| error.what)
}

fn read_append(
    input: &[u8],
    mut at: usize,
    mut literal: Literal,
    mut framer: Framer,
    mut text: String,
    mut was_utf8: bool,
) -> Result<String, &'static str> {
    loop {
        at += usize::try_from(literal.size_bytes).unwrap();
        let (frame, used) = framer.next(input.get(at..).ok_or("not all of a command")?, 1 << 20);
        at += used;
        if frame == Frame::Incomplete {
            return Err("not all of a command");
        }
        match (frame, append_rest(framer.so_far(), was_utf8).map_err(|error| error.what)?) {
            (Frame::Command, _) if at < input.len() => return Err("more than a command"),
            (Frame::Command, AppendRest::End) => return Ok(text),
            (Frame::Literal(next), AppendRest::Message(message)) => {
                text.push_str(&append_text(b"", &message, next));
                was_utf8 = message.is_utf8;
                literal = next;
                framer.leave();
            }
            (frame, rest) => panic!("{frame:?} {rest:?}"),
        }
    }
}

fn append_text(mailbox: &[u8], message: &AppendMessage<'_>, literal: Literal) -> String {
    let date = message.internal_date.map_or("now".to_owned(), |Timestamp(ms)| (ms / 1000).to_string());
    let kind = if literal.is_binary { "~" } else { "" };
    format!("APPEND {} ({}) {date} {kind}{}", mailbox_text(mailbox), flags(&message.flags), literal.size_bytes)
}

/// The text of what was read.
pub(in crate::imap::wire) fn text(request: &Request<'_>) -> String {
    match request {
        Request::Capability => "CAPABILITY".into(),
        Request::Noop => "NOOP".into(),
        Request::Logout => "LOGOUT".into(),
        Request::Id(pairs) if pairs.is_empty() => "ID NIL".into(),
        Request::Id(pairs) => {
            let pair = |(name, value): &IdPair<'_>| {
                format!("{} {}", string(name), value.as_ref().map_or("NIL".to_owned(), |value| string(value)))
            };
            format!("ID ({})", joined(pairs.iter().map(pair)))
        }
        Request::StartTls => "STARTTLS".into(),
        Request::Authenticate { mechanism, initial } => {
            let initial = initial.map(|initial| format!(" {}", plain(initial))).unwrap_or_default();
            format!("AUTHENTICATE {}{initial}", plain(mechanism).to_uppercase())
        }
        Request::Login { user, password } => format!("LOGIN {} {}", string(user), string(&password.0)),
        Request::Enable(names) => format!("ENABLE {}", joined(names.iter().map(|name| plain(name).to_uppercase()))),
        Request::Select { mailbox, read_only, condstore } => {
            let verb = if *read_only { "EXAMINE" } else { "SELECT" };
            format!("{verb} {}{}", mailbox_text(mailbox), if *condstore { " (CONDSTORE)" } else { "" })
        }
        Request::Create { mailbox, special_uses } if special_uses.is_empty() => {
            format!("CREATE {}", mailbox_text(mailbox))
        }
        Request::Create { mailbox, special_uses } => {
            format!("CREATE {} (USE ({}))", mailbox_text(mailbox), joined(special_uses.iter().map(|name| plain(name))))
        }
        Request::Delete(mailbox) => format!("DELETE {}", mailbox_text(mailbox)),
        Request::Rename { from, to } => format!("RENAME {} {}", mailbox_text(from), mailbox_text(to)),
        Request::Subscribe(mailbox) => format!("SUBSCRIBE {}", mailbox_text(mailbox)),
        Request::Unsubscribe(mailbox) => format!("UNSUBSCRIBE {}", mailbox_text(mailbox)),
        Request::List(list) => list_text(list),
        Request::Lsub { reference, pattern } => format!("LSUB {} {}", mailbox_text(reference), string(pattern)),
        Request::Namespace => "NAMESPACE".into(),
        Request::Status { mailbox, items } => format!("STATUS {} ({})", mailbox_text(mailbox), status_items(items)),
        Request::Idle => "IDLE".into(),
        Request::GetQuota(root) => format!("GETQUOTA {}", string(root)),
        Request::GetQuotaRoot(mailbox) => format!("GETQUOTAROOT {}", mailbox_text(mailbox)),
        Request::SetQuota => "SETQUOTA \"\" ()".into(),
        Request::Compress(algorithm) => format!("COMPRESS {}", plain(algorithm).to_uppercase()),
        Request::Check => "CHECK".into(),
        Request::Close => "CLOSE".into(),
        Request::Unselect => "UNSELECT".into(),
        Request::Expunge(None) => "EXPUNGE".into(),
        Request::Expunge(Some(set)) => format!("UID EXPUNGE {}", sequence(set)),
        Request::Search(search) => search_text(search),
        Request::Fetch(fetch) => {
            let Fetch { messages, items, changed_since } = fetch;
            let changed = changed_since.map(|modseq| format!(" (CHANGEDSINCE {modseq})")).unwrap_or_default();
            format!(
                "{}{} ({}){changed}",
                uid(messages, "FETCH"),
                sequence(&messages.set),
                joined(items.iter().map(item))
            )
        }
        Request::Store(store) => {
            let since = store.unchanged_since.map(|modseq| format!("(UNCHANGEDSINCE {modseq}) ")).unwrap_or_default();
            let mode = match store.change.mode {
                FlagMode::Replace => "",
                FlagMode::Add => "+",
                FlagMode::Remove => "-",
            };
            let silent = if store.is_silent { ".SILENT" } else { "" };
            let set = sequence(&store.messages.set);
            let flags = flags(&store.change.flags);
            format!("{}{set} {since}{mode}FLAGS{silent} ({flags})", uid(&store.messages, "STORE"))
        }
        Request::Copy { messages, mailbox, moves } => {
            let verb = uid(messages, if *moves { "MOVE" } else { "COPY" });
            format!("{verb}{} {}", sequence(&messages.set), mailbox_text(mailbox))
        }
    }
}

fn uid(messages: &MessageSet, verb: &str) -> String {
    format!("{}{verb} ", if messages.is_uid { "UID " } else { "" })
}

fn list_text(list: &List<'_>) -> String {
    let ListSelection { subscribed, remote, recursive_match, special_use } = list.selection;
    let selection = [
        (subscribed, "SUBSCRIBED"),
        (remote, "REMOTE"),
        (recursive_match, "RECURSIVEMATCH"),
        (special_use, "SPECIAL-USE"),
    ];
    let returns = [
        (list.returns.subscribed, "SUBSCRIBED".to_owned()),
        (list.returns.children, "CHILDREN".to_owned()),
        (list.returns.special_use, "SPECIAL-USE".to_owned()),
        (
            list.returns.status.is_some(),
            format!("STATUS ({})", status_items(list.returns.status.as_deref().unwrap_or_default())),
        ),
    ];
    let chosen = joined(selection.iter().filter(|(is, _)| *is).map(|(_, name)| *name));
    let returned = joined(returns.iter().filter(|(is, _)| *is).map(|(_, name)| name));
    let patterns = joined(list.patterns.iter().map(|pattern| string(pattern)));
    let reference = mailbox_text(&list.reference);
    match list.is_extended {
        true => format!("LIST ({chosen}) {reference} ({patterns}) RETURN ({returned})"),
        false => format!("LIST {reference} {patterns}"),
    }
}

fn status_items(items: &[StatusItem]) -> String {
    joined(items.iter().map(|item| match item {
        StatusItem::DeletedStorage => "DELETED-STORAGE".to_owned(),
        item => format!("{item:?}").to_uppercase(),
    }))
}

fn search_text(search: &Search<'_>) -> String {
    let mut text = format!("{}SEARCH ", if search.is_uid { "UID " } else { "" });
    if let Some(SearchReturn { min, max, all, count }) = search.returns {
        let options = [(min, "MIN"), (max, "MAX"), (all, "ALL"), (count, "COUNT")];
        write!(text, "RETURN ({}) ", joined(options.iter().filter(|(is, _)| *is).map(|(_, name)| *name))).unwrap();
    }
    if let Some(charset) = &search.charset {
        write!(text, "CHARSET {} ", string(charset)).unwrap();
    }
    text + &key(&search.key)
}

fn key(key: &SearchKey<'_>) -> String {
    match key {
        SearchKey::And(keys) if keys.is_empty() => "ALL".into(),
        SearchKey::And(keys) => format!("({})", joined(keys.iter().map(self::key))),
        SearchKey::Or(one, other) => format!("OR {} {}", self::key(one), self::key(other)),
        SearchKey::Not(key) => format!("NOT {}", self::key(key)),
        SearchKey::Sequence(set) => sequence(set),
        SearchKey::Uid(set) => format!("UID {}", sequence(set)),
        SearchKey::Flag(Flag::System(system)) => flag(&Flag::System(*system))[1..].to_uppercase(),
        SearchKey::Flag(keyword) => format!("KEYWORD {}", flag(keyword)),
        SearchKey::Recent => "RECENT".into(),
        SearchKey::Date { of, when, day } => {
            let (year, month, day) = civil(i64::from(*day));
            let month = MONTHS[usize::try_from(month - 1).unwrap()];
            let sent = if *of == SentOrReceived::Sent { "SENT" } else { "" };
            format!("{sent}{} {day}-{month}-{year:04}", format!("{when:?}").to_uppercase())
        }
        SearchKey::Larger(octets) => format!("LARGER {octets}"),
        SearchKey::Smaller(octets) => format!("SMALLER {octets}"),
        SearchKey::ModSeq(modseq) => format!("MODSEQ {modseq}"),
        SearchKey::Header(name, text) => format!("HEADER {} {}", string(name), string(text)),
        SearchKey::Body(text) => format!("BODY {}", string(text)),
        SearchKey::Text(text) => format!("TEXT {}", string(text)),
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn item(item: &FetchItem<'_>) -> String {
    match item {
        FetchItem::Size => "RFC822.SIZE".into(),
        FetchItem::Rfc822(Section { text: None, .. }) => "RFC822".into(),
        FetchItem::Rfc822(Section { text: Some(SectionText::Header), .. }) => "RFC822.HEADER".into(),
        FetchItem::Rfc822(_) => "RFC822.TEXT".into(),
        FetchItem::Section { section, partial, peek } => {
            let mut pieces: Vec<String> = section.part.iter().map(u32::to_string).collect();
            pieces.extend(section.text.as_ref().map(|text| match text {
                SectionText::Header => "HEADER".into(),
                SectionText::HeaderFields(names) => {
                    format!("HEADER.FIELDS ({})", joined(names.iter().map(|name| string(name))))
                }
                SectionText::HeaderFieldsNot(names) => {
                    format!("HEADER.FIELDS.NOT ({})", joined(names.iter().map(|name| string(name))))
                }
                SectionText::Text => "TEXT".into(),
                SectionText::Mime => "MIME".into(),
            }));
            let partial = partial.map(|Partial { first, count }| format!("<{first}.{count}>")).unwrap_or_default();
            format!("BODY{}[{}]{partial}", if *peek { ".PEEK" } else { "" }, pieces.join("."))
        }
        item => format!("{item:?}").to_uppercase(),
    }
}

pub(super) fn flags(flags: &[Flag<'_>]) -> String {
    joined(flags.iter().map(flag))
}

fn flag(flag: &Flag<'_>) -> String {
    match flag {
        Flag::System(flag) => {
            let (_, name) = SystemFlags::NAMES.iter().find(|(known, _)| known == flag).unwrap();
            (*name).to_owned()
        }
        Flag::Foreign(name) | Flag::Keyword(name) => plain(name),
    }
}

pub(super) fn sequence(set: &SequenceSet) -> String {
    let star = |star: &Star| match star {
        Star::Number(number) => number.to_string(),
        Star::Highest => "*".into(),
    };
    let range = |(first, last): &(Star, Star)| {
        if first == last { star(first) } else { format!("{}:{}", star(first), star(last)) }
    };
    set.ranges.iter().map(range).collect::<Vec<_>>().join(",")
}

pub(super) fn mailbox_text(name: &[u8]) -> String {
    if name.eq_ignore_ascii_case(b"INBOX") { "\"INBOX\"".into() } else { string(name) }
}

/// A string as it may stand in a command; octets above 127 as the characters of those numbers.
pub(super) fn string(text: &[u8]) -> String {
    let mut out = Vec::new();
    write_nstring(&mut out, Some(text));
    out.into_iter().map(char::from).collect()
}

pub(super) fn plain(text: &[u8]) -> String {
    text.iter().copied().map(char::from).collect()
}

pub(super) fn joined(words: impl Iterator<Item = impl AsRef<str>>) -> String {
    words.map(|word| word.as_ref().to_owned()).collect::<Vec<_>>().join(" ")
}

/// The octets of a canonical text.
pub(super) fn octets(text: &str) -> Vec<u8> {
    text.chars().map(|char| u8::try_from(u32::from(char)).unwrap()).collect()
}
