//! What a clock that jumps does to the schedule: no storm, no stall, no end without a try.

use std::time::Duration;

use pillarbox::base::{Clock, MessageId, Timestamp};

use crate::sink::Sink;
use crate::site::Site;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

struct Scene {
    site: Site,
    sink: Sink,
    /// Tried once; due again an hour after the start.
    id: MessageId,
}

impl Scene {
    async fn open() -> Self {
        let (site, sink) = Site::put_off().await;
        let id = site.send(&["b@there.test"]).await;
        site.until_tried(id, 1).await;
        Self { site, sink, id }
    }

    /// The wall clock jumps, and no time passes.
    async fn jump(&self, seconds: i64) {
        let now = self.site.clock.now().0 as i64;
        self.site.clock.set(Timestamp((now + seconds * 1000).max(0) as u64));
        self.site.house.delivery.wake();
        self.settle().await;
    }

    /// Delivery has nothing to wait for but the clock: what it must not do, it would do at once.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }

    fn attempts(&self) -> Option<u32> {
        self.site.entry(self.id, 0).map(|entry| entry.attempts)
    }

    /// That it comes to so many attempts, and to no more; `None`: the entry is gone.
    async fn check_attempts(&self, expected: Option<u32>, when: &str) {
        self.site.until(&format!("{expected:?} attempts {when}"), |_| self.attempts() == expected).await;
        self.settle().await;
        assert_eq!(self.attempts(), expected, "{when}");
    }

    /// New mail is tried at once, whatever the clock shows.
    async fn check_new_mail(&self, after: i64) {
        let id = self.site.send(&["new@there.test"]).await;
        let is_tried = |site: &Site| site.entry(id, 0).is_some_and(|entry| entry.attempts == 1);
        self.site.until(&format!("new mail is tried after a jump of {after} s"), is_tried).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn time_that_passes_makes_the_next_attempt_and_no_more() {
    let scene = Scene::open().await;
    scene.site.pass(40 * 60);
    scene.check_attempts(Some(1), "in 40 minutes").await;
    scene.site.pass(30 * 60);
    scene.check_attempts(Some(2), "in 70 minutes").await;
    scene.sink.heal();
    scene.site.pass(70 * 60);
    scene.site.until_empty().await;
    assert_eq!(scene.sink.count(), 1);
    scene.site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_is_no_attempt_and_no_end() {
    for jump in [-(DAY as i64), -1800, -3, 3, 1800, DAY as i64, 4 * DAY as i64, 10 * 365 * DAY as i64] {
        let scene = Scene::open().await;
        scene.jump(jump).await;
        assert_eq!(scene.attempts(), Some(1), "after a jump of {jump} s");
        scene.check_new_mail(jump).await;
        scene.site.pass(40 * 60);
        // A jump of half an hour ends before the hour that it was to wait: half an hour is left of it.
        let early = if jump == 1800 { 2 } else { 1 };
        scene.check_attempts(Some(early), &format!("40 minutes after a jump of {jump} s")).await;
        scene.site.pass(30 * 60);
        // Behind its end, it had its attempt, and then it was over.
        let is_over = jump >= 5 * DAY as i64;
        let late = if is_over { None } else { Some(2) };
        scene.check_attempts(late, &format!("70 minutes after a jump of {jump} s")).await;
        assert_eq!(scene.site.story(scene.id).contains("Expired"), is_over, "{}", scene.site.story(scene.id));
        scene.site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jumps_there_and_back_again_make_no_storm() {
    let scene = Scene::open().await;
    for _ in 0..10 {
        scene.jump(DAY as i64).await;
        scene.jump(-(DAY as i64)).await;
    }
    assert_eq!(scene.attempts(), Some(1));
    for hour in 2..=4 {
        scene.site.pass(70 * 60);
        scene.site.until("another attempt", |_| scene.attempts() >= Some(2)).await;
        scene.settle().await;
        assert!(scene.attempts() <= Some(hour), "{:?} in hour {hour}", scene.attempts());
    }
    scene.check_new_mail(0).await;
    scene.site.stop().await;
}
