use super::compose::{Answering, Missing, Scene, Shown, begin_literal};
use super::plan::Item;
use super::section::{Place, Section, Wanted};
use crate::base::limits;
use crate::imap::server::link::{End, Link};
use crate::imap::server::selected::Target;
use crate::mailbox::{self, Content};
use crate::message::Summary;
use crate::store::{Store, StoreError};

/// A message that is answered alone: its octets pass through in pieces, whatever its size.
pub(super) struct Alone<'a> {
    pub(super) scene: &'a Scene,
    pub(super) store: &'a Store,
    pub(super) target: &'a Target,
    pub(super) missing: &'a mut Missing,
}

/// Why a section is not sent.
enum Unsent {
    /// It is not there any more.
    Gone,
    /// It can't be read, and nothing of it is announced.
    Broken(StoreError),
    End(End),
}

impl From<StoreError> for Unsent {
    fn from(error: StoreError) -> Self {
        Self::Broken(error)
    }
}

impl From<End> for Unsent {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

impl Alone<'_> {
    pub(super) async fn answer(mut self, link: &mut Link) -> Result<(), End> {
        let summary = if self.scene.plan.summary { self.summary().await } else { None };
        let mut answering = Answering::new(self.target.number);
        for item in &self.scene.plan.items {
            let sent = match item {
                Item::Section(section) if section.needs_structure() && summary.is_none() => continue,
                Item::Section(section) => self.section(link, &mut answering, section, summary.as_ref()).await,
                _ => {
                    let shown = summary.as_ref().map(Shown::of);
                    self.scene.known(link.output(), &mut answering, item, self.target, shown);
                    Ok(())
                }
            };
            match sent {
                Ok(()) => {}
                Err(Unsent::Gone) => self.missing.gone = true,
                Err(Unsent::Broken(error)) => self.broken(&error),
                Err(Unsent::End(end)) => return Err(end),
            }
            link.relieve().await?;
        }
        self.scene.flags_of_seen(link.output(), &mut answering, self.target);
        answering.end(link.output());
        link.relieve().await
    }

    async fn summary(&mut self) -> Option<Summary> {
        match mailbox::summarise(self.store, self.scene.mailbox, self.target.member.uid).await {
            Ok(Some(summary)) => return Some(summary),
            Ok(None) => self.missing.gone = true,
            Err(error) => self.broken(&error),
        }
        None
    }

    fn broken(&mut self, error: &StoreError) {
        tracing::error!(%error, message = %self.target.member.message, "a message could not be read");
        self.missing.broken = true;
    }

    async fn section(
        &self,
        link: &mut Link,
        answering: &mut Answering,
        section: &Section,
        summary: Option<&Summary>,
    ) -> Result<(), Unsent> {
        let (mailbox, target) = (self.scene.mailbox, self.target);
        let (uid, size_bytes) = (target.member.uid, target.member.size_bytes);
        let content = match section.place(size_bytes, summary.map(|summary| &summary.structure)) {
            Place::Nowhere => {
                answering.nil(link.output(), &section.label);
                return Ok(());
            }
            Place::Head => {
                let head = mailbox::head(&self.store.view()?, mailbox, uid)?.ok_or(Unsent::Gone)?;
                answering.head(link.output(), section, &head, size_bytes);
                return Ok(());
            }
            Place::Message { first, count } => mailbox::content_range(self.store, mailbox, uid, first, count)?,
            Place::Body { first, count } => mailbox::body(self.store, mailbox, uid, first, count)?,
        };
        let content = content.ok_or(Unsent::Gone)?;
        if let Wanted::Fields(_) = section.wanted {
            let block = read_header(content).await?;
            answering.header_of_part(link.output(), section, &block);
            return Ok(());
        }
        answering.space(link.output());
        begin_literal(link.output(), &section.label, content.size_bytes());
        Ok(send(link, content).await?)
    }
}

/// Sends octets whose number is announced: a fault can only be shown by the end of the connection.
async fn send(link: &mut Link, mut content: Content) -> Result<(), End> {
    let mut left = content.size_bytes();
    while let Some(piece) = content.next().await.map_err(End::Message)? {
        let more_than_announced =
            || End::Message(StoreError::Damaged { table: "messages", what: "a message is longer than it says".into() });
        left = left.checked_sub(piece.len() as u64).ok_or_else(more_than_announced)?;
        link.output().extend_from_slice(&piece);
        link.relieve().await?;
    }
    if left == 0 {
        return Ok(());
    }
    Err(End::Message(StoreError::Damaged { table: "messages", what: "a message is shorter than it says".into() }))
}

/// The header block of a part that is a message; no more of it than a message may have.
async fn read_header(mut content: Content) -> Result<Vec<u8>, StoreError> {
    let mut block = Vec::new();
    while let Some(piece) = content.next().await? {
        block.extend_from_slice(&piece);
        if block.len() > limits::HEADER_BYTES {
            block.truncate(limits::HEADER_BYTES);
            break;
        }
    }
    Ok(block)
}
