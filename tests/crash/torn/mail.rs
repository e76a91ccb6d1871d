//! The server's own changes: accounts come and go, messages are delivered and expunged.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use pillarbox::base::{Address, Clock, DomainName, MessageIds, Random, SystemClock, SystemRandom};
use pillarbox::directory::{
    AccountChange, AccountFields, DomainFields, Precondition, PutDomain, Resolution, account, resolve,
};
use pillarbox::intake::{Accept, Body, Origin, Outbound, Recipient, Sessions};
use pillarbox::mailbox::{DeleteAccount, Expunge, PutAccount, content, inbox, listing, runs};
use pillarbox::message::Summary;
use pillarbox::queue::Notify;
use pillarbox::schema;
use pillarbox::settings::Settings;
use pillarbox::store::{Schema, Store, StoreError};

use super::world::{World, below, bytes};

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// Begins what the model knows of a message; before it stands what the server adds.
const MARK: &[u8] = b"X-Torn: ";

static IDS: LazyLock<Arc<MessageIds>> = LazyLock::new(Arc::default);

/// The messages of each account, as hashes, in the mailbox's order. `None`: the domain is not there yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mail(Option<BTreeMap<&'static str, Vec<[u8; 32]>>>);

#[derive(Debug, Clone)]
pub enum Change {
    PutDomain,
    PutAccount(&'static str),
    DeleteAccount(&'static str),
    Deliver {
        to: Vec<&'static str>,
        head: Vec<u8>,
        body: Vec<u8>,
    },
    /// The messages at these places of the mailbox.
    Expunge(&'static str, Vec<usize>),
}

pub enum Write {
    Domain(PutDomain),
    Put(PutAccount),
    Delete(DeleteAccount),
    Accept(Box<Accept>),
    Expunge(Expunge),
}

impl World for Mail {
    type Change = Change;
    type Write = Write;
    const SCHEMA: &'static Schema = &schema::SCHEMA;

    fn random(&self, random: &dyn Random) -> Change {
        let Some(accounts) = &self.0 else { return Change::PutDomain };
        let name = NAMES[below(random, NAMES.len() as u64) as usize];
        let Some(messages) = accounts.get(name) else { return Change::PutAccount(name) };
        match below(random, 12) {
            0 => Change::DeleteAccount(name),
            1..=2 if !messages.is_empty() => {
                let some = (0..messages.len()).filter(|_| below(random, 2) == 0).collect();
                Change::Expunge(name, some)
            }
            _ => {
                let to = accounts.keys().copied().filter(|other| *other == name || below(random, 3) == 0).collect();
                let longest = [0, 500, 5_000, 40_000, 100_000][below(random, 5) as usize];
                let head = [MARK, format!("{:016x}\r\n", random.next_u64()).as_bytes()].concat();
                Change::Deliver { to, head, body: bytes(random, longest) }
            }
        }
    }

    fn after(&self, change: &Change) -> Self {
        let mut accounts = self.0.clone().unwrap_or_default();
        match change {
            Change::PutDomain => {}
            Change::PutAccount(name) => drop(accounts.insert(name, Vec::new())),
            Change::DeleteAccount(name) => drop(accounts.remove(name)),
            Change::Deliver { to, head, body } => {
                let hash = hash(&[head, body]);
                for name in to {
                    let messages = accounts.get_mut(name).expect("delivers to who is there");
                    // Sent once more after a crash, it is stored once.
                    if !messages.contains(&hash) {
                        messages.push(hash);
                    }
                }
            }
            Change::Expunge(name, places) => {
                let messages = accounts.get_mut(name).expect("expunges where there is a mailbox");
                let mut place = 0..;
                messages.retain(|_| !places.contains(&place.next().unwrap_or_default()));
            }
        }
        Self(Some(accounts))
    }

    fn is_alone(change: &Change) -> bool {
        !matches!(change, Change::Deliver { .. })
    }

    fn is_repeated(change: &Change) -> bool {
        matches!(change, Change::Deliver { .. })
    }

    async fn prepare(store: &Store, change: Change) -> Result<Write, ()> {
        let at = SystemClock.now();
        Ok(match change {
            Change::PutDomain => {
                let fields = DomainFields::new(&Settings::default());
                let name = DomainName::parse("example.test").expect("a domain name");
                Write::Domain(PutDomain { name, fields, precondition: Precondition::None, at })
            }
            Change::PutAccount(name) => Write::Put(PutAccount(AccountChange {
                address: address(name),
                fields: AccountFields::default(),
                password: None,
                precondition: Precondition::Absent,
                at,
            })),
            Change::DeleteAccount(name) => Write::Delete(DeleteAccount {
                address: address(name),
                precondition: Precondition::None,
                by: "a test".into(),
                at,
            }),
            Change::Deliver { to, head, body } => Write::Accept(Box::new(accept(store, to, head, &body).await?)),
            Change::Expunge(name, places) => {
                let view = store.view().map_err(drop)?;
                let row = account(&view, &address(name)).map_err(drop)?.ok_or(())?;
                let mailbox = inbox(&view, row.id).map_err(drop)?.ok_or(())?;
                let uids = listing(&view, mailbox).map_err(drop)?;
                let uids = runs(places.into_iter().map(|place| uids[place].uid));
                let only_deleted = false;
                Write::Expunge(Expunge { mailbox, uids, only_deleted, by: "a test".into(), peer_ip: None, at })
            }
        })
    }

    async fn write(store: &Store, write: Write) -> Result<(), ()> {
        match write {
            Write::Domain(op) => store.write(op).await.map(drop).map_err(drop),
            Write::Put(op) => store.write(op).await.map(drop).map_err(drop),
            Write::Delete(op) => store.write(op).await.map(drop).map_err(drop),
            Write::Accept(op) => store.write(*op).await.map(drop).map_err(drop),
            Write::Expunge(op) => store.write(op).await.map(drop).map_err(drop),
        }
    }

    async fn read(store: &Store) -> Result<Self, StoreError> {
        let places = {
            let view = store.view()?;
            if pillarbox::directory::domains(&view, None, 1)?.is_empty() {
                return Ok(Self(None));
            }
            let mut places = Vec::new();
            for name in NAMES {
                if let Some(row) = account(&view, &address(name))? {
                    let mailbox = inbox(&view, row.id)?.expect("an account has an INBOX");
                    places.push((name, mailbox, listing(&view, mailbox)?));
                }
            }
            places
        };
        let mut accounts = BTreeMap::new();
        for (name, mailbox, entries) in places {
            let mut messages = Vec::new();
            for entry in entries {
                let mut content = content(store, mailbox, entry.uid)?.expect("what is listed is there");
                let mut message = Vec::new();
                while let Some(piece) = content.next().await? {
                    message.extend_from_slice(&piece);
                }
                assert_eq!(message.len() as u64, entry.size_bytes, "the listed size");
                let own = message.windows(MARK.len()).position(|window| window == MARK).expect("the mark");
                messages.push(hash(&[&message[own..]]));
            }
            accounts.insert(name, messages);
        }
        Ok(Self(Some(accounts)))
    }
}

/// The message, ready to be taken in by a session of its own.
async fn accept(store: &Store, to: Vec<&'static str>, head: Vec<u8>, body: &[u8]) -> Result<Accept, ()> {
    let mut writer = store.blob_writer();
    for piece in body.chunks(10_000) {
        writer.write(piece).await.map_err(drop)?;
    }
    let summary = Summary::of_whole(&head, body);
    let body = Some(writer.finish().await.map_err(drop)?);
    let view = store.view().map_err(drop)?;
    let mut recipients = Vec::new();
    for name in to {
        let given = address(name);
        let Ok(Resolution::Local(deliveries)) = resolve(&view, &given) else { return Err(()) };
        recipients.push(Recipient { given, deliveries, remote: Vec::new() });
    }
    let at = SystemClock.now();
    let hostname = DomainName::parse("mx.example.test").expect("a name");
    let outbound = Outbound::of(&Settings::default(), hostname, Arc::clone(&IDS)).expect("the defaults are good");
    Ok(Accept {
        id: IDS.message(at),
        at,
        session: Some(Arc::new(Sessions::new(&SystemRandom).open())),
        origin: Origin::default(),
        sender: Some(address("sender")),
        recipients,
        trace_fields: b"Received: by a test\r\n".to_vec(),
        summary,
        header_block: head,
        delivered_to: Vec::new(),
        body: body.map(Body::Staged),
        message_id_field: None,
        notify: Notify::Postmaster,
        eight_bit: false,
        smtputf8: false,
        outbound: Arc::new(outbound),
    })
}

fn address(name: &str) -> Address {
    Address::parse(&format!("{name}@example.test")).expect("an address")
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}
