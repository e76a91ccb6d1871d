//! Whatever a client sends: it is read or refused, in time and memory that its length bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pure::imap::wire::{
    Answer, Code, Request, Search, SearchKey, SequenceSet, append, append_rest, mailbox_name, mailbox_pattern, matches,
    parse, write_answer, write_mailbox_name,
};

fuzz_target!(|command: &[u8]| {
    match parse(command) {
        Ok(read) => {
            assert!(!read.tag.is_empty());
            look_into(&read.request);
        }
        Err(error) => {
            let mut out = Vec::new();
            write_answer(&mut out, error.tag, &Answer::bad(error.what).with(Code::Parse));
            assert_eq!(out.iter().filter(|byte| matches!(byte, b'\r' | b'\n')).count(), 2, "an answer is one line");
        }
    }
    if let Some(Ok(read)) = append(command) {
        names(&read.mailbox);
    }
    let _ = append_rest(command, false);
    let _ = append_rest(command, true);
    names(command);
});

fn look_into(request: &Request<'_>) {
    match request {
        Request::List(list) => {
            for pattern in &list.patterns {
                if let Ok(pattern) = mailbox_pattern(pattern, false) {
                    matches(&pattern, "INBOX/a/b/INBOX");
                    matches(&pattern, &pattern);
                }
            }
        }
        Request::Select { mailbox, .. } | Request::Create { mailbox, .. } | Request::Status { mailbox, .. } => {
            names(mailbox)
        }
        Request::Search(Search { key, .. }) => keys(key),
        Request::Fetch(fetch) => sets(&fetch.messages.set),
        _ => {}
    }
    assert!(!format!("{request:?}").contains("hunter2"), "a password is never shown");
}

fn keys(key: &SearchKey<'_>) {
    match key {
        SearchKey::And(all) => all.iter().for_each(keys),
        SearchKey::Or(one, other) => [one, other].into_iter().for_each(|key| keys(key)),
        SearchKey::Not(key) => keys(key),
        SearchKey::Sequence(set) | SearchKey::Uid(set) => sets(set),
        _ => {}
    }
}

/// Ranges come out sorted, apart, and within what there is.
fn sets(set: &SequenceSet) {
    for highest in [0, 1, 10, u32::MAX] {
        let ranges = set.resolve(highest);
        assert!(ranges.iter().all(|(first, last)| first <= last));
        assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }
}

/// A name that is taken is the same when it comes back as it is told.
fn names(sent: &[u8]) {
    for is_utf8 in [false, true] {
        let Ok(name) = mailbox_name(sent, is_utf8) else { continue };
        let mut out = Vec::new();
        write_mailbox_name(&mut out, &name, is_utf8);
        let told = if out.first() == Some(&b'"') || out.first() == Some(&b'{') {
            let list = [b"(".as_slice(), &out, b")"].concat();
            if out.is_ascii() { string(&list) } else { continue }
        } else {
            out
        };
        assert_eq!(mailbox_name(&told, is_utf8).as_ref(), Ok(&name), "{told:?}");
        assert!(matches("*", &name));
    }
}

fn string(list: &[u8]) -> Vec<u8> {
    match pure::syntax::Value::read(list).list() {
        [pure::syntax::Value::String(text)] => text.clone(),
        other => panic!("{other:?}"),
    }
}
