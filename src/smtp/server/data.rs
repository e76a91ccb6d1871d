use std::convert::Infallible;
use std::time::Duration;

use tokio::time::Instant;

use super::budget::Pace;
use super::commit::{BodyHashed, Taken};
use super::policy;
use super::session::{End, Session, Smtp};
use crate::base::{Enhanced, Reply};
use crate::dkim::BodyHasher;
use crate::message::{self, HeaderError, HeaderSplitter, StructureScanner};
use crate::smtp::machine::{ChunkEnd, DataEnd, Profile};
use crate::smtp::wire::{Chunk, DataDecoder, DataFaults, LineEnds};
use crate::store::{BlobWriter, Store, WriteError};
use crate::trust::BodyHashes;

/// Octets of a decode buffer to begin with: one read of the connection.
const DECODED_BYTES: usize = 16 * 1024;

/// A message on its way in: the header block stays in memory, the body is looked at and goes to the store as it comes.
struct Incoming {
    splitter: HeaderSplitter,
    body: Option<Body>,
    hashing: Hashing,
    bytes: u64,
    bytes_max: u64,
    eight_bit: bool,
    /// Why nothing more is kept.
    refused: Option<DataEnd<Taken>>,
}

/// A message that comes in chunks, as far as it has come.
pub(super) struct Chunks {
    decoder: DataDecoder,
    incoming: Incoming,
}

/// What a body is hashed for.
enum Hashing {
    /// Nothing.
    No,
    /// The signature of what one of our own sends.
    Sign(Box<BodyHasher>),
    /// The signatures of a stranger, where there are any.
    Verify(Box<BodyHashes>),
    /// The same, and in any case a seal of ours.
    Seal(Box<BodyHashes>),
}

impl Hashing {
    fn push(&mut self, body: &[u8]) {
        match self {
            Self::No => {}
            Self::Sign(hasher) => hasher.push(body),
            Self::Verify(hashes) | Self::Seal(hashes) => hashes.push(body),
        }
    }
}

/// A body on its way in.
struct Body {
    writer: BlobWriter,
    scanner: StructureScanner,
}

impl Session {
    /// Reads to the end of data. What can't be taken is read to its end as well, so that none of it is ever seen as a
    /// command.
    pub(super) async fn receive(
        &mut self,
        line_ends: LineEnds,
        bytes_max: u64,
        seals: bool,
    ) -> Result<DataEnd<Taken>, End> {
        let mut decoder = DataDecoder::new(line_ends);
        let mut incoming = Incoming::new(bytes_max, self.hashing(seals));
        let mut text = Vec::with_capacity(DECODED_BYTES);
        let mut pace = Pace::new(Instant::now());
        loop {
            let input = self.connection.buffered();
            let decoded = decoder.decode(input, &mut text);
            pace.add(decoded.consumed);
            self.connection.consume(decoded.consumed);
            let faults = decoder.faults();
            if faults != DataFaults::default() {
                // The end is known already; the octets need not be kept until then.
                incoming.refuse(DataEnd::Faulty(faults));
            }
            pace.excuse(incoming.take(&text, &self.context.store).await);
            text.clear();
            if decoded.ended {
                return Ok(incoming.finish(faults).await);
            }
            self.fill(Instant::now(), pace.deadline()).await?;
        }
    }

    /// `seals`: a seal is put before what comes, where something is known of it.
    fn hashing(&self, seals: bool) -> Hashing {
        match self.profile {
            Profile::Submission => Hashing::Sign(Box::default()),
            // Nothing is asked of what comes from this machine.
            Profile::Mx if self.connection.is_loopback() => Hashing::No,
            Profile::Mx | Profile::Reversed if self.context.evidence.is_some() => match seals {
                true => Hashing::Seal(Box::default()),
                false => Hashing::Verify(Box::default()),
            },
            Profile::Mx | Profile::Reversed | Profile::Odmr => Hashing::No,
        }
    }

    /// Reads a chunk: exactly its octets, also where the message can't be taken.
    // RFC 3030 §2
    pub(super) async fn receive_chunk(
        &mut self,
        before: Option<Box<Chunks>>,
        chunk: Chunk,
        line_ends: LineEnds,
        bytes_max: u64,
        seals: bool,
    ) -> Result<ChunkEnd<Smtp>, End> {
        let first = || Chunks {
            decoder: DataDecoder::of_chunks(line_ends),
            incoming: Incoming::new(bytes_max, self.hashing(seals)),
        };
        let Chunks { mut decoder, mut incoming } = before.map_or_else(first, |before| *before);
        if chunk.bytes > bytes_max.saturating_sub(incoming.bytes) {
            // It is known before the first octet of it is here.
            incoming.refuse(DataEnd::TooLarge);
        }
        let mut text = Vec::with_capacity(DECODED_BYTES);
        let (mut pace, mut left) = (Pace::new(Instant::now()), chunk.bytes);
        loop {
            let input = self.connection.buffered();
            let here = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
            decoder.decode(&input[..here], &mut text);
            pace.add(here);
            self.connection.consume(here);
            left -= here as u64;
            if left == 0 && chunk.is_last {
                decoder.finish(&mut text);
            }
            let faults = decoder.faults();
            if faults != DataFaults::default() {
                incoming.refuse(DataEnd::Faulty(faults));
            }
            pace.excuse(incoming.take(&text, &self.context.store).await);
            text.clear();
            if left == 0 {
                break;
            }
            self.wait_in_chunk(&pace).await?;
        }
        let is_over = chunk.is_last || incoming.refused.is_some();
        Ok(if is_over {
            ChunkEnd::End(incoming.finish(decoder.faults()).await)
        } else {
            ChunkEnd::More(Box::new(Chunks { decoder, incoming }))
        })
    }

    /// Reads so many octets, and forgets them.
    pub(super) async fn skip_chunk(&mut self, bytes: u64) -> Result<(), End> {
        let (mut pace, mut left) = (Pace::new(Instant::now()), bytes);
        loop {
            let here = self.connection.buffered().len();
            let here = usize::try_from(left).map_or(here, |left| left.min(here));
            pace.add(here);
            self.connection.consume(here);
            left -= here as u64;
            if left == 0 {
                return Ok(());
            }
            self.wait_in_chunk(&pace).await?;
        }
    }

    /// Waits for more of a chunk. A client may wait for the replies to its group before it sends the chunk's octets.
    async fn wait_in_chunk(&mut self, pace: &Pace) -> Result<(), End> {
        self.connection.flush(self.context.idle).await?;
        self.fill(Instant::now(), pace.deadline()).await
    }
}

impl Incoming {
    fn new(bytes_max: u64, hashing: Hashing) -> Self {
        let splitter = HeaderSplitter::new();
        Self { splitter, body: None, hashing, bytes: 0, bytes_max, eight_bit: false, refused: None }
    }

    fn refuse(&mut self, end: DataEnd<Taken>) {
        if self.refused.is_none() {
            self.refused = Some(end);
            self.body = None;
        }
    }

    /// Takes the next octets of the message; says how long the store kept us waiting.
    async fn take(&mut self, text: &[u8], store: &Store) -> Duration {
        self.bytes += text.len() as u64;
        if self.bytes > self.bytes_max {
            self.refuse(DataEnd::TooLarge);
        }
        if self.refused.is_some() || text.is_empty() {
            return Duration::ZERO;
        }
        self.eight_bit = self.eight_bit || !text.is_ascii();
        let body = match self.splitter.push(text) {
            Ok([]) => return Duration::ZERO,
            Ok(body) => body,
            Err(error) => {
                self.refuse(DataEnd::Refused(header_refusal(error)));
                return Duration::ZERO;
            }
        };
        if self.body.is_none() && matches!(self.hashing, Hashing::Verify(_)) && !is_signed(self.splitter.header()) {
            self.hashing = Hashing::No;
        }
        let incoming = self.body.get_or_insert_with(|| Body {
            writer: store.blob_writer(),
            scanner: StructureScanner::new(self.splitter.header()),
        });
        incoming.scanner.push(body);
        self.hashing.push(body);
        let began = Instant::now();
        let written = incoming.writer.write(body).await;
        if let Err(error) = written {
            self.refuse(DataEnd::Refused(write_refusal(&error)));
        }
        began.elapsed()
    }

    async fn finish(self, faults: DataFaults) -> DataEnd<Taken> {
        if faults != DataFaults::default() {
            return DataEnd::Faulty(faults);
        }
        if let Some(end) = self.refused {
            return end;
        }
        let Self { bytes, eight_bit, hashing, .. } = self;
        let body_hashed = match hashing {
            Hashing::No => None,
            Hashing::Sign(hasher) => Some(BodyHashed::Own(hasher.finish())),
            Hashing::Verify(hashes) | Hashing::Seal(hashes) => Some(BodyHashed::Theirs(hashes.finish())),
        };
        let body_hashed = body_hashed.map(Box::new);
        let header_block = self.splitter.into_header();
        let (body, scanner) = match self.body {
            None => (None, StructureScanner::new(&header_block)),
            Some(Body { writer, scanner }) => match writer.finish().await {
                Ok(staged) => (Some(staged), scanner),
                Err(error) => return DataEnd::Refused(write_refusal(&error)),
            },
        };
        DataEnd::Taken(Taken { header_block, body, scanned: scanner.finish(), bytes, eight_bit, body_hashed })
    }
}

/// Whether there is something in it that a body is hashed for.
pub(super) fn is_signed(header: &[u8]) -> bool {
    message::fields(header).any(|field| field.is("DKIM-Signature") || field.is("ARC-Message-Signature"))
}

fn header_refusal(error: HeaderError) -> Reply {
    let text = match error {
        HeaderError::TooLong => "The header of the message is too large",
        HeaderError::TooManyLines => "The header of the message has too many lines",
    };
    Reply::new(552, Enhanced(5, 3, 4), text)
}

fn write_refusal(error: &WriteError<Infallible>) -> Reply {
    match error {
        WriteError::Full => policy::disk_full(),
        other => policy::broken(other.to_string()),
    }
}
