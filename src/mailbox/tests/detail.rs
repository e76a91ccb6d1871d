use std::ops::ControlFlow;

use super::super::log::SLICE;
use super::super::message_row::{Front, OWN_LINES};
use super::*;
use crate::base::limits;
use crate::message::Summary;

const OWN: &[u8] = b"Delivered-To: alice\r\n";
const HEAD: &[u8] = b"Subject: x\r\n";

async fn drain(content: Option<Content>) -> Option<Vec<u8>> {
    let (mut content, mut bytes) = (content?, Vec::new());
    while let Some(piece) = content.next().await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    assert_eq!(content.size_bytes(), bytes.len() as u64);
    Some(bytes)
}

#[tokio::test]
async fn every_part_of_a_message_is_read_from_every_place() {
    let world = World::new();
    let inbox = world.inbox(world.put_account("alice@example.test", None));
    let body: Vec<u8> = (0..400_000u32).flat_map(|number| number.to_be_bytes()).collect();
    for (id, body) in [(1, &body[..]), (2, b"\r\n"), (3, b"")] {
        let uids = world.bring(id << 16, HEAD, body, vec![(inbox, OWN.to_vec())]).await;
        let (uid, whole) = (uids[0], [OWN, HEAD, body].concat());
        let (len, front) = (whole.len() as u64, (OWN.len() + HEAD.len()) as u64);
        let view = || world.store.view().unwrap();
        assert_eq!(head(&view(), inbox, uid).unwrap().unwrap(), [OWN, HEAD].concat());
        for first in [0, 1, OWN.len() as u64, front - 1, front, front + 1, len / 2, len.saturating_sub(1), len, len + 9]
        {
            for count in [0, 1, 30, 131_072, 131_073, u64::MAX] {
                let part = |bytes: &[u8]| {
                    let from = (first as usize).min(bytes.len());
                    bytes[from..][..usize::try_from(count).unwrap_or(usize::MAX).min(bytes.len() - from)].to_vec()
                };
                let place = format!("{count} from {first} of {len}");
                let read = drain(content_range(&world.store, inbox, uid, first, count).unwrap()).await;
                assert!(read == Some(part(&whole)), "{place}");
                let read = drain(super::super::body(&world.store, inbox, uid, first, count).unwrap()).await;
                assert!(read == Some(part(body)), "{place}");
                let (mut read, mut read_body_) = (Vec::new(), Vec::new());
                assert!(read_range(&view(), inbox, uid, (first, count), &mut read).unwrap());
                assert!(read_body(&view(), inbox, uid, (first, count), &mut read_body_).unwrap());
                assert!(read == part(&whole) && read_body_ == part(body), "{place} at once");
            }
        }
    }
    let gone = Uid(9);
    let view = world.store.view().unwrap();
    assert!(head(&view, inbox, gone).unwrap().is_none());
    assert!(!read_range(&view, inbox, gone, (0, 1), &mut Vec::new()).unwrap());
    assert!(!read_body(&view, inbox, gone, (0, 1), &mut Vec::new()).unwrap());
    assert!(content_range(&world.store, inbox, gone, 0, 1).unwrap().is_none());
    assert!(super::super::body(&world.store, inbox, gone, 0, 1).unwrap().is_none());
}

#[tokio::test]
async fn a_part_reads_no_chunks_but_its_own() {
    let world = World::new();
    let inbox = world.inbox(world.put_account("alice@example.test", None));
    let mut noise = 1u64;
    // What can't be compressed lies in as many octets as it has.
    let body: Vec<u8> = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (noise >> 56) as u8
    })
    .take(4 << 20)
    .collect();
    let uid = world.bring(1 << 16, HEAD, &body, vec![(inbox, OWN.to_vec())]).await[0];
    let chunks = async |first, count| {
        let before = world.store.health().chunks_read;
        drain(content_range(&world.store, inbox, uid, first, count).unwrap()).await.unwrap();
        world.store.health().chunks_read - before
    };
    let front = (OWN.len() + HEAD.len()) as u64;
    assert_eq!(chunks(0, front).await, 0, "the header is not in the body");
    assert_eq!(chunks(3 << 20, 0).await, 0);
    // A frame of 128 KiB lies in two chunks, or three at the end.
    assert!((1..=2).contains(&chunks(front, 10).await));
    assert!((1..=3).contains(&chunks(front + (3 << 20), 1000).await));
    assert!((1..=3).contains(&chunks(front + (4 << 20) - 1, u64::MAX).await));
    let whole = chunks(0, u64::MAX).await;
    assert!(whole >= 32, "{whole}");
    assert_eq!(chunks(0, u64::MAX).await, whole);
}

/// Takes the summary away, as of a message that came in before there were any.
struct Forget(MailboxId, Uid);

impl Op for Forget {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "test.forget"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        tx.put(&OWN_LINES, &(self.0, self.1), &Front::new(OWN, None))
    }
}

fn kept(world: &World, mailbox: MailboxId) -> Vec<(Uid, Summary)> {
    let mut kept = Vec::new();
    let each = |uid, summary| {
        kept.push((uid, summary));
        ControlFlow::Continue(())
    };
    summaries(&world.store.view().unwrap(), mailbox, (Uid(1), Uid(u32::MAX)), each).unwrap();
    kept
}

#[tokio::test]
async fn a_summary_that_is_not_kept_is_made_and_kept() {
    let world = World::new();
    let inbox = world.inbox(world.put_account("alice@example.test", None));
    let uid = world.bring(1 << 16, HEAD, b"\r\nHello there.\r\n", vec![(inbox, OWN.to_vec())]).await[0];
    assert_eq!(kept(&world, inbox), []);
    let expected = Summary::of_whole(HEAD, b"\r\nHello there.\r\n");
    for _ in 0..2 {
        assert_eq!(summarise(&world.store, inbox, uid).await.unwrap(), Some(expected.clone()));
        // What rides is written before what comes behind it.
        world.expunge(inbox, &[99]).await;
        assert_eq!(kept(&world, inbox), [(uid, expected.clone())]);
        world.is_sound();
    }
    assert_eq!(world.read(inbox, uid).await.unwrap().0, [OWN, HEAD, b"\r\nHello there.\r\n"].concat());
    let _ = world.store.write(Forget(inbox, uid)).await.unwrap();
    assert_eq!(kept(&world, inbox), []);
    assert_eq!(summarise(&world.store, inbox, uid).await.unwrap(), Some(expected));
    assert_eq!(summarise(&world.store, inbox, Uid(9)).await.unwrap(), None);
}

#[tokio::test]
async fn a_summary_too_long_is_made_whenever_it_is_asked_for() {
    let world = World::new();
    let inbox = world.inbox(world.put_account("alice@example.test", None));
    let many = "Somebody Else <somebody.else@far.test>,\r\n ".repeat(500);
    let head: String = ["To", "Cc", "Bcc", "Reply-To"].map(|name| format!("{name}: {many}\r\n")).concat();
    let uid = world.bring(1 << 16, head.as_bytes(), b"\r\n", vec![(inbox, Vec::new())]).await[0];
    let expected = Summary::of_whole(head.as_bytes(), b"\r\n");
    assert!(expected.envelope.len() > limits::SUMMARY_BYTES);
    assert_eq!(summarise(&world.store, inbox, uid).await.unwrap(), Some(expected));
    world.expunge(inbox, &[99]).await;
    assert_eq!(kept(&world, inbox), []);
    world.is_sound();
}

/// Changes the flags of the one message so often, each time as an op of its own would.
struct Toggle(MailboxId, u64);

impl Op for Toggle {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "test.toggle"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        for number in 0..self.1 {
            let mode = if number % 2 == 0 { FlagMode::Add } else { FlagMode::Remove };
            let uids = vec![(Uid(1), Uid(1))];
            let (mailbox, flags, keywords) = (self.0, SystemFlags::SEEN, Vec::new());
            let change = ChangeFlags { mailbox, uids, mode, flags, keywords, unchanged_since: None };
            let Ok(plan) = change.check(tx) else { panic!("it is refused") };
            change.apply(tx, plan)?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn the_log_is_cut_in_slices_and_says_how_far_it_reaches_back() {
    let world = World::new();
    let inbox = world.inbox(world.put_account("alice@example.test", None));
    world.bring(1 << 16, HEAD, b"\r\n", vec![(inbox, OWN.to_vec())]).await;
    let row = || row(&world.store.view().unwrap(), inbox).unwrap().unwrap();
    let since = |modseq| changes(&world.store.view().unwrap(), inbox, ModSeq(modseq)).unwrap();
    let _ = world.store.write(Toggle(inbox, limits::MODSEQ_LOG_ROWS)).await.unwrap();
    assert_eq!(row().log_floor, ModSeq(1));
    assert_eq!(since(1).unwrap().changed.len(), 1);
    world.is_sound();
    let _ = world.store.write(Toggle(inbox, 2 * SLICE)).await.unwrap();
    let Mailbox { modseq, log_floor, .. } = row();
    assert_eq!(log_floor.0 % SLICE, 1);
    assert!(modseq.0 - log_floor.0 >= limits::MODSEQ_LOG_ROWS && log_floor.0 > SLICE, "{modseq} {log_floor}");
    assert!(since(log_floor.0 - 1).is_none(), "read it anew");
    assert_eq!(since(log_floor.0).unwrap().changed.len(), 1);
    assert_eq!(since(modseq.0).unwrap().changed, []);
    assert_eq!(since(modseq.0 + 9).unwrap().changed, [], "nobody was told that");
    world.is_sound();
}
