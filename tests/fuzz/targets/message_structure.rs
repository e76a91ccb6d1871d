//! Whatever a message holds, and however it is cut: its parts lie where they should, and what is told of them can be read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pure::imap::wire::write_structure;
use pure::message::{HeaderSplitter, PartKind, Structure, StructureScanner, Summary, TextSearch};
use pure::syntax::{Value, assert_body, assert_envelope};

fuzz_target!(|data: &[u8]| {
    let Some((lengths, message)) = pure::cuts(data) else { return };
    let mut splitter = HeaderSplitter::new();
    let Ok(body) = splitter.push(message) else { return };
    let body = body.to_vec();
    let head = splitter.into_header();
    let summary = Summary::of_whole(&head, &body);
    let mut scanner = StructureScanner::new(&head);
    pure::pieces(&body, &lengths).for_each(|piece| scanner.push(piece));
    assert_eq!(Summary::of(&head, scanner.finish()), summary, "cuts make no difference");

    places(&summary.structure, &body);
    assert_envelope(&Value::read(&summary.envelope));
    assert!(summary.preview.chars().count() <= 200);
    assert!(!summary.preview.contains(char::is_control));
    for is_extended in [false, true] {
        let mut out = Vec::new();
        write_structure(&mut out, &summary.structure, is_extended);
        assert_body(&Value::read(&out), is_extended);
    }
    numbers(&summary.structure);
    texts(&summary.structure, &body, &lengths);
});

/// Parts lie in their parents, one behind the other, and their lines are counted.
fn places(structure: &Structure, body: &[u8]) {
    let mut ends = vec![0; structure.parts.len()];
    for (at, part) in structure.parts.iter().enumerate() {
        let end = part.content_at + part.content_bytes;
        let content = &body[usize::try_from(part.content_at).unwrap()..usize::try_from(end).unwrap()];
        assert_eq!(part.lines, content.iter().filter(|byte| **byte == b'\n').count() as u64, "{part:?}");
        let Some(parent) = part.parent.map(usize::from) else { continue };
        assert!(parent < at);
        let around = &structure.parts[parent];
        assert!(part.header_at >= ends[parent].max(around.content_at), "{:?}", structure.parts);
        assert_eq!(part.header_at + part.header_bytes, part.content_at);
        assert!(end <= around.content_at + around.content_bytes, "{:?}", structure.parts);
        if let PartKind::Message { .. } = around.kind {
            assert_eq!((part.header_at, end), (around.content_at, around.content_at + around.content_bytes));
        }
        ends[parent] = end;
    }
}

/// Each part is found by its number.
fn numbers(structure: &Structure) {
    for at in 0..structure.parts.len() {
        assert_eq!(structure.message_in(at).is_some(), matches!(structure.parts[at].kind, PartKind::Message { .. }));
        for (number, child) in (1..).zip(structure.children(at)) {
            assert_eq!(structure.parts[child].parent.map(usize::from), Some(at));
            if at == 0 && structure.parts[0].kind == PartKind::Multipart {
                assert_eq!(structure.find(&[number]), Some(child));
            }
        }
    }
}

fn texts(structure: &Structure, body: &[u8], lengths: &[u8]) {
    let texts = ["a", "ü", "text", "boundary"];
    let (mut whole, mut cut) = (TextSearch::new(&texts, structure), TextSearch::new(&texts, structure));
    whole.push(body);
    pure::pieces(body, lengths).for_each(|piece| cut.push(piece));
    assert_eq!(whole.found(), cut.found());
}
