use super::line_ends::LineEnds;
use crate::base::limits;
use crate::imap::server::fault::{disk_full, unavailable};
use crate::imap::wire::{Answer, Code};
use crate::message::{HeaderError, HeaderSplitter, Scan, StructureScanner, Summary};
use crate::store::{BlobWriter, StagedBlob, Store, WriteError};

/// A message on its way in: the header block stays in memory, the body goes to the store as it comes.
pub(super) struct Incoming {
    line_ends: LineEnds,
    splitter: HeaderSplitter,
    body: Option<(StructureScanner, BlobWriter)>,
    canonical: Vec<u8>,
    size_bytes: u64,
    size_bytes_max: u64,
    refused: Option<Answer>,
}

/// A message that came whole.
pub(super) struct Taken {
    pub(super) header_block: Vec<u8>,
    pub(super) body: Option<StagedBlob>,
    pub(super) summary: Summary,
    pub(super) message_id_field: Option<String>,
}

impl Incoming {
    pub(super) fn new(size_bytes_max: u64) -> Self {
        Self {
            line_ends: LineEnds::default(),
            // Somebody who moves here brings mail that other servers have taken.
            splitter: HeaderSplitter::of_any_lines(),
            body: None,
            canonical: Vec::new(),
            size_bytes: 0,
            size_bytes_max,
            refused: None,
        }
    }

    /// Takes the next octets. What is refused is read to its end all the same, so that none of it is seen as a command.
    pub(super) async fn push(&mut self, piece: &[u8], store: &Store) {
        if self.refused.is_some() {
            return;
        }
        self.canonical.clear();
        self.line_ends.push(piece, &mut self.canonical);
        self.size_bytes += self.canonical.len() as u64;
        if let Err(answer) = self.take(store).await {
            self.refused = Some(answer);
            self.body = None;
        }
    }

    async fn take(&mut self, store: &Store) -> Result<(), Answer> {
        if self.line_ends.has_nul() {
            return Err(Answer::no("there is a NUL in the message").with(Code::Cannot));
        }
        if self.size_bytes > self.size_bytes_max {
            return Err(too_big());
        }
        let text = self.splitter.push(&self.canonical).map_err(header_refusal)?;
        if text.is_empty() {
            return Ok(());
        }
        let splitter = &self.splitter;
        let (scanner, writer) =
            self.body.get_or_insert_with(|| (StructureScanner::new(splitter.header()), store.blob_writer()));
        scanner.push(text);
        writer.write(text).await.map_err(|error| write_refusal(&error))
    }

    pub(super) async fn finish(self) -> Result<Taken, Answer> {
        if let Some(answer) = self.refused {
            return Err(answer);
        }
        // A last line without an end stays as it is: the message comes back as it came.
        let header_block = self.splitter.header().to_vec();
        let (scanned, body) = match self.body {
            None => (StructureScanner::new(&header_block).finish(), None),
            Some((scanner, writer)) => {
                let body = writer.finish().await.map_err(|error| write_refusal(&error))?;
                (scanner.finish(), Some(body))
            }
        };
        Ok(Taken {
            summary: Summary::of(&header_block, scanned),
            message_id_field: Scan::of(&header_block).message_id,
            header_block,
            body,
        })
    }
}

impl Taken {
    /// Octets that it takes in memory until it is committed, roughly.
    pub(super) fn held_bytes(&self) -> usize {
        let body = self.body.as_ref().map_or(0, StagedBlob::weight_bytes);
        self.header_block.len() + self.summary.envelope.len() + 256 * self.summary.structure.parts.len() + body
    }
}

/// RFC 7889 §4
pub(super) fn too_big() -> Answer {
    Answer::no("the message is larger than messages may be").with(Code::TooBig)
}

fn header_refusal(error: HeaderError) -> Answer {
    Answer::no(match error {
        HeaderError::TooLong => format!("the header of the message is longer than {} octets", limits::HEADER_BYTES),
        HeaderError::TooManyLines => format!("the header of the message has more than {} lines", limits::HEADER_LINES),
    })
    .with(Code::Limit)
}

fn write_refusal<R: std::fmt::Debug>(error: &WriteError<R>) -> Answer {
    match error {
        WriteError::Full => disk_full(),
        other => unavailable(&format_args!("{other:?}")),
    }
}
