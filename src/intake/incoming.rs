use crate::dkim::{BodyHash, BodyHasher};
use crate::message::{HeaderError, HeaderSplitter, LineEnds, Scan, StructureScanner, Summary};
use crate::store::{BlobWriter, StagedBlob, Store, WriteError};

/// A message that one of our own brings, on its way in: line ends become canonical, the header block stays in memory, the
/// body goes to the store as it comes.
pub struct Incoming {
    line_ends: LineEnds,
    splitter: HeaderSplitter,
    body: Option<(StructureScanner, BlobWriter)>,
    /// For the signature of what is sent.
    hasher: Option<BodyHasher>,
    canonical: Vec<u8>,
    size_bytes: u64,
    size_bytes_max: u64,
    eight_bit: bool,
    refused: Option<IncomingRefused>,
}

/// A message that came whole.
pub struct Taken {
    /// Its header block, without the blank line.
    pub header_block: Vec<u8>,
    /// Its body from the blank line on; `None` when nothing stands behind the header block.
    pub body: Option<StagedBlob>,
    /// What mail programs ask of it.
    pub summary: Summary,
    /// The value of its Message-ID field, for the trace.
    pub message_id_field: Option<String>,
    /// Some of its octets are above 127.
    pub eight_bit: bool,
    /// Of its body, where it is to be sent.
    pub body_hash: Option<BodyHash>,
}

/// Why a message is not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IncomingRefused {
    /// There is none in a message (RFC 9051 §4.3, RFC 5322 §2.1).
    #[error("there is a NUL in the message")]
    Nul,
    /// It is larger than it may be.
    #[error("the message is larger than messages may be")]
    TooBig,
    /// Its header block is too long.
    #[error("{0}")]
    Header(HeaderError),
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// A fault of ours, for the log.
    #[error("{0}")]
    Broken(String),
}

impl Incoming {
    /// Nothing has come yet. Somebody who moves here brings mail that other servers have taken: its header may have any
    /// number of lines.
    pub fn new(size_bytes_max: u64) -> Self {
        Self {
            line_ends: LineEnds::default(),
            splitter: HeaderSplitter::of_any_lines(),
            body: None,
            hasher: None,
            canonical: Vec::new(),
            size_bytes: 0,
            size_bytes_max,
            eight_bit: false,
            refused: None,
        }
    }

    /// The same for a message that is to be sent: others would not take a header of more than
    /// [`crate::base::limits::HEADER_LINES`].
    pub fn to_be_sent(size_bytes_max: u64) -> Self {
        Self { splitter: HeaderSplitter::new(), hasher: Some(BodyHasher::default()), ..Self::new(size_bytes_max) }
    }

    /// Takes the next octets. What is refused may be read to its end all the same: none of it is kept.
    pub async fn push(&mut self, piece: &[u8], store: &Store) {
        if self.refused.is_some() {
            return;
        }
        self.canonical.clear();
        self.line_ends.push(piece, &mut self.canonical);
        self.size_bytes += self.canonical.len() as u64;
        if let Err(refused) = self.take(store).await {
            self.refused = Some(refused);
            self.body = None;
        }
    }

    /// Why it is refused, where that is known already.
    pub fn refused(&self) -> Option<&IncomingRefused> {
        self.refused.as_ref()
    }

    async fn take(&mut self, store: &Store) -> Result<(), IncomingRefused> {
        if self.line_ends.has_nul() {
            return Err(IncomingRefused::Nul);
        }
        if self.size_bytes > self.size_bytes_max {
            return Err(IncomingRefused::TooBig);
        }
        self.eight_bit = self.eight_bit || !self.canonical.is_ascii();
        let text = self.splitter.push(&self.canonical).map_err(IncomingRefused::Header)?;
        if text.is_empty() {
            return Ok(());
        }
        let splitter = &self.splitter;
        let (scanner, writer) =
            self.body.get_or_insert_with(|| (StructureScanner::new(splitter.header()), store.blob_writer()));
        scanner.push(text);
        if let Some(hasher) = &mut self.hasher {
            hasher.push(text);
        }
        writer.write(text).await.map_err(|error| write_refusal(&error))
    }

    /// The message, when it has come to its end.
    ///
    /// # Errors
    /// [`IncomingRefused`]
    pub async fn finish(self) -> Result<Taken, IncomingRefused> {
        if let Some(refused) = self.refused {
            return Err(refused);
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
            eight_bit: self.eight_bit,
            body_hash: self.hasher.map(BodyHasher::finish),
        })
    }
}

impl Taken {
    /// Octets that it takes in memory until it is committed, roughly.
    pub fn held_bytes(&self) -> usize {
        let body = self.body.as_ref().map_or(0, StagedBlob::weight_bytes);
        self.header_block.len() + self.summary.envelope.len() + 256 * self.summary.structure.parts.len() + body
    }
}

fn write_refusal<R: std::fmt::Debug>(error: &WriteError<R>) -> IncomingRefused {
    match error {
        WriteError::Full => IncomingRefused::Full,
        other => IncomingRefused::Broken(format!("{other:?}")),
    }
}
