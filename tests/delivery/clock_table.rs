//! A clock that is set, by a table of ways: what each promise of time becomes when the wall clock jumps and no time
//! passes.

use std::net::Ipv4Addr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pillarbox::base::{Clock, JobId, MessageId, MessageIds, Random, Secret, SeededRandom, Timestamp, Uid};
use pillarbox::directory::{
    self, AccountChange, AccountFields, CreateAppPassword, CreateToken, DomainFields, OpenSession, Precondition,
    Protocol, PutDomain, SessionKey, TokenFields,
};
use pillarbox::job::{self, JobState};
use pillarbox::jobs::Order;
use pillarbox::net::Listener;
use pillarbox::{intake, mailbox};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::sink::Sink;
use crate::site::Site;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;
/// What the wall clock is set to, one after the other: so many seconds from where it stands.
const TABLE: [(&str, &[i64]); 12] = [
    ("a second back", &[-1]),
    ("five minutes ahead", &[5 * MINUTE]),
    ("five minutes back", &[-5 * MINUTE]),
    ("a day ahead", &[DAY]),
    ("a day back", &[-DAY]),
    ("just less than an expiry ahead", &[5 * DAY - HOUR]),
    ("ten years ahead", &[10 * YEAR]),
    ("ten years back", &[-10 * YEAR]),
    ("a day ahead and back", &[DAY, -DAY]),
    ("a day back and ahead", &[-DAY, DAY]),
    ("ten years ahead and back", &[10 * YEAR, -10 * YEAR]),
    ("to and fro", &[HOUR, -2 * HOUR, DAY, -3 * DAY, 2 * DAY + HOUR]),
];
const USER: &str = "alice@us.test";
const PASSWORD: &str = "a password of a test";
/// Milliseconds.
const SESSION_IDLE: u64 = 12 * 60 * 60 * 1000;
/// Of a token and of an app password.
const TOKEN_LIFE: u64 = 30 * 24 * 60 * 60 * 1000;
/// Pauses between attempts that pass after the jumps.
const PAUSES: usize = 3;

struct Scene {
    site: Site,
    sink: Sink,
    /// Tried once; due again an hour after the start.
    waiting: MessageId,
    random: SeededRandom,
}

/// What a message of the user's own became.
struct Submitted {
    id: MessageId,
    uid: Uid,
    modseq: u64,
    uid_validity: u32,
    date: String,
}

impl Scene {
    async fn open() -> Self {
        let (site, sink) = Site::put_off().await;
        let (store, at) = (&site.house.store, site.clock.now());
        let fields = DomainFields::new(&site.house.settings);
        let name = "us.test".parse().unwrap();
        store.write(PutDomain { name, fields, precondition: Precondition::None, at }).await.unwrap().into_inner();
        let password = Some(site.house.authenticator.hash(Secret::new(PASSWORD.to_owned())).await.unwrap());
        let (address, fields) = (USER.parse().unwrap(), AccountFields::default());
        let account = AccountChange { address, fields, password, precondition: Precondition::None, at };
        store.write(mailbox::PutAccount(account)).await.unwrap().into_inner();
        let waiting = site.send(&["b@there.test"]).await;
        site.until_tried(waiting, 1).await;
        Self { site, sink, waiting, random: SeededRandom::new(7) }
    }

    fn now(&self) -> Timestamp {
        self.site.clock.now()
    }

    /// The wall clock jumps, and no time passes.
    fn jump(&self, seconds: i64) {
        let now = self.now().0 as i64;
        self.site.clock.set(Timestamp((now + seconds * 1000).max(0) as u64));
        self.site.house.delivery.wake();
    }

    /// RCPT commands for the one that waits.
    fn attempts(&self) -> usize {
        let commands = self.sink.sessions().into_iter().flatten();
        commands.filter(|command| command.starts_with("RCPT TO:<b@there.test>")).count()
    }

    /// New mail is tried at once, whatever the clock shows. What was due before it was taken up by then.
    async fn probe(&self, when: &str) {
        let id = self.site.send(&["new@there.test"]).await;
        let is_tried = |site: &Site| site.entry(id, 0).is_none_or(|entry| entry.attempts >= 1);
        self.site.until(&format!("new mail is tried {when}"), is_tried).await;
    }

    /// The user sends themself a message without a Date field.
    async fn submit(&self) -> Submitted {
        let mut client = self.site.house.connect(Listener::Submission, Ipv4Addr::LOCALHOST.into());
        let login = STANDARD.encode(format!("\0{USER}\0{PASSWORD}"));
        // The same octets again would be one message that was sent twice.
        let body = self.random.next_u64();
        let script = format!(
            "EHLO c.test\r\nAUTH PLAIN {login}\r\nMAIL FROM:<{USER}>\r\nRCPT TO:<{USER}>\r\nDATA\r\nFrom: {USER}\r\n\r\n\
             {body}\r\n.\r\nQUIT\r\n"
        );
        client.write_all(script.as_bytes()).await.unwrap();
        let mut heard = String::new();
        client.read_to_string(&mut heard).await.unwrap();
        let id = heard.split([' ', '\r']).find(|word| word.starts_with("m_")).unwrap_or_else(|| panic!("{heard}"));
        let store = &self.site.house.store;
        let (folder, roster) = {
            let view = store.view().unwrap();
            let account = directory::account(&view, &USER.parse().unwrap()).unwrap().unwrap();
            let folder = mailbox::inbox(&view, account.id).unwrap().unwrap();
            (folder, mailbox::roster(&view, folder).unwrap().unwrap())
        };
        let member = roster.members.last().unwrap();
        let mut content = mailbox::content(store, folder, member.uid).unwrap().unwrap();
        let head = content.next().await.unwrap().unwrap();
        let head = String::from_utf8_lossy(&head).into_owned();
        let date = head.lines().find_map(|line| line.strip_prefix("Date: ")).unwrap_or_default().to_owned();
        let (uid, modseq, uid_validity) = (member.uid, roster.modseq.0, roster.uid_validity);
        Submitted { id: id.parse().unwrap(), uid, modseq, uid_validity, date }
    }

    /// Begins a session of the admin page: its key.
    async fn begin_session(&self) -> SessionKey {
        let password = Secret::new(PASSWORD.to_owned());
        let who = self.site.house.authenticator.authenticate(USER, &password, Protocol::Http, None).await.unwrap();
        let (open, cookie) = OpenSession::new(&who, None, "a test", None, SESSION_IDLE, &self.random, self.now());
        self.site.house.store.write(open).await.unwrap().into_inner();
        SessionKey::of(cookie.expose())
    }

    fn has_session(&self, key: SessionKey) -> bool {
        let view = self.site.house.store.view().unwrap();
        directory::find_session(&view, key, self.now(), SESSION_IDLE).unwrap().is_some()
    }

    /// Makes an app password for IMAP that ends then.
    async fn make_app_password(&self, expires_at: Timestamp) -> Secret<String> {
        let store = &self.site.house.store;
        let account = directory::account(&store.view().unwrap(), &USER.parse().unwrap()).unwrap().unwrap().id;
        let (protocols, end) = (vec![Protocol::Imap], Some(expires_at));
        let (create, secret) = CreateAppPassword::new(account, "test".into(), protocols, end, &self.random, self.now());
        store.write(create).await.unwrap().into_inner();
        secret
    }

    async fn logs_in(&self, password: &Secret<String>) -> bool {
        self.site.house.authenticator.authenticate(USER, password, Protocol::Imap, None).await.is_ok()
    }

    /// A job does its work and ends; its id.
    async fn work(&self, name: &str) -> JobId {
        let order = Order { kind: "test", target: "clock".into(), actor: "test".into(), session: None };
        let id = self.site.house.jobs.start(order, |_| async { Ok(serde_json::Value::Null) }).await.unwrap();
        let state = |site: &Site| job::job(&site.house.store.view().unwrap(), id).unwrap().unwrap().state;
        self.site.until(&format!("a job ends, {name}"), |site| state(site) == JobState::Succeeded).await;
        id
    }

    /// Whether a token is good now.
    fn admits(&self, text: &Secret<String>) -> bool {
        let view = self.site.house.store.view().unwrap();
        directory::find_token(&view, text.expose()).unwrap().unwrap().admits(self.now(), None)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_breaks_no_promise() {
    for (name, jumps) in TABLE {
        check(name, jumps).await;
    }
}

async fn check(name: &str, jumps: &[i64]) {
    let scene = Scene::open().await;
    let begin = scene.now();
    let mut sessions = vec![(begin, scene.begin_session().await)];
    let fields = TokenFields {
        name: "test".into(),
        scopes: vec![directory::Scope::Admin],
        expires_at: Some(begin.plus_ms(TOKEN_LIFE)),
        ..TokenFields::default()
    };
    let (create, token) = CreateToken::new(fields, &scene.random, begin);
    scene.site.house.store.write(create).await.unwrap().into_inner();
    let app_password = scene.make_app_password(begin.plus_ms(TOKEN_LIFE)).await;
    assert!(scene.logs_in(&app_password).await, "{name}");
    let mut last_job = scene.work(name).await;
    let mut last = scene.submit().await;
    assert_eq!(last.date, begin.rfc5322(), "{name}");

    for seconds in jumps {
        scene.jump(*seconds);
        scene.probe(&format!("{name}, after {seconds} s")).await;
        assert_eq!(scene.attempts(), 1, "{name}: a jump is no attempt");
        assert!(scene.site.entry(scene.waiting, 0).is_some(), "{name}: a jump is no end");
        // What comes in is told to be of now, and comes behind what was there.
        let next = scene.submit().await;
        assert_eq!(next.date, scene.now().rfc5322(), "{name}");
        assert!(next.id > last.id && next.uid > last.uid && next.modseq > last.modseq, "{name}: backwards");
        assert_eq!(next.uid_validity, last.uid_validity, "{name}");
        last = next;
        let job = scene.work(name).await;
        assert!(job > last_job, "{name}: a job's id");
        last_job = job;
        // After a restart too.
        let newest = intake::newest_id(&scene.site.house.store.view().unwrap()).unwrap();
        assert!(MessageIds::after(newest).message(scene.now()) > last.id, "{name}: backwards after a restart");
        sessions.push((scene.now(), scene.begin_session().await));
    }

    // A session ends when it was idle for so long by the clock, in whichever direction: one that was begun under a
    // clock that was years ahead is not good for years. What is over when another begins is gone for good.
    for (place, (begun, key)) in sessions.iter().enumerate() {
        let idle = scene.now().ms().abs_diff(begun.ms());
        let was_over = sessions[place..].iter().any(|(later, _)| later.ms() >= begun.ms() + SESSION_IDLE);
        assert_eq!(scene.has_session(*key), idle < SESSION_IDLE && !was_over, "{name}: a session of {begun}");
    }
    assert_eq!(scene.admits(&token), scene.now() < begin.plus_ms(TOKEN_LIFE), "{name}: a token");

    assert_eq!(scene.logs_in(&app_password).await, scene.now() < begin.plus_ms(TOKEN_LIFE), "{name}: an app password");

    for pause in 1..=PAUSES {
        scene.site.pass(70 * MINUTE as u64);
        scene.probe(&format!("{name}, in pause {pause}")).await;
        let most = 1 + 2 * pause;
        assert!(scene.attempts() <= most, "{name}: {} attempts in pause {pause}", scene.attempts());
    }
    // Time that passes goes on to make attempts; and an end comes only behind one that was made after the jump.
    let is_over = |site: &Site| site.entry(scene.waiting, 0).is_none_or(|entry| entry.attempts >= 2);
    scene.site.until(&format!("another attempt {name}"), is_over).await;
    assert!(scene.attempts() >= 2, "{name}: {}", scene.site.story(scene.waiting));
    let expired = scene.site.story(scene.waiting).contains("Expired");
    let shown = scene.now().ms() as i64 - begin.ms() as i64;
    assert_eq!(expired, shown > 5 * DAY * 1000, "{name}: {}", scene.site.story(scene.waiting));
    assert_eq!(scene.site.house.store.check().unwrap().lines(), [] as [&str; 0], "{name}");
    scene.site.stop().await;
}
