use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::{Bytes, Data};
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::hub::{Happened, Hub, Seat};
use super::topic::{Topic, Topics};
use crate::base::limits;
use crate::http::caller::{self, Caller, EventsRead};
use crate::http::context::Context;
use crate::telemetry::Since;

/// Events that are put together for one write.
const EVENTS_AT_ONCE: usize = 100;

/// Events as octets.
pub(in crate::http) type Events = Pin<Box<dyn Stream<Item = Result<Bytes, Infallible>>>>;

/// One who follows.
struct Reader {
    hub: Arc<Hub>,
    context: Data<Context>,
    /// Whose right to follow is looked at again with every ping.
    request: HttpRequest,
    caller: Caller,
    asked: Topics,
    topics: Vec<Topic>,
    /// The number up to which it has been told.
    told: u64,
    /// Sent before anything else.
    opening: Option<String>,
    news: watch::Receiver<u64>,
    next_ping: Instant,
    end: Option<Instant>,
    stop: CancellationToken,
    _seat: Seat,
}

/// The events that the caller asks for, from the one behind `Last-Event-ID` on where it names one. They end when the
/// caller may not follow any more, when its time is over, and when the server stops.
pub(in crate::http) fn follow(
    context: &Data<Context>,
    request: &HttpRequest,
    caller: Caller,
    (asked, topics): (Topics, Vec<Topic>),
    seat: Seat,
) -> Events {
    let hub = Arc::clone(&context.hub);
    let news = hub.ring.watch();
    let last = request.headers().get("last-event-id").map(|field| field.to_str().unwrap_or_default());
    let last = last.filter(|id| !id.is_empty());
    let (told, is_reset) = match last.map(|id| hub.number(id)) {
        None => (hub.ring.newest(), false),
        Some(Some(number)) => (number, false),
        Some(None) => (hub.ring.newest(), true),
    };
    // An id without data is no event: the client only remembers it, and can resume from here.
    let mut opening = format!("retry: {}\n", limits::EVENTS_RETRY_MS);
    opening += &if is_reset { reset(&hub, told) } else { format!("id: {}\n\n", hub.id(told)) };
    let now = Instant::now();
    let reader = Reader {
        stop: context.delivery.stop.clone(),
        context: context.clone(),
        request: request.clone(),
        end: asked.seconds.map(|seconds| now + Duration::from_secs(seconds.min(limits::EVENTS_SECONDS_MAX))),
        caller,
        asked,
        topics,
        told,
        opening: Some(opening),
        news,
        next_ping: now + hub.ping,
        hub,
        _seat: seat,
    };
    Box::pin(unfold(reader, |mut reader| async move {
        let text = reader.next().await?;
        Some((Ok(Bytes::from(text)), reader))
    }))
}

impl Reader {
    async fn next(&mut self) -> Option<String> {
        if let Some(opening) = self.opening.take() {
            return Some(opening);
        }
        loop {
            if self.stop.is_cancelled() {
                return None;
            }
            let now = Instant::now();
            let is_last = self.end.is_some_and(|end| end <= now);
            if !is_last && self.next_ping <= now {
                self.next_ping = now + self.hub.ping;
                self.look_again()?;
                return Some(format!(": ping\nid: {}\n\n", self.hub.id(self.told)));
            }
            self.news.borrow_and_update();
            match self.hub.ring.since(self.told, EVENTS_AT_ONCE) {
                Since::Gap { newest } => {
                    self.told = newest;
                    return Some(reset(&self.hub, newest));
                }
                Since::Entries(entries) if !entries.is_empty() => {
                    let mut text = String::new();
                    for (number, happened) in entries {
                        self.told = number;
                        self.write(&mut text, number, &happened);
                    }
                    if !text.is_empty() {
                        return Some(text);
                    }
                }
                Since::Entries(_) if is_last => return None,
                Since::Entries(_) => {
                    let until = self.end.map_or(self.next_ping, |end| end.min(self.next_ping));
                    tokio::select! {
                        _ = self.news.changed() => {}
                        () = sleep_until(until) => {}
                        () = self.stop.cancelled() => {}
                    }
                }
            }
        }
    }

    fn write(&self, text: &mut String, number: u64, happened: &Happened) {
        let topic = happened.news.topic();
        if !self.topics.contains(&topic) || !happened.news.is_for(&self.caller, &self.context.store) {
            return;
        }
        let data = happened.news.show(happened.at);
        *text += &format!("id: {}\nevent: {}\ndata: {data}\n\n", self.hub.id(number), topic.name());
    }

    /// Whether the caller still may follow: its token or its session may have ended, or may do less.
    fn look_again(&mut self) -> Option<()> {
        let caller = caller::look::<EventsRead>(&self.request)?;
        self.topics = self.asked.of(&caller).ok()?;
        self.caller = caller;
        Some(())
    }
}

/// Some events are lost: the client has to read anew what it shows.
fn reset(hub: &Hub, newest: u64) -> String {
    let data = serde_json::json!({"at": hub.now().rfc3339(), "kind": "reset"});
    format!("id: {}\nevent: reset\ndata: {data}\n\n", hub.id(newest))
}
