use std::borrow::Cow;

use super::reader::{Read, Reader};
use super::{List, ListReturn, ListSelection, Request, StatusItem};

const MAILBOX: &str = "expected the name of a mailbox";
const PATTERN: &str = "expected a pattern such as \"*\"";
const STATUS: &str = "expected STATUS items such as (MESSAGES UIDNEXT UNSEEN)";
const RETURN: &str = "expected options behind RETURN, such as (SUBSCRIBED CHILDREN)";

/// A mailbox's name behind a space.
pub(super) fn mailbox<'a>(reader: &mut Reader<'a>) -> Read<Cow<'a, [u8]>> {
    reader.space(MAILBOX)?;
    reader.astring(MAILBOX)
}

// RFC 9051 §6.3.2, §6.3.3, RFC 7162 §3.1.8
pub(super) fn select<'a>(reader: &mut Reader<'a>, read_only: bool) -> Read<Request<'a>> {
    let mailbox = mailbox(reader)?;
    let mut condstore = false;
    if reader.has_more() {
        reader.full_list("expected SELECT parameters such as (CONDSTORE)", |reader| {
            if !reader.eat_word("CONDSTORE") {
                return Err("unknown SELECT parameter: CONDSTORE is known");
            }
            condstore = true;
            Ok(())
        })?;
    }
    Ok(Request::Select { mailbox, read_only, condstore })
}

// RFC 9051 §6.3.4, RFC 6154 §3
pub(super) fn create<'a>(reader: &mut Reader<'a>) -> Read<Request<'a>> {
    const USE: &str = "expected special uses such as (USE (\\Sent))";
    let mailbox = mailbox(reader)?;
    let mut special_uses = Vec::new();
    if reader.has_more() {
        reader.full_list(USE, |reader| {
            if !reader.eat_word("USE") {
                return Err("unknown CREATE parameter: USE is known");
            }
            reader.space(USE)?;
            special_uses = reader.list(USE, |reader| {
                let mut ahead = *reader;
                ahead.expect(b'\\', USE)?;
                ahead.atom(USE)?;
                let attribute = reader.take_while(|byte| byte == b'\\' || super::reader::is_atom_char(byte));
                if reader.len() == ahead.len() { Ok(attribute) } else { Err(USE) }
            })?;
            Ok(())
        })?;
    }
    Ok(Request::Create { mailbox, special_uses })
}

// RFC 9051 §6.3.9, RFC 5258 §6
pub(super) fn list<'a>(reader: &mut Reader<'a>) -> Read<Request<'a>> {
    reader.space("expected a reference name and a pattern behind LIST, such as \"\" \"*\"")?;
    let has_selection = reader.peek() == Some(b'(');
    let selection = if has_selection { selection(reader)? } else { ListSelection::default() };
    if has_selection {
        reader.space(MAILBOX)?;
    }
    let reference = reader.astring(MAILBOX)?;
    reader.space(PATTERN)?;
    let has_patterns = reader.peek() == Some(b'(');
    let patterns = if has_patterns {
        reader.full_list(PATTERN, |reader| reader.list_mailbox(PATTERN))?
    } else {
        vec![reader.list_mailbox(PATTERN)?]
    };
    let has_return = reader.has_more();
    let mut returns = ListReturn::default();
    if has_return {
        if !reader.eat_word("RETURN") {
            return Err("expected RETURN or the end of LIST");
        }
        reader.space(RETURN)?;
        reader.list(RETURN, |reader| list_return(reader, &mut returns))?;
    }
    let is_extended = has_selection || has_patterns || has_return;
    Ok(Request::List(List { selection, reference, patterns, returns, is_extended }))
}

// RFC 5258 §3.1, RFC 6154 §2
fn selection(reader: &mut Reader<'_>) -> Read<ListSelection> {
    const SELECTION: &str = "unknown LIST selection: SUBSCRIBED, REMOTE, RECURSIVEMATCH and SPECIAL-USE are known";
    let mut selection = ListSelection::default();
    reader.list(SELECTION, |reader| {
        let word = reader.word();
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        match () {
            () if is("SUBSCRIBED") => selection.subscribed = true,
            () if is("REMOTE") => selection.remote = true,
            () if is("RECURSIVEMATCH") => selection.recursive_match = true,
            () if is("SPECIAL-USE") => selection.special_use = true,
            () => return Err(SELECTION),
        }
        Ok(())
    })?;
    if selection.recursive_match && !selection.subscribed && !selection.special_use {
        return Err("RECURSIVEMATCH needs another selection, such as SUBSCRIBED");
    }
    Ok(selection)
}

// RFC 5258 §3.2, RFC 5819 §2, RFC 6154 §2
fn list_return(reader: &mut Reader<'_>, returns: &mut ListReturn) -> Read<()> {
    let word = reader.word();
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    match () {
        () if is("SUBSCRIBED") => returns.subscribed = true,
        () if is("CHILDREN") => returns.children = true,
        () if is("SPECIAL-USE") => returns.special_use = true,
        () if is("STATUS") => {
            reader.space(STATUS)?;
            returns.status = Some(reader.full_list(STATUS, status_item)?);
        }
        () => return Err("unknown option behind RETURN: SUBSCRIBED, CHILDREN, SPECIAL-USE and STATUS are known"),
    }
    Ok(())
}

// RFC 3501 §6.3.9
pub(super) fn lsub<'a>(reader: &mut Reader<'a>) -> Read<Request<'a>> {
    let reference = mailbox(reader)?;
    reader.space(PATTERN)?;
    Ok(Request::Lsub { reference, pattern: reader.list_mailbox(PATTERN)? })
}

// RFC 9051 §6.3.11
pub(super) fn status<'a>(reader: &mut Reader<'a>) -> Read<Request<'a>> {
    let mailbox = mailbox(reader)?;
    reader.space(STATUS)?;
    Ok(Request::Status { mailbox, items: reader.full_list(STATUS, status_item)? })
}

fn status_item(reader: &mut Reader<'_>) -> Read<StatusItem> {
    let word = reader.word();
    let known = STATUS_ITEMS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
    known.map(|(_, item)| *item).ok_or(
        "unknown STATUS item: MESSAGES, RECENT, UIDNEXT, UIDVALIDITY, UNSEEN, DELETED, DELETED-STORAGE, \
        SIZE, HIGHESTMODSEQ and APPENDLIMIT are known",
    )
}

const STATUS_ITEMS: [(&str, StatusItem); 10] = [
    ("MESSAGES", StatusItem::Messages),
    ("RECENT", StatusItem::Recent),
    ("UIDNEXT", StatusItem::UidNext),
    ("UIDVALIDITY", StatusItem::UidValidity),
    ("UNSEEN", StatusItem::Unseen),
    ("DELETED", StatusItem::Deleted),
    ("DELETED-STORAGE", StatusItem::DeletedStorage),
    ("SIZE", StatusItem::Size),
    ("HIGHESTMODSEQ", StatusItem::HighestModSeq),
    ("APPENDLIMIT", StatusItem::AppendLimit),
];
