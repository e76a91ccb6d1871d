//! What the mailboxes of an account should hold: a map for each, changed beside the real one.

use super::*;

pub(super) struct Owner {
    pub(super) account: AccountId,
    pub(super) folders: BTreeMap<String, Folded>,
    pub(super) subscribed: BTreeSet<String>,
    /// All that a message or a copy was ever called.
    pub(super) uidls: BTreeSet<String>,
}

/// A mailbox.
pub(super) struct Folded {
    pub(super) id: MailboxId,
    uid_validity: u32,
    pub(super) messages: BTreeMap<u32, Mail>,
    uid_last: u32,
    modseq: u64,
    /// What somebody knows who has it open.
    pub(super) known: Known,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Mail {
    pub(super) bytes: Vec<u8>,
    pub(super) uidl: String,
    flags: u32,
    keywords: BTreeSet<String>,
    modseq: u64,
}

/// A mailbox as it is seen: flags and keywords of each message.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Known {
    modseq: u64,
    messages: BTreeMap<u32, (u32, BTreeSet<String>, u64)>,
}

impl Known {
    fn take(&mut self, keywords: &[String], members: &[Member]) {
        for member in members {
            let names = (0..128).filter(|bit| member.keywords & 1 << bit != 0).map(|bit| lower(&keywords[bit]));
            self.messages.insert(member.uid.0, (member.flags.0, names.collect(), member.modseq.0));
        }
    }
}

/// Puts a message into a mailbox, as `intake` does.
struct File {
    mailbox: MailboxId,
    id: MessageId,
    head: Vec<u8>,
    body: StagedBlob,
    flags: SystemFlags,
    keywords: Vec<String>,
}

impl Op for File {
    type Plan = ();
    type Out = Vec<Uid>;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "test.file"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<Vec<Uid>, StoreError> {
        let body_bytes = self.body.size_bytes();
        let blob = if body_bytes > 0 { Some(tx.adopt_blob(&self.body, 1)?) } else { None };
        let message = Incoming { id: self.id, head: &self.head, blob, body_bytes, summary: None, at: Timestamp(6_000) };
        let filed = Filed { message, flags: self.flags, keywords: &self.keywords, internal_date: Timestamp(5_500) };
        file(tx, self.mailbox, &[filed])
    }
}

fn lower(text: impl AsRef<str>) -> String {
    text.as_ref().to_lowercase()
}

fn is_below(name: &str, above: &str) -> bool {
    name.starts_with(&format!("{above}/"))
}

impl Owner {
    /// A mailbox has been made; its UIDVALIDITY.
    pub(super) fn add(&mut self, world: &World, name: &str, uid_validity_last: u32) -> u32 {
        let (id, row) = folder(&world.store.view().unwrap(), self.account, name).unwrap().unwrap();
        // In which order those of an account are made is not said.
        let new = self.folders.values().all(|folder| folder.uid_validity != row.uid_validity && folder.id != id);
        assert!(new, "a mailbox made anew is another one");
        let known = Known { modseq: 1, ..Known::default() };
        let uid_validity = row.uid_validity;
        let folder = Folded { id, uid_validity, messages: BTreeMap::new(), uid_last: 0, modseq: 1, known };
        assert!(self.folders.insert(name.to_owned(), folder).is_none());
        uid_validity.max(uid_validity_last)
    }

    pub(super) fn came(
        &mut self,
        to: &str,
        uid: Uid,
        id: u64,
        bytes: Vec<u8>,
        (flags, keywords): (u32, BTreeSet<String>),
    ) {
        let uidl = MessageId(id).to_string();
        assert!(self.uidls.insert(uidl.clone()));
        let folder = self.folders.get_mut(to).unwrap();
        folder.modseq += 1;
        let modseq = folder.modseq;
        folder.add(uid, Mail { bytes, uidl, flags, keywords, modseq });
    }

    pub(super) async fn play(&mut self, world: &World, deed: &Deed, number: u64, uid_validity_last: &mut u32) {
        match deed {
            Deed::File { to, flags, keywords, body } => {
                let Some(folder) = self.folders.get(*to) else { return };
                let (byte, size) = BODIES[*body];
                let (id, head, body) = (number << 16, b"A: b\r\n".to_vec(), vec![byte; size]);
                let mut writer = world.store.blob_writer();
                writer.write(&body).await.unwrap();
                let file = File {
                    mailbox: folder.id,
                    id: MessageId(id),
                    head: head.clone(),
                    body: writer.finish().await.unwrap(),
                    flags: SystemFlags(*flags),
                    keywords: keywords.iter().map(ToString::to_string).collect(),
                };
                let uids = world.store.write(file).await.unwrap().into_inner();
                let keywords = keywords.iter().map(lower).collect();
                self.came(to, uids[0], id, [head, body].concat(), (*flags, keywords));
            }
            Deed::Expunge { from, places, only_deleted } => {
                let Some(folder) = self.folders.get_mut(*from) else { return };
                folder.expunge(world, places, *only_deleted).await;
            }
            Deed::Flag { on, places, mode, flags, keywords, fresh } => {
                let Some(folder) = self.folders.get_mut(*on) else { return };
                let since = fresh.then_some(folder.known.modseq);
                folder.flag(world, places, *mode, (*flags, keywords), since).await;
            }
            Deed::Copy { from, to, places, moves } => self.copy(world, from, to, places, *moves).await,
            Deed::CatchUp(name) => {
                let Some(folder) = self.folders.get_mut(*name) else { return };
                folder.catch_up(world);
            }
            deed => {
                let expected = self.foresee(deed);
                let done = change_list(world, self.account, deed).await;
                assert_eq!(done, expected, "{deed:?}");
                if done.is_ok() {
                    self.change_list(world, deed, uid_validity_last);
                }
            }
        }
    }

    async fn copy(&mut self, world: &World, from: &str, to: &str, places: &[usize], moves: bool) {
        let (Some(source), Some(target)) = (self.folders.get(from), self.folders.get(to)) else { return };
        let picked = source.pick(places);
        let op = CopyMessages {
            from: source.id,
            uids: runs(picked.iter().copied().map(Uid)),
            to: target.id,
            moves,
            by: "imap".into(),
            peer_ip: None,
            at: Timestamp(7_000),
        };
        let (uid_validity, target_id) = (target.uid_validity, target.id);
        let copied = world.store.write(op).await.unwrap().into_inner();
        assert_eq!(copied.uid_validity, uid_validity);
        let there: Vec<u32> = picked.iter().copied().filter(|uid| source.messages.contains_key(uid)).collect();
        assert_eq!(copied.uids.iter().map(|(from, _)| from.0).collect::<Vec<_>>(), there);
        if there.is_empty() {
            return;
        }
        let mail: Vec<Mail> = there.iter().map(|uid| source.messages[uid].clone()).collect();
        let listed = world.listing(target_id);
        let target = self.folders.get_mut(to).unwrap();
        target.modseq += 1;
        for ((_, uid), mail) in copied.uids.iter().zip(mail) {
            let uidl = listed.iter().find(|entry| entry.uid == *uid).unwrap().uidl.clone();
            let is_new = self.uidls.insert(uidl.clone());
            assert!(if moves { uidl == mail.uidl } else { is_new }, "{uidl}");
            let modseq = target.modseq;
            target.add(*uid, Mail { uidl, modseq, ..mail });
        }
        if moves {
            let source = self.folders.get_mut(from).unwrap();
            source.modseq += 1;
            there.iter().for_each(|uid| drop(source.messages.remove(uid)));
        }
    }

    /// What comes of a change to the list of mailboxes.
    fn foresee(&self, deed: &Deed) -> Result<(), FolderRefused> {
        let has = |name: &str| self.folders.contains_key(name);
        match deed {
            Deed::Create("INBOX") | Deed::DeleteMailbox("INBOX") => Err(FolderRefused::Inbox),
            Deed::Create(name) if has(name) => Err(FolderRefused::Exists),
            Deed::DeleteMailbox(name) if !has(name) => Err(FolderRefused::NotFound),
            Deed::Rename(_, to) if has(to) => Err(FolderRefused::Exists),
            Deed::Rename("INBOX", _) => Ok(()),
            Deed::Rename(from, to) if is_below(to, from) => Err(FolderRefused::BelowItself),
            Deed::Rename(from, to) => {
                let renamed = self.renamed(from, to);
                let taken = |name: &String| has(name) && !renamed.iter().any(|(old, _)| old == name);
                match renamed.iter().any(|(_, new)| taken(new)) {
                    _ if renamed.is_empty() => Err(FolderRefused::NotFound),
                    true => Err(FolderRefused::Exists),
                    false => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Old and new names of what a rename takes along.
    fn renamed(&self, from: &str, to: &str) -> Vec<(String, String)> {
        let moved = self.folders.keys().filter(|name| *name == from || is_below(name, from));
        moved.map(|name| (name.clone(), format!("{to}{}", &name[from.len()..]))).collect()
    }

    fn change_list(&mut self, world: &World, deed: &Deed, uid_validity_last: &mut u32) {
        match deed {
            Deed::Create(name) => self.add_with_superiors(world, name, uid_validity_last),
            Deed::DeleteMailbox(name) => drop(self.folders.remove(*name)),
            Deed::Rename("INBOX", to) => {
                self.add_with_superiors(world, to, uid_validity_last);
                let inbox = self.folders.get_mut("INBOX").unwrap();
                let mail = std::mem::take(&mut inbox.messages);
                inbox.modseq += u64::from(!mail.is_empty());
                let target = self.folders.get_mut(*to).unwrap();
                target.modseq += u64::from(!mail.is_empty());
                for (uid, mail) in (1..).zip(mail.into_values()) {
                    let modseq = target.modseq;
                    target.add(Uid(uid), Mail { modseq, ..mail });
                }
            }
            Deed::Rename(from, to) => {
                let renamed = self.renamed(from, to);
                let moved: Vec<_> =
                    renamed.into_iter().map(|(old, new)| (new, self.folders.remove(&old).unwrap())).collect();
                self.folders.extend(moved);
                self.add_superiors(world, to, uid_validity_last);
            }
            Deed::Subscribe(name, true) => drop(self.subscribed.insert((*name).to_owned())),
            Deed::Subscribe(name, false) => drop(self.subscribed.remove(*name)),
            _ => unreachable!("no change to the list"),
        }
    }

    fn add_with_superiors(&mut self, world: &World, name: &str, uid_validity_last: &mut u32) {
        self.add_superiors(world, name, uid_validity_last);
        self.add_rising(world, name, uid_validity_last);
    }

    fn add_superiors(&mut self, world: &World, name: &str, uid_validity_last: &mut u32) {
        for (at, _) in name.match_indices('/') {
            if !self.folders.contains_key(&name[..at]) {
                self.add_rising(world, &name[..at], uid_validity_last);
            }
        }
    }

    fn add_rising(&mut self, world: &World, name: &str, uid_validity_last: &mut u32) {
        let before = *uid_validity_last;
        *uid_validity_last = self.add(world, name, before);
        assert!(*uid_validity_last > before, "UIDVALIDITY rises");
    }

    /// The list of mailboxes as it should be: name, whether it is one, subscribed, with children.
    pub(super) fn expected_list(&self) -> Vec<(String, bool, bool, bool)> {
        let mut names: BTreeSet<&str> = self.subscribed.iter().map(String::as_str).collect();
        for name in self.folders.keys() {
            names.insert(name);
            names.extend(name.match_indices('/').map(|(at, _)| &name[..at]));
        }
        let is_parent = |name: &str| self.folders.keys().any(|other| is_below(other, name));
        let line = |name: &str| {
            (name.to_owned(), self.folders.contains_key(name), self.subscribed.contains(name), is_parent(name))
        };
        let others = names.iter().filter(|name| **name != "INBOX");
        ["INBOX"].iter().chain(others).map(|name| line(name)).collect()
    }
}

impl Folded {
    fn add(&mut self, uid: Uid, mail: Mail) {
        assert!(uid.0 > self.uid_last, "a UID rises");
        self.uid_last = uid.0;
        self.messages.insert(uid.0, mail);
    }

    /// UIDs, ascending, each once.
    fn pick(&self, places: &[usize]) -> Vec<u32> {
        let uids: Vec<u32> = self.messages.keys().copied().collect();
        let uid = |place: &usize| uids.get(*place).copied().unwrap_or(1_000 + *place as u32);
        places.iter().map(uid).collect::<BTreeSet<_>>().into_iter().collect()
    }

    async fn expunge(&mut self, world: &World, places: &[usize], only_deleted: bool) {
        let picked = self.pick(places);
        let uids = runs(picked.iter().copied().map(Uid));
        let (by, at) = ("a test".into(), Timestamp(9_000));
        let op = Expunge { mailbox: self.id, uids, only_deleted, by, peer_ip: None, at };
        let expunged = world.store.write(op).await.unwrap().into_inner();
        let goes = |mail: &&Mail| !only_deleted || mail.flags & SystemFlags::DELETED.0 != 0;
        let gone: Vec<u32> = picked.into_iter().filter(|uid| self.messages.get(uid).filter(goes).is_some()).collect();
        let gone: Vec<Mail> = gone.iter().filter_map(|uid| self.messages.remove(uid)).collect();
        self.modseq += u64::from(!gone.is_empty());
        let size_bytes = gone.iter().map(|mail| mail.bytes.len() as u64).sum();
        let modseq = (!gone.is_empty()).then_some(ModSeq(self.modseq));
        assert_eq!(expunged, Expunged { messages: gone.len(), size_bytes, modseq, next: None });
    }

    async fn flag(
        &mut self,
        world: &World,
        places: &[usize],
        mode: FlagMode,
        (flags, keywords): (u32, &[&str]),
        unchanged_since: Option<u64>,
    ) {
        let picked = self.pick(places);
        let op = ChangeFlags {
            mailbox: self.id,
            uids: runs(picked.iter().copied().map(Uid)),
            mode,
            flags: SystemFlags(flags),
            keywords: keywords.iter().map(ToString::to_string).collect(),
            unchanged_since: unchanged_since.map(ModSeq),
        };
        let done = world.store.write(op).await.unwrap().into_inner();
        let keywords: BTreeSet<String> = keywords.iter().map(lower).collect();
        let (mut modified, mut changed) = (Vec::new(), false);
        for uid in picked {
            let Some(mail) = self.messages.get_mut(&uid) else { continue };
            if unchanged_since.is_some_and(|since| mail.modseq > since) {
                modified.push(Uid(uid));
                continue;
            }
            let before = (mail.flags, mail.keywords.clone());
            match mode {
                FlagMode::Replace => (mail.flags, mail.keywords) = (flags, keywords.clone()),
                FlagMode::Add => {
                    mail.flags |= flags;
                    mail.keywords.extend(keywords.clone());
                }
                FlagMode::Remove => {
                    mail.flags &= !flags;
                    mail.keywords.retain(|name| !keywords.contains(name));
                }
            }
            if before != (mail.flags, mail.keywords.clone()) {
                mail.modseq = self.modseq + 1;
                changed = true;
            }
        }
        self.modseq += u64::from(changed);
        assert_eq!(done, FlagsChanged { modseq: changed.then_some(ModSeq(self.modseq)), modified });
    }

    /// What is known and what has changed since are what is there now.
    pub(super) fn catch_up(&mut self, world: &World) {
        let view = world.store.view().unwrap();
        let changes = changes(&view, self.id, ModSeq(self.known.modseq)).unwrap().expect("the log reaches back");
        assert_eq!(changes.uid_next.0, self.uid_last + 1);
        self.known.modseq = changes.modseq.0;
        self.known.messages.retain(|uid, _| !changes.expunged.iter().any(|(a, b)| (a.0..=b.0).contains(uid)));
        self.known.take(&changes.keywords, &changes.changed);
        assert_eq!(self.known, self.seen(world));
    }

    fn seen(&self, world: &World) -> Known {
        let roster = roster(&world.store.view().unwrap(), self.id).unwrap().unwrap();
        assert_eq!((roster.uid_validity, roster.uid_next.0), (self.uid_validity, self.uid_last + 1));
        let mut seen = Known { modseq: roster.modseq.0, ..Known::default() };
        seen.take(&roster.keywords, &roster.members);
        seen
    }

    pub(super) fn expected(&self) -> Known {
        let seen = |(uid, mail): (&u32, &Mail)| (*uid, (mail.flags, mail.keywords.clone(), mail.modseq));
        Known { modseq: self.modseq, messages: self.messages.iter().map(seen).collect() }
    }
}

async fn change_list(world: &World, account: AccountId, deed: &Deed) -> Result<(), FolderRefused> {
    // The second does not matter: UIDVALIDITY rises all the same.
    let at = Timestamp(1_700_000_000_000);
    let (store, by) = (&world.store, "imap".to_owned());
    let done = match deed {
        Deed::Create(name) => store.write(CreateMailbox { account, name: (*name).into(), special_use: None, at }).await,
        Deed::DeleteMailbox(name) => store.write(DeleteMailbox { account, name: (*name).into(), by, at }).await,
        Deed::Rename(from, to) => {
            store.write(RenameMailbox { account, from: (*from).into(), to: (*to).into(), at }).await
        }
        Deed::Subscribe(name, subscribed) => {
            store.write(Subscribe { account, name: (*name).into(), subscribed: *subscribed }).await
        }
        _ => unreachable!("no change to the list"),
    };
    match done {
        Ok(_) => Ok(()),
        Err(WriteError::Refused(refused)) => Err(refused),
        Err(other) => panic!("{other}"),
    }
}
