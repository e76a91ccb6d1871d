use std::collections::BinaryHeap;

use futures_util::FutureExt;

use super::super::way::To;
use super::*;
use crate::base::{Enhanced, Host, MessageId, TlsWish};
use crate::queue::{Stage, Words};

const NOW: Timestamp = Timestamp(1_000_000);

struct Scene {
    board: Arc<Board>,
    claims: Claims,
    seats: Vec<(Seat, Bundle)>,
    ids: u64,
}

impl Scene {
    fn new(connections_max: usize, per_destination_max: usize) -> Self {
        let board = Arc::new(Board::new(connections_max, per_destination_max, Urges::default()));
        Self { board, claims: Claims::default(), seats: Vec::new(), ids: 0 }
    }

    /// Offers messages that are due at `at`, each with one recipient; says what becomes of the last.
    fn offer(&mut self, domain: &str, count: u64, at: u64) -> Offered {
        self.offer_at(domain, count, at, NOW)
    }

    fn offer_at(&mut self, domain: &str, count: u64, at: u64, now: Timestamp) -> Offered {
        self.offer_from("a@us.test", domain, count, at, now)
    }

    fn offer_from(&mut self, sender: &str, domain: &str, count: u64, at: u64, now: Timestamp) -> Offered {
        let address: Address = format!("b@{domain}").parse().unwrap();
        let way = Way { to: To::Mx(address.host.clone()), tls: TlsWish::Policy };
        let mut last = Offered::Later;
        for _ in 0..count {
            self.ids += 1;
            let id = QueueId { message: MessageId(self.ids), number: 0 };
            let turn = Turn { sender: sender.into(), priority: 0 };
            let due = Due { id, address: address.clone(), at: Timestamp(at), turn };
            last = self.board.offer(&[(way.clone(), due)], &self.claims, now).remove(0);
        }
        last
    }

    /// Somebody there has answered.
    fn know(&mut self, domain: &str) {
        let way = Way { to: To::Mx(Host::Name(domain.parse().unwrap())), tls: TlsWish::Policy };
        let mut inner = self.board.lock();
        inner.destinations.entry(way.key()).or_insert_with(|| Destination::new(way)).is_known = true;
    }

    /// Begins the sessions that there is room for; says how many each destination has.
    fn staff(&mut self) -> Vec<(String, usize)> {
        self.seats.extend(self.board.staff(NOW).into_iter().map(|(seat, _, bundle)| (seat, bundle)));
        let mut counts: HashMap<String, usize> = HashMap::new();
        for (seat, _) in &self.seats {
            *counts.entry(seat.key.trim_start_matches("mx ").to_owned()).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort();
        counts
    }

    fn fail(&self, domain: &str, now: Timestamp) {
        let policy = Policy {
            retry_seconds: vec![60, 120],
            expiry_seconds: 1,
            bounce_expiry_seconds: 1,
            hold_expiry_seconds: 1,
            delay_notice_seconds: 0,
        };
        let attempt = Attempt {
            at: now,
            actor: "test".into(),
            server: None,
            server_ip: None,
            tls: None,
            stage: Stage::Connect,
            words: Words::own(Enhanced(4, 4, 1), "refused"),
            duration_ms: 0,
        };
        let broken = Broken { attempt, began: now, urges: 0, now, jitter: 1000 };
        self.board.failed(&format!("mx {domain}"), None, broken, &policy);
    }
}

#[test]
fn sessions_rise_with_success_up_to_the_limit_of_a_destination() {
    let mut scene = Scene::new(100, 5);
    scene.know("a.test");
    scene.offer("a.test", 100, 0);
    assert_eq!(scene.staff(), [("a.test".into(), limits::SESSIONS_AT_FIRST)]);
    scene.board.answered("mx a.test", 1);
    assert_eq!(scene.staff(), [("a.test".into(), 3)]);
    scene.board.answered("mx a.test", 50);
    assert_eq!(scene.staff(), [("a.test".into(), 5)]);
    scene.board.slowed("mx a.test");
    assert!(scene.board.rest("192.0.2.1:25".parse().unwrap(), NOW.plus_ms(5), NOW, Some(0)));
    scene.seats.clear();
    assert_eq!(scene.staff(), [("a.test".into(), 2)]);
    assert!(scene.board.rests("192.0.2.1:25".parse().unwrap(), NOW));
    assert!(!scene.board.rests("192.0.2.1:25".parse().unwrap(), NOW.plus_ms(5)));
    // What a session has found that began before somebody wanted mail to be tried now is forgiven.
    scene.board.urges.add();
    assert!(!scene.board.rest("192.0.2.1:25".parse().unwrap(), NOW.plus_ms(5), NOW, Some(0)));
    assert!(!scene.board.rests("192.0.2.1:25".parse().unwrap(), NOW));
    assert!(scene.board.rest("192.0.2.1:25".parse().unwrap(), NOW.plus_ms(5), NOW, Some(1)));
}

#[test]
fn some_large_destinations_leave_room_for_others() {
    let mut scene = Scene::new(8, 8);
    let known = |scene: &mut Scene, domain: &str, count| {
        scene.offer(domain, count, 0);
        scene.board.answered(&format!("mx {domain}"), 100);
    };
    known(&mut scene, "a.test", 100);
    known(&mut scene, "b.test", 100);
    assert_eq!(scene.staff(), [("a.test".into(), 3), ("b.test".into(), 3)]);
    ["c.test", "d.test", "e.test"].iter().for_each(|domain| known(&mut scene, domain, 1));
    let seen = scene.staff();
    assert_eq!((seen.len(), scene.seats.len()), (4, 8), "{seen:?}");
}

#[test]
fn a_window_is_bounded_and_asks_for_more_when_it_is_nearly_empty() {
    let mut scene = Scene::new(8, 1);
    // Half of it is free for other senders.
    let window = limits::WINDOW_ENTRIES as u64 / 2;
    scene.know("a.test");
    assert_eq!(scene.offer("a.test", window, 7), Offered::Taken);
    assert_eq!(scene.offer("a.test", 3, 8), Offered::Later);
    assert_eq!(scene.board.take_hungry(NOW), None);
    for _ in 0..window {
        scene.board.next("mx a.test");
    }
    let first = QueueId { message: MessageId(window + 1), number: 0 };
    let hungry = Hungry::Senders(["a@us.test".to_owned()].into());
    let place = (Timestamp(8), first);
    let wanted = Wanted::from([("mx a.test".into(), (hungry, place))]);
    assert_eq!(scene.board.take_hungry(NOW), Some((wanted, place)));
    assert_eq!(scene.board.take_hungry(NOW), None);
}

#[test]
fn little_waits_for_the_first_answer_and_the_rest_is_looked_for_behind_it() {
    let mut scene = Scene::new(8, 1);
    let few = limits::WINDOW_ENTRIES_AT_FIRST as u64;
    assert_eq!(scene.offer("a.test", few, 7), Offered::Taken);
    assert_eq!(scene.offer("a.test", 9, 8), Offered::Later);
    assert_eq!(scene.board.take_hungry(NOW), None);
    scene.staff();
    assert_eq!(scene.board.take_hungry(NOW), None, "not before somebody answers");
    assert_eq!(scene.board.changed.notified().now_or_never(), None);
    scene.board.answered("mx a.test", 1);
    assert_eq!(scene.board.changed.notified().now_or_never(), Some(()));
    let (wanted, place) = scene.board.take_hungry(NOW).unwrap();
    assert_eq!((wanted.len(), place.0), (1, Timestamp(8)));
    // Its sessions may end while it is looked for.
    while scene.board.next("mx a.test").is_some() {}
    scene.seats.clear();
    scene.board.looked(&wanted, Some(place));
    assert_eq!(scene.board.take_hungry(NOW), Some((wanted.clone(), place)));
    scene.board.looked(&wanted, None);
    scene.board.tidy(NOW);
    assert!(scene.board.lock().destinations.is_empty());
}

#[test]
fn who_was_looked_for_further_on_does_not_go_back() {
    let mut scene = Scene::new(8, 1);
    for (domain, at) in [("a.test", 100), ("b.test", 200)] {
        scene.offer(domain, limits::WINDOW_ENTRIES_AT_FIRST as u64, 7);
        scene.offer(domain, 1, at);
        scene.know(domain);
    }
    let (wanted, from) = scene.board.take_hungry(NOW).unwrap();
    assert_eq!(from.0, Timestamp(100));
    let (_, (_, behind)) = wanted.last_key_value().unwrap();
    let left = (Timestamp(150), FIRST.1);
    scene.board.looked(&wanted, Some(left));
    let (wanted, from) = scene.board.take_hungry(NOW).unwrap();
    assert_eq!((from, wanted["mx b.test"].1), (left, *behind));
}

#[test]
fn a_destination_in_trouble_postpones_what_was_due_and_is_tried_by_one_at_a_time() {
    let mut scene = Scene::new(8, 8);
    scene.offer("a.test", 10, NOW.0);
    scene.staff();
    scene.fail("a.test", NOW);
    scene.seats.clear();
    assert_eq!(scene.staff(), [], "what was ready is given back");
    let until = NOW.plus_ms(60_000);
    assert_eq!(scene.offer("a.test", 1, NOW.0), Offered::Postpone(until));
    // What has become due since may try again, soon, alone.
    let soon = NOW.plus_ms(limits::TROUBLE_PROBE_MS);
    assert_eq!(scene.offer_at("a.test", 1, NOW.0 + 1, NOW.plus_ms(2)), Offered::Later);
    assert_eq!(scene.offer_at("a.test", 1, NOW.0 + 1, soon), Offered::Taken);
    assert_eq!(scene.offer_at("a.test", 1, NOW.0 + 1, soon), Offered::Later);
    assert_eq!(scene.staff(), [("a.test".into(), 1)]);
    // A failure within the pause does not make it longer; one behind it does.
    scene.fail("a.test", soon);
    scene.seats.clear();
    assert_eq!(scene.offer_at("a.test", 1, NOW.0, soon), Offered::Postpone(until));
    assert_eq!(scene.offer_at("a.test", 1, NOW.0, until), Offered::Taken);
    scene.staff();
    scene.fail("a.test", until);
    assert_eq!(scene.offer_at("a.test", 1, until.0, until), Offered::Postpone(until.plus_ms(120_000)));
    // An answer ends it.
    scene.board.answered("mx a.test", 0);
    scene.seats.clear();
    assert_eq!(scene.offer_at("a.test", 5, until.0, until), Offered::Taken);
}

#[test]
fn recipients_of_a_message_go_together_up_to_what_every_server_takes() {
    let mut scene = Scene::new(8, 8);
    scene.know("a.test");
    let Scene { board, claims, .. } = scene;
    let address: Address = "b@a.test".parse().unwrap();
    let way = Way { to: To::Mx(address.host.clone()), tls: TlsWish::Policy };
    for number in 0..250 {
        let id = QueueId { message: MessageId(1), number };
        let offer = || [(way.clone(), Due { id, address: address.clone(), at: NOW, turn: Turn::default() })];
        assert_eq!(board.offer(&offer(), &claims, NOW), [Offered::Taken]);
        assert_eq!(board.offer(&offer(), &claims, NOW), [Offered::Later]);
    }
    let sizes: Vec<usize> =
        std::iter::from_fn(|| board.next("mx a.test")).map(|bundle| bundle.recipients.len()).collect();
    assert_eq!(sizes, [100, 100, 50]);
    // The first that goes where nobody has answered yet is no smaller.
    let way = Way { to: To::Mx(Host::Name("new.test".parse().unwrap())), tls: TlsWish::Policy };
    let offers = (0..101).map(|number| {
        let id = QueueId { message: MessageId(2), number };
        (way.clone(), Due { id, address: address.clone(), at: NOW, turn: Turn::default() })
    });
    let offered = board.offer(&offers.collect::<Vec<_>>(), &claims, NOW);
    assert_eq!(offered.iter().filter(|offered| **offered == Offered::Taken).count(), 100);
    assert_eq!(board.next("mx new.test").unwrap().recipients.len(), 100);
    assert!(!claims.has(QueueId { message: MessageId(1), number: 0 }), "what is dropped is free");
}

#[test]
fn a_sender_with_much_does_not_keep_another_waiting() {
    let mut scene = Scene::new(8, 1);
    scene.know("a.test");
    scene.offer_from("bulk@us.test", "a.test", 1000, 1, NOW);
    assert_eq!(scene.offer_from("one@us.test", "a.test", 1, 9, NOW), Offered::Taken);
    scene.staff();
    assert_eq!(scene.seats[0].1.turn.sender, "bulk@us.test");
    assert_eq!(scene.board.next("mx a.test").unwrap().turn.sender, "one@us.test");
    // Nor where it goes elsewhere.
    let mut scene = Scene::new(8, 1);
    scene.offer_from("bulk@us.test", "a.test", 9, 1, NOW);
    assert_eq!(scene.offer_from("one@us.test", "a.test", 1, 9, NOW), Offered::Taken, "where nobody has answered");
    let mut scene = Scene::new(2, 1);
    for number in 0..20_000 {
        scene.offer_from("bulk@us.test", &format!("d{number}.test"), 1, 1, NOW);
    }
    scene.staff();
    assert_eq!(scene.offer_from("one@us.test", "new.test", 1, 9, NOW), Offered::Taken);
    scene.seats.remove(0);
    scene.staff();
    assert_eq!(scene.seats.last().unwrap().1.turn.sender, "one@us.test");
}

#[test]
fn who_waits_for_a_server_has_no_place_until_it_answers() {
    let mut scene = Scene::new(4, 4);
    for number in 0..8 {
        scene.offer(&format!("d{number}.test"), 1, 1);
    }
    assert_eq!(scene.staff().len(), 8, "nobody knows them");
    for number in 0..8 {
        scene.board.answered(&format!("mx d{number}.test"), 0);
    }
    let seats = |scene: &mut Scene| scene.seats.iter_mut().map(|(seat, _)| seat.step_back()).collect::<Vec<_>>();
    assert_eq!(seats(&mut scene), [[true; 4], [false; 4]].concat());
    let first = scene.seats[0].0.key.trim_start_matches("mx ").to_owned();
    scene.offer(&first, 9, 2);
    assert_eq!(scene.staff().len(), 8, "those that were answered come first");
    scene.seats.drain(..4);
    assert_eq!(seats(&mut scene), [true; 4]);
    // One that waits again gives its place away.
    scene.seats[0].0.step_aside();
    assert_eq!(scene.staff().len(), 5);
    assert!(!scene.seats[0].0.step_back());
    scene.seats.clear();
    let inner = scene.board.lock();
    assert_eq!((inner.places, inner.aside, inner.returning), (0, 0, 0));
}

/// Milliseconds until all mail has gone to so many destinations that answer, beside so many that never do: five messages
/// for each, 50 ms for a connection, 20 ms a message, as in reality 64 places.
fn simulate(alive: usize, dead: usize) -> u64 {
    let (mut scene, mut clock, mut heap) = (Scene::new(64, 16), 0, BinaryHeap::new());
    let mut waiting: BTreeMap<String, usize> = BTreeMap::new();
    waiting.extend((0..dead).map(|number| (format!("mx dead{number}.test"), 5)));
    waiting.extend((0..alive).map(|number| (format!("mx alive{number}.test"), 5)));
    let names: Vec<String> = waiting.keys().cloned().collect();
    let offer = |scene: &mut Scene, waiting: &mut BTreeMap<String, usize>, key: &String| {
        let left = waiting.get_mut(key).unwrap();
        while *left > 0 && scene.offer(key.trim_start_matches("mx "), 1, 1) == Offered::Taken {
            *left -= 1;
        }
    };
    names.iter().for_each(|key| offer(&mut scene, &mut waiting, key));
    let (mut sessions, mut left) = (HashMap::new(), alive * 5);
    let (mut begun, mut has_answered) = (0_usize, false);
    while left > 0 {
        if std::mem::take(&mut has_answered)
            && let Some((wanted, _)) = scene.board.take_hungry(NOW.plus_ms(clock))
        {
            wanted.keys().for_each(|key| offer(&mut scene, &mut waiting, key));
        }
        for (seat, _, bundle) in scene.board.staff(NOW.plus_ms(clock)) {
            begun += 1;
            let wait_ms = if seat.key.starts_with("mx dead") { limits::FIRST_CONNECT_MS } else { 50 };
            heap.push(std::cmp::Reverse((clock + wait_ms, begun)));
            sessions.insert(begun, (seat, Some(bundle), false));
        }
        let Some(std::cmp::Reverse((at, id))) = heap.pop() else { panic!("{left} are left, and nobody sends them") };
        clock = at;
        let Some((mut seat, bundle, speaks)) = sessions.remove(&id) else { continue };
        if seat.key.starts_with("mx dead") {
            let domain = seat.key.trim_start_matches("mx ").to_owned();
            drop(bundle);
            scene.fail(&domain, NOW.plus_ms(clock));
            continue;
        }
        if !seat.step_back() {
            heap.push(std::cmp::Reverse((clock + 1, id)));
            sessions.insert(id, (seat, bundle, speaks));
            continue;
        }
        if speaks {
            scene.board.answered(&seat.key, 1);
            (has_answered, left) = (true, left - 1);
        }
        let next = if speaks { scene.board.next(&seat.key) } else { bundle };
        if let Some(bundle) = next {
            heap.push(std::cmp::Reverse((clock + 20, id)));
            sessions.insert(id, (seat, Some(bundle), true));
        }
    }
    clock
}

#[test]
fn hosts_that_do_not_answer_do_not_slow_those_that_do() {
    let (alone, beside) = (simulate(500, 0), simulate(500, 500));
    assert!(beside <= alone + alone / 4, "{beside} ms and not {alone}");
}

#[test]
fn a_second_session_keeps_no_first_one_from_beginning() {
    let mut scene = Scene::new(4, 4);
    for number in 0..limits::SESSIONS_ASIDE {
        if number == limits::SESSIONS_ASIDE / 2 {
            scene.staff();
        }
        scene.offer(&format!("d{number}.test"), 2, 1);
    }
    assert_eq!(scene.staff().len(), limits::SESSIONS_ASIDE, "each has one");
    let mut scene = Scene::new(4, 4);
    scene.offer("alone.test", 2, 1);
    assert_eq!(scene.staff(), [("alone.test".into(), 2)]);
}

#[test]
fn destinations_with_the_same_servers_share_their_sessions() {
    let mut scene = Scene::new(100, 5);
    scene.know("a.test");
    for domain in ["a.test", "b.test", "c.test"] {
        scene.offer(domain, 5, 1);
    }
    scene.staff();
    assert_eq!(scene.seats.len(), 6, "nobody knows yet");
    let board = Arc::clone(&scene.board);
    let mut entered: Vec<Entered> =
        scene.seats.iter_mut().map(|(seat, _)| board.enter(seat, "mx.there.test".into(), NOW)).collect();
    entered.sort_by_key(|entered| *entered == Entered::Full);
    assert_eq!(entered, [vec![Entered::Yes; 2], vec![Entered::Full; 4]].concat());
    scene.seats.retain(|(seat, _)| seat.site.is_some());
    assert_eq!(scene.staff().iter().map(|(_, count)| count).sum::<usize>(), 2);
    let key = scene.seats[0].0.key.clone();
    scene.board.answered(&key, 1);
    scene.staff();
    let (seat, _) = scene.seats.last_mut().unwrap();
    assert_eq!(board.enter(seat, "mx.there.test".into(), NOW), Entered::Yes);
}

#[test]
fn a_pause_begins_nothing() {
    let mut scene = Scene::new(4, 4);
    scene.offer("a.test", 3, 1);
    scene.board.pause(true);
    assert_eq!((scene.staff(), scene.board.next("mx a.test").is_none()), (vec![], true));
    scene.board.pause(false);
    assert_eq!(scene.staff(), [("a.test".into(), 2)]);
}
