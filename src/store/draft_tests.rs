use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::queue::block_on;
use super::tests::{NOTES, Note, memory, note, run};
use super::*;

type Rows = Vec<((u32, String), Note)>;

/// What a reader sees: everything, a box, a page of it, and the last of both.
fn seen(read: &impl Read) -> Vec<Rows> {
    let box_ = || Span::<(u32, String)>::prefix(&1u32);
    let last = |span| read.last(&NOTES, span).unwrap().into_iter().collect::<Rows>();
    vec![
        read.rows(&NOTES, Span::all(), usize::MAX).unwrap(),
        read.rows(&NOTES, box_(), usize::MAX).unwrap(),
        read.rows(&NOTES, box_().after(&(1, "b".into())), 2).unwrap(),
        last(Span::all()),
        last(box_()),
        last(Span::range((0, "b".to_owned())..(1, "c".to_owned()))),
    ]
}

#[derive(Debug, Clone)]
enum Step {
    Put(u32, String, String),
    Remove(u32, String),
    Count,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || (0..3u32, "[a-d]");
    prop_oneof![
        (key(), "[x-z]").prop_map(|((box_, name), text)| Step::Put(box_, name, text)),
        key().prop_map(|(box_, name)| Step::Remove(box_, name)),
        Just(Step::Count),
    ]
}

fn play(tx: &mut Tx<'_>, steps: &[Step]) -> Vec<String> {
    let outcome = |step: &Step| match step {
        Step::Put(box_, name, text) => {
            format!("{:?}", tx.put(&NOTES, &(*box_, name.clone()), &note(text)))
        }
        Step::Remove(box_, name) => format!("{:?}", tx.remove(&NOTES, &(*box_, name.clone()))),
        Step::Count => format!("{:?}", tx.next("count", |_| Ok(0))),
    };
    steps.iter().map(outcome).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A draft reads as if it was written, leaves no trace before it is adopted, and all of it then.
    #[test]
    fn a_draft_is_what_it_becomes(
        before in prop::collection::vec(step(), 0..12),
        steps in prop::collection::vec(step(), 0..12),
    ) {
        let (drafted, plain) = (memory(), memory());
        for store in [&drafted, &plain] {
            let before = before.clone();
            block_on(store.write(run(move |tx| { play(tx, &before); Ok(()) }))).unwrap().into_inner();
        }
        let told = Arc::new(Mutex::new(Vec::new()));
        let (say, own) = (Arc::clone(&told), steps.clone());
        block_on(drafted.write(run(move |tx| {
            let untouched = seen(tx);
            let mut draft = tx.draft();
            let outcomes = play(&mut draft, &own);
            let in_draft = seen(&draft);
            assert_eq!(seen(tx), untouched);
            tx.adopt(draft.into_draft())?;
            assert_eq!(seen(tx), in_draft);
            say.lock().unwrap().extend(outcomes);
            Ok(())
        }))).unwrap().into_inner();
        let outcomes = block_on(plain.write(run(move |tx| Ok(play(tx, &steps))))).unwrap().into_inner();
        prop_assert_eq!(&*told.lock().unwrap(), &outcomes);
        prop_assert_eq!(seen(&drafted.view().unwrap()), seen(&plain.view().unwrap()));
        let next = |store: &Store| block_on(store.write(run(|tx| tx.next("count", |_| Ok(0))))).unwrap().into_inner();
        prop_assert_eq!(next(&drafted), next(&plain));
    }
}

#[test]
fn a_draft_that_is_dropped_changes_nothing() {
    let store = memory();
    block_on(store.write(run(|tx| {
        let mut draft = tx.draft();
        draft.put(&NOTES, &(1, "a".into()), &note("x"))?;
        assert!(draft.has(&NOTES, &(1, "a".into()))? && !tx.has(&NOTES, &(1, "a".into()))?);
        Ok(())
    })))
    .unwrap()
    .into_inner();
    assert!(!store.view().unwrap().has(&NOTES, &(1, "a".into())).unwrap());
}
