//! The file of a model: how it begins, and what is read of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use pillarbox::base::{Address, DomainName, MailboxId, MessageId, Timestamp};
use pillarbox::directory::{self, AccountChange, AccountFields, DomainFields, Precondition, PutDomain};
use pillarbox::mailbox::{self, PutAccount};
use pillarbox::queue;
use pillarbox::schema::SCHEMA;
use pillarbox::settings::Settings;
use pillarbox::store::fault::FaultDisk;
use pillarbox::store::{Options, Store, StoreError, View};

/// Who is told, of their own mail and of all other.
const READERS: [&str; 2] = ["alice@example.test", "postmaster@example.test"];

/// A disk with a file that has a domain and two accounts.
pub fn image() -> Vec<u8> {
    let disk = FaultDisk::new();
    let store = open(&disk).expect("a new file");
    let at = Timestamp(1_795_341_800_000);
    let put = PutDomain {
        name: DomainName::parse("example.test").expect("a name"),
        fields: DomainFields::new(&Settings::default()),
        precondition: Precondition::None,
        at,
    };
    store.write_blocking(put).expect("a domain").into_inner();
    for reader in READERS {
        let change = AccountChange {
            address: Address::parse(reader).expect("an address"),
            fields: AccountFields::default(),
            password: None,
            precondition: Precondition::None,
            at,
        };
        store.write_blocking(PutAccount(change)).expect("an account").into_inner();
    }
    store.close();
    disk.image()
}

/// Opens the file on a disk.
pub fn open(disk: &Arc<FaultDisk>) -> Result<Store, String> {
    let options = Options { cache_bytes: 1 << 20, ..Options::faulty(Arc::clone(disk), |_| {}) };
    Store::open(options, &SCHEMA).map_err(|error| format!("the file does not open: {error}"))
}

/// The mailboxes of those who are told.
pub fn readers(view: &View) -> Result<[MailboxId; 2], StoreError> {
    let mut inboxes = [MailboxId::default(); 2];
    for (place, reader) in inboxes.iter_mut().zip(READERS) {
        let account = directory::account(view, &Address::parse(reader).expect("an address"))?.expect("it is there");
        *place = mailbox::inbox(view, account.id)?.expect("an account has an INBOX");
    }
    Ok(inboxes)
}

/// A queued message as it is sent.
pub async fn content(store: &Store, id: MessageId) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(mut content) = queue::content(store, id)? else { return Ok(None) };
    let mut bytes = Vec::new();
    while let Some(piece) = content.next().await? {
        bytes.extend_from_slice(&piece);
    }
    assert_eq!(content.size_bytes(), bytes.len() as u64);
    Ok(Some(bytes))
}

/// Of whom each report that was delivered tells.
pub async fn reports(store: &Store) -> Result<[Vec<BTreeSet<String>>; 2], StoreError> {
    let mut all = [const { Vec::new() }; 2];
    let inboxes = readers(&store.view()?)?;
    for (reports, inbox) in all.iter_mut().zip(inboxes) {
        let listing = mailbox::listing(&store.view()?, inbox)?;
        for entry in listing {
            let mut content = mailbox::content(store, inbox, entry.uid)?.expect("it is there");
            let mut bytes = Vec::new();
            while let Some(piece) = content.next().await? {
                bytes.extend_from_slice(&piece);
            }
            let text = String::from_utf8_lossy(&bytes);
            let recipients = text.lines().filter_map(|line| line.strip_prefix("Final-Recipient: rfc822;"));
            reports.push(recipients.map(|recipient| recipient.trim().to_owned()).collect());
        }
    }
    Ok(all)
}
