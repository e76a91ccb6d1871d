use super::select::{Listed, Query};
use super::status::{Facts, facts, write_status};
use crate::base::limits;
use crate::imap::server::context::{Context, Enabled, User};
use crate::imap::server::fault::unavailable;
use crate::imap::server::link::{End, Link};
use crate::imap::wire::{
    Answer, Code, List, ListReturn, ListSelection, StatusItem, mailbox_pattern, write_mailbox_name,
};
use crate::mailbox::{self, Folder, SpecialUse};
use crate::store::StoreError;

/// LIST. RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154
pub(super) async fn list(
    link: &mut Link,
    context: &Context,
    user: &User,
    enabled: Enabled,
    list: &List<'_>,
) -> Result<Answer, End> {
    // RFC 9051 §6.3.9: asks for the separator and the root of the hierarchy.
    if !list.is_extended && list.patterns.iter().all(|pattern| pattern.is_empty()) {
        link.output().extend_from_slice(b"* LIST (\\Noselect) \"/\" \"\"\r\n");
        return Ok(Answer::ok("that is all"));
    }
    // RFC 5258 §3.1
    if list.selection.recursive_match && !list.selection.subscribed && !list.selection.special_use {
        return Ok(Answer::bad("RECURSIVEMATCH needs another selection option beside it"));
    }
    let patterns = match patterns(&list.reference, list.patterns.iter().map(|pattern| &pattern[..]), enabled) {
        Ok(patterns) => patterns,
        Err(answer) => return Ok(answer),
    };
    let folders = match read(context, user).await {
        Ok(folders) => folders,
        Err(error) => return Ok(unavailable(&error)),
    };
    let listed = Query::new(patterns, list.selection).select(&folders);
    let mut statuses = match &list.returns.status {
        Some(items) => match statuses(context, &listed, items).await {
            Ok(statuses) => statuses,
            Err(error) => return Ok(unavailable(&error)),
        },
        None => Vec::new(),
    }
    .into_iter();
    let style = Style { selection: list.selection, returns: &list.returns, is_extended: list.is_extended };
    for listed in listed {
        style.write(link.output(), &listed, enabled);
        // RFC 5819 §2: only for what can be selected
        if let (Some(items), Some(Some(facts))) = (&list.returns.status, statuses.next()) {
            write_status(link.output(), listed.name, items, &facts, context.message_bytes_max, enabled);
        }
        link.relieve().await?;
    }
    Ok(Answer::ok("that is all"))
}

/// LSUB. RFC 3501 §6.3.9
pub(super) async fn lsub(
    link: &mut Link,
    context: &Context,
    user: &User,
    enabled: Enabled,
    reference: &[u8],
    pattern: &[u8],
) -> Result<Answer, End> {
    if pattern.is_empty() {
        link.output().extend_from_slice(b"* LSUB (\\Noselect) \"/\" \"\"\r\n");
        return Ok(Answer::ok("that is all"));
    }
    let patterns = match patterns(reference, [pattern], enabled) {
        Ok(patterns) => patterns,
        Err(answer) => return Ok(answer),
    };
    // With `%`, a level above what is subscribed to is shown as if it could not be selected: in the words of today,
    // that is RECURSIVEMATCH.
    let selection = ListSelection { subscribed: true, recursive_match: true, ..ListSelection::default() };
    let folders = match read(context, user).await {
        Ok(folders) => folders,
        Err(error) => return Ok(unavailable(&error)),
    };
    for listed in Query::new(patterns, selection).select(&folders) {
        let out = link.output();
        out.extend_from_slice(if listed.is_selected { b"* LSUB () " } else { b"* LSUB (\\Noselect) " });
        write_place(out, listed.name, enabled);
        out.extend_from_slice(b"\r\n");
        link.relieve().await?;
    }
    Ok(Answer::ok("that is all"))
}

/// The patterns behind their reference. One that can't be a name's is left out: it matches nothing.
fn patterns<'a>(
    reference: &[u8],
    patterns: impl IntoIterator<Item = &'a [u8]>,
    enabled: Enabled,
) -> Result<Vec<String>, Answer> {
    let joined = patterns.into_iter().map(|pattern| [reference, pattern].concat());
    let read: Vec<_> = joined.filter_map(|sent| mailbox_pattern(&sent, enabled.utf8).ok()).collect();
    let wildcards: usize = read.iter().map(|pattern| pattern.matches(['*', '%']).count()).sum();
    if wildcards > limits::LIST_WILDCARDS {
        return Err(Answer::no("that are too many wildcards").with(Code::Limit));
    }
    Ok(read)
}

async fn read(context: &Context, user: &User) -> Result<Vec<Folder>, StoreError> {
    let account = user.account;
    context.store.read(move |view| mailbox::folders(view, account)).await
}

/// What STATUS says of each name; `None` for those that are no mailboxes.
async fn statuses(
    context: &Context,
    listed: &[Listed<'_>],
    items: &[StatusItem],
) -> Result<Vec<Option<Facts>>, StoreError> {
    let mut statuses = Vec::with_capacity(listed.len());
    for listed in listed {
        statuses.push(match listed.folder.and_then(|folder| folder.mailbox.clone()) {
            Some((id, mailbox)) => Some(facts(context, id, mailbox, items).await?),
            None => None,
        });
    }
    Ok(statuses)
}

/// What the client wants to hear of each name.
struct Style<'a> {
    selection: ListSelection,
    returns: &'a ListReturn,
    is_extended: bool,
}

impl Style<'_> {
    /// Writes a LIST response. RFC 9051 §7.3.1
    fn write(&self, out: &mut Vec<u8>, listed: &Listed<'_>, enabled: Enabled) {
        out.extend_from_slice(b"* LIST (");
        let mut is_first = true;
        let mut attribute = |name: &str| {
            if !std::mem::take(&mut is_first) {
                out.push(b' ');
            }
            out.extend_from_slice(name.as_bytes());
        };
        let mailbox = listed.folder.and_then(|folder| folder.mailbox.as_ref());
        if mailbox.is_none() {
            // RFC 5258 §3: `\NonExistent` implies `\Noselect`, which is the word that older clients know.
            attribute(if self.is_extended { "\\NonExistent" } else { "\\Noselect" });
        }
        // RFC 3348 §3: unasked in the basic form
        if !self.is_extended || self.returns.children {
            let has_children = listed.folder.is_some_and(|folder| folder.has_children);
            attribute(if has_children { "\\HasChildren" } else { "\\HasNoChildren" });
        }
        // RFC 5258 §3.1: the selection option implies the return option.
        let shows_subscribed = self.selection.subscribed || self.returns.subscribed;
        if shows_subscribed && listed.folder.is_some_and(|folder| folder.subscribed) {
            attribute("\\Subscribed");
        }
        // RFC 6154 §2: unasked too, for clients that know the attributes and not how to ask.
        if let Some(special_use) = mailbox.and_then(|(_, mailbox)| mailbox.special_use) {
            attribute(special_use_name(special_use));
        }
        out.extend_from_slice(b") ");
        write_place(out, listed.name, enabled);
        // RFC 5258 §4
        if listed.is_above_selected {
            let (subscribed, special_use) = (self.selection.subscribed, self.selection.special_use);
            out.extend_from_slice(match (subscribed, special_use) {
                (true, true) => b" (\"CHILDINFO\" (\"SUBSCRIBED\" \"SPECIAL-USE\"))",
                (false, true) => b" (\"CHILDINFO\" (\"SPECIAL-USE\"))",
                _ => b" (\"CHILDINFO\" (\"SUBSCRIBED\"))",
            });
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// The separator and a name.
fn write_place(out: &mut Vec<u8>, name: &str, enabled: Enabled) {
    out.extend_from_slice(b"\"/\" ");
    write_mailbox_name(out, name, enabled.utf8);
}

fn special_use_name(special_use: SpecialUse) -> &'static str {
    let found = SpecialUse::ALL.into_iter().find(|(known, ..)| *known == special_use);
    found.map_or("", |(_, name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{AccountId, MailboxId, ModSeq, Uid};
    use crate::mailbox::Mailbox;

    fn mailbox(special_use: Option<SpecialUse>) -> Mailbox {
        Mailbox {
            account: AccountId(1),
            name: "a/b".to_owned(),
            uid_validity: 7,
            uid_next: Uid(9),
            modseq: ModSeq(5),
            messages: 3,
            size_bytes: 100,
            unseen: 2,
            deleted: 1,
            special_use,
            log_floor: ModSeq(0),
        }
    }

    #[track_caller]
    fn check(folder: &Folder, is_above_selected: bool, words: &str, expected: &str) {
        let has = |word| words.split(' ').any(|other| other == word);
        let selection = ListSelection {
            subscribed: has("SUBSCRIBED"),
            special_use: has("SPECIAL-USE"),
            ..ListSelection::default()
        };
        let returns =
            ListReturn { subscribed: has("+SUBSCRIBED"), children: has("+CHILDREN"), ..ListReturn::default() };
        let style = Style { selection, returns: &returns, is_extended: !words.is_empty() };
        let listed = Listed { name: &folder.name, folder: Some(folder), is_selected: true, is_above_selected };
        let mut out = Vec::new();
        style.write(&mut out, &listed, Enabled::default());
        assert_eq!(String::from_utf8(out).unwrap(), format!("* LIST {expected}\r\n"), "{words}");
    }

    #[test]
    fn names_are_shown_with_what_was_asked_for() {
        let row = Some((MailboxId(1), mailbox(Some(SpecialUse::Sent))));
        let sent = Folder { mailbox: row, name: "a/b".to_owned(), subscribed: true, has_children: true };
        check(&sent, false, "", r#"(\HasChildren \Sent) "/" a/b"#);
        check(&sent, false, "EXTENDED", r#"(\Sent) "/" a/b"#);
        check(&sent, false, "+SUBSCRIBED +CHILDREN", r#"(\HasChildren \Subscribed \Sent) "/" a/b"#);
        check(&sent, true, "SUBSCRIBED", r#"(\Subscribed \Sent) "/" a/b ("CHILDINFO" ("SUBSCRIBED"))"#);
        check(&sent, true, "SPECIAL-USE", r#"(\Sent) "/" a/b ("CHILDINFO" ("SPECIAL-USE"))"#);
        let both = r#"(\Subscribed \Sent) "/" a/b ("CHILDINFO" ("SUBSCRIBED" "SPECIAL-USE"))"#;
        check(&sent, true, "SUBSCRIBED SPECIAL-USE", both);
    }

    #[test]
    fn what_is_no_mailbox_says_so() {
        let level = Folder { mailbox: None, name: "x y".to_owned(), subscribed: false, has_children: true };
        check(&level, false, "", r#"(\Noselect \HasChildren) "/" "x y""#);
        check(&level, false, "+CHILDREN", r#"(\NonExistent \HasChildren) "/" "x y""#);
        let gone = Folder { has_children: false, subscribed: true, ..level };
        check(&gone, false, "SUBSCRIBED", r#"(\NonExistent \Subscribed) "/" "x y""#);
    }

    #[test]
    fn wildcards_are_counted() {
        let check = |sent: &str, expected: Option<&str>| {
            let read = patterns(b"a/", [sent.as_bytes()], Enabled::default()).ok();
            assert_eq!(read, expected.map(|pattern| vec![pattern.to_owned()]), "{sent}");
        };
        check("%", Some("a/%"));
        check(&"*x".repeat(limits::LIST_WILDCARDS + 1), None);
    }
}
