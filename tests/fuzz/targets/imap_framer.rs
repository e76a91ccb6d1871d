//! Whatever comes, and however it is cut: the framer finds the same, holds no more than it may, and uses what it is given.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pure::imap::wire::{Frame, Framer};

const COMMAND_BYTES_MAX: usize = 64;

/// What is done with the literals, one after the other.
#[derive(Clone, Copy)]
enum Plan {
    Collect,
    Skip,
    Leave,
}

fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>, plan: u8) -> Vec<(Frame, Vec<u8>)> {
    let (mut framer, mut buffer, mut seen, mut left) = (Framer::new(), Vec::new(), Vec::new(), 0_u64);
    let mut literals = 0_u32;
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let streamed = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            buffer.drain(..streamed);
            left -= streamed as u64;
            if left > 0 {
                break;
            }
            let (frame, used) = framer.next(&buffer, COMMAND_BYTES_MAX);
            assert!(used <= buffer.len());
            assert!(framer.so_far().len() <= COMMAND_BYTES_MAX);
            buffer.drain(..used);
            if frame == Frame::Incomplete {
                assert!(buffer.is_empty(), "all of the input is used");
                break;
            }
            seen.push((frame, framer.so_far().to_vec()));
            match frame {
                Frame::Command => {
                    let command = framer.take();
                    framer.recycle(command);
                }
                Frame::Literal(literal) => {
                    let plan =
                        [Plan::Collect, Plan::Skip, Plan::Leave][usize::from(plan >> (literals % 4 * 2) & 3) % 3];
                    literals += 1;
                    match plan {
                        Plan::Collect => framer.collect(),
                        Plan::Skip => framer.skip(),
                        Plan::Leave => {
                            framer.leave();
                            left = literal.size_bytes;
                        }
                    }
                }
                Frame::Oversize | Frame::Incomplete => {}
            }
        }
    }
    seen
}

fuzz_target!(|data: &[u8]| {
    let Some(([plan, lengths @ ..], input)) = pure::cuts(data) else { return };
    let whole = frames(std::iter::once(input), plan);
    assert_eq!(frames(pure::pieces(input, &lengths), plan), whole);
    assert_eq!(frames(pure::pieces(input, &[0]), plan), whole);
});
