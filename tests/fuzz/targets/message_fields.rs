//! Whatever a header block holds: it is read, and what is told of it can be read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pure::message::{Scan, Summary, addresses, decode_field, fields, fold, without_bcc};
use pure::syntax::{Value, assert_envelope};

fuzz_target!(|head: &[u8]| {
    let summary = Summary::of_whole(head, b"\r\n");
    assert_envelope(&Value::read(&summary.envelope));
    let text = decode_field(head);
    let folded = fold(&text);
    assert_eq!(fold(&folded), folded, "folding twice is folding once");
    for name in ["From", "To", "Bcc"] {
        // What the strict reader takes, the envelope shows.
        let Ok(strict) = addresses(head) else { continue };
        let block = [name.as_bytes(), b": ", head, b"\r\n"].concat();
        if !head.contains(&b'\n') && block.len() < 10_000 {
            let envelope = Summary::of_whole(&block, b"").envelope;
            let place = match name {
                "From" => 2,
                "To" => 5,
                _ => 7,
            };
            let shown = Value::read(&envelope);
            let shown = match &shown.list()[place] {
                Value::List(list) => list.iter().filter(|address| !matches!(address.list()[3], Value::Nil)).count(),
                _ => 0,
            };
            assert!(shown >= strict.len(), "{:?}", String::from_utf8_lossy(&block));
        }
    }
    let _ = Scan::of(head);
    assert!(!fields(&without_bcc(head)).any(|field| field.is("bcc")));
});
