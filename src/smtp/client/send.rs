use std::time::Duration;

use crate::base::limits;
use crate::net::{Connection, ConnectionError};
use crate::queue::Content;
use crate::smtp::wire::{ChunkGuard, DataEncoder};

/// Octets of a block: it is encoded and sent as one, and the server has a time of its own to take it.
const BLOCK_BYTES: usize = 32 * 1024;

/// Why a message was not sent whole.
pub(super) enum Unsent {
    /// It can't be: it is not there, or not as it should be.
    Message(String),
    /// The connection does not take it.
    Connection(ConnectionError),
}

impl From<ConnectionError> for Unsent {
    fn from(error: ConnectionError) -> Self {
        Self::Connection(error)
    }
}

/// Sends a message up to the CRLF before the end of data, a block at a time. Gives its octets.
// RFC 5321 §4.5.3.2.5: the time is for each block.
pub(super) async fn content(
    connection: &mut Connection,
    content: &mut Content,
    within: Duration,
) -> Result<u64, Unsent> {
    let mut encoder = DataEncoder::default();
    let mut bytes = 0;
    loop {
        let piece = content.next().await.map_err(|error| Unsent::Message(error.to_string()))?;
        let Some(piece) = piece else { break };
        bytes += piece.len() as u64;
        for block in piece.chunks(BLOCK_BYTES) {
            encoder.encode(block, connection.output()).map_err(|error| Unsent::Message(error.to_string()))?;
            if connection.output().len() >= BLOCK_BYTES {
                connection.flush(within).await?;
            }
        }
    }
    encoder.finish(connection.output()).map_err(|error| Unsent::Message(error.to_string()))?;
    connection.flush(within).await?;
    Ok(bytes)
}

/// Sends a message as it is, but for its last octets: these are the end of the chunk, and given back to be sent when the
/// attempt is committed. A short message is kept back whole, and so goes out in one write with its BDAT.
// RFC 3030 §2
pub(super) async fn chunk(
    connection: &mut Connection,
    content: &mut Content,
    within: Duration,
) -> Result<(u64, Vec<u8>), Unsent> {
    let expected = content.size_bytes();
    let (mut guard, mut bytes, mut kept) = (ChunkGuard::default(), 0, Vec::new());
    loop {
        let piece = content.next().await.map_err(|error| Unsent::Message(error.to_string()))?;
        let Some(piece) = piece else { break };
        bytes += piece.len() as u64;
        for block in piece.chunks(limits::CHUNK_TAIL_BYTES) {
            guard.pass(block).map_err(|error| Unsent::Message(error.to_string()))?;
            kept.extend_from_slice(block);
            if kept.len() > limits::CHUNK_TAIL_BYTES {
                let surplus = kept.len() - limits::CHUNK_TAIL_BYTES;
                connection.output().extend(kept.drain(..surplus));
                connection.flush(within).await?;
            }
        }
    }
    guard.finish().map_err(|error| Unsent::Message(error.to_string()))?;
    // The server reads as many octets as it was told.
    if bytes != expected {
        return Err(Unsent::Message(format!("the message has {bytes} octets, and not {expected}")));
    }
    Ok((bytes, kept))
}
