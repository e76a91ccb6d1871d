use super::command::Line;
use super::effect::{Effect, Effects};
use super::input::{ChunkEnd, DataEnd, Driver};
use super::limiter::{Count, Stepped};
use super::mail::{self, Transaction};
use super::state::{Client, Place};
use super::step::end_by_fault;
use crate::base::limits;
use crate::smtp::wire::{self, Chunk, reply};

/// RFC 3030 §2: so many octets of the message follow at once, whatever is answered. Where they are not wanted, they are
/// read all the same: they must never be taken for commands.
pub(super) fn bdat<D: Driver>(place: Place<D>, line: Line<'_>) -> Stepped<D> {
    let Some(chunk) = wire::bdat(line.argument) else {
        return Stepped::close(reply::BAD_BDAT);
    };
    match place {
        Place::InTransaction(client, transaction) if !transaction.recipients.is_empty() => {
            receive(client, transaction, None, chunk)
        }
        Place::InChunks(client, transaction, before) => receive(client, transaction, Some(before), chunk),
        place => {
            let refusal = match &place {
                Place::Connected(_) => reply::HELLO_FIRST,
                Place::InTransaction(..) => reply::NO_RECIPIENTS,
                // Also behind a chunk that was refused: its transaction is gone.
                _ => reply::MAIL_FIRST,
            };
            Stepped::well(Place::Skipping(Box::new(place), refusal), Effects::one(Effect::SkipChunk(chunk.bytes)))
        }
    }
}

fn receive<D: Driver>(
    client: Client<D>,
    transaction: Transaction<D>,
    before: Option<D::Chunks>,
    chunk: Chunk,
) -> Stepped<D> {
    let effect = Effect::ReceiveChunk {
        facts: client.facts(),
        before,
        chunk,
        line_ends: mail::line_ends(client.remote.rules.profile),
        bytes_max: client.remote.rules.message_bytes_max,
    };
    let place = Place::ReceivingChunk(client, transaction, chunk.is_last);
    let is_small = !chunk.is_last && chunk.bytes < limits::SMALL_CHUNK_BYTES;
    // A message in pieces of one octet costs us a reply each.
    Stepped::well(place, Effects::one(effect)).counted_as(if is_small { Count::Junk } else { Count::Nothing })
}

/// All its octets were read.
pub(super) fn received<D: Driver>(
    client: Client<D>,
    transaction: Transaction<D>,
    is_last: bool,
    end: ChunkEnd<D>,
) -> Stepped<D> {
    match end {
        ChunkEnd::More(chunks) if !is_last => {
            Stepped::well(Place::InChunks(client, transaction, chunks), Effects::reply(reply::CHUNK_OK))
        }
        ChunkEnd::End(end) if is_last || !matches!(end, DataEnd::Taken(_)) => mail::received(client, transaction, end),
        _ => end_by_fault(),
    }
}

/// They were read and forgotten.
pub(super) fn skipped<D: Driver>(place: Place<D>, refusal: reply::Fixed) -> Stepped<D> {
    // A client that pipelines has sent its other chunks before it knew that the first was refused.
    Stepped::well(place, Effects::reply(refusal)).counted_as(Count::Junk)
}
