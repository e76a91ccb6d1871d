//! What the file holds.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use pillarbox::base::{Address, MailboxId, MessageId, Timestamp, Uid};
use pillarbox::mailbox::Sweep;
use pillarbox::queue::State;
use pillarbox::store::{Read, Store, StoreError};
use pillarbox::trace::{Subject, Wanted};
use pillarbox::{directory, intake, job, kept, mailbox, queue, trace};

use super::change::NAMES;
use super::content::Content;
use super::house::{Filed, Folder, House, Item, Kept, Waiting, address};

/// Messages of a list, more than there are.
const ALL: usize = 10_000;

/// The time of the newest id, and all that is there.
pub async fn read(store: &Store) -> Result<(Timestamp, Option<House>), StoreError> {
    // As at every start: what is deleted is removed to its end.
    while store.write(Sweep).await.map_err(|_| StoreError::Closed)?.into_inner() {}
    let view = store.view()?;
    let clock = MessageId(intake::newest_id(&view)?).at();
    if directory::domains(&view, None, 1)?.is_empty() {
        return Ok((clock, None));
    }
    let mut house = House { keeps: kept::kept_for_ms(&view)? > 0, ..House::default() };
    let mut by_age = BTreeMap::new();
    for name in NAMES {
        let known = Address::parse(&address(name)).expect("an address");
        if let Some(row) = directory::account(&view, &known)? {
            let mut folders = BTreeMap::new();
            for folder in mailbox::folders(&view, row.id)? {
                if let Some((id, _)) = folder.mailbox {
                    folders.insert(folder.name, read_folder(store, &view, id).await?);
                }
            }
            house.accounts.insert(name, folders);
            by_age.insert(row.id, name);
        }
    }
    house.by_age = by_age.into_values().collect();
    let mut contents: BTreeMap<MessageId, Content> = BTreeMap::new();
    for queue::Waiting { id, entry } in queue::entries(&view, None, ALL)? {
        let message = queue::message(&view, id.message)?.expect("an entry has its message");
        if let Entry::Vacant(place) = contents.entry(id.message) {
            let mut content = queue::content(store, id.message)?.expect("a message has its content");
            let (mut whole, size_bytes) = (Vec::new(), content.size_bytes());
            while let Some(piece) = content.next().await? {
                whole.extend_from_slice(&piece);
            }
            assert_eq!(whole.len() as u64, size_bytes, "the size of {}", id.message);
            place.insert(Content::of(&whole));
        }
        let sender = message.sender.as_ref().map(ToString::to_string);
        let waiting = Waiting {
            item: Item { content: contents[&id.message].clone(), sender, is_mail: true },
            recipient: entry.recipient.to_string(),
            is_told: message.notify == queue::Notify::Sender && message.sender.is_some(),
            is_held: matches!(entry.state, State::Held { .. }),
            is_open: queue::open_attempt(&view, id)?.is_some(),
            attempts: entry.attempts,
        };
        house.queue.insert(id, waiting);
    }
    // What is kept has a story too.
    for subject in trace::find(&view, &Wanted::All, None, ALL)? {
        let Subject::Message(id) = subject else { continue };
        let Some(row) = kept::kept(&view, id)? else { continue };
        let mut whole = row.head;
        if let Some(blob) = row.blob {
            let mut body = store.blob_reader(blob);
            while let Some(piece) = body.next().await? {
                whole.extend_from_slice(&piece);
            }
        }
        let sender = row.sender.as_ref().map(ToString::to_string);
        house.kept.insert(id, Kept { at: row.at, item: Item { content: Content::of(&whole), sender, is_mail: true } });
    }
    house.jobs = job::jobs(&view, None, ALL)?.into_iter().map(|(id, job)| (id, job.state.is_ended())).collect();
    Ok((clock, Some(house)))
}

/// A mailbox with all its messages, as they are read.
async fn read_folder(store: &Store, view: &impl Read, id: MailboxId) -> Result<Folder, StoreError> {
    let roster = mailbox::roster(view, id)?.expect("a mailbox that is listed is there");
    let mut letters = BTreeMap::new();
    for member in roster.members {
        let whole = mailbox::whole(view, id, member.uid)?.expect("a message that is listed is there");
        let message = read_content(store, id, member.uid).await?;
        assert_eq!(message.len() as u64, member.size_bytes, "the listed size of {}", member.message);
        let names = (0..roster.keywords.len()).filter(|bit| member.keywords & 1 << bit != 0);
        let filed = Filed {
            id: member.message,
            item: Item {
                content: Content::of(&message),
                sender: whole.sender.as_ref().map(ToString::to_string),
                is_mail: whole.is_mail,
            },
            flags: member.flags.0,
            keywords: names.map(|bit| roster.keywords[bit].clone()).collect(),
        };
        letters.insert(member.uid.0, filed);
    }
    Ok(Folder { uid_next: roster.uid_next.0, letters })
}

async fn read_content(store: &Store, id: MailboxId, uid: Uid) -> Result<Vec<u8>, StoreError> {
    let mut content = mailbox::content(store, id, uid)?.expect("a message that is listed is there");
    let mut message = Vec::new();
    while let Some(piece) = content.next().await? {
        message.extend_from_slice(&piece);
    }
    Ok(message)
}
