use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::body::receive;
use super::json;
use super::problem::{Code, Problem};
use crate::base::limits;

/// A large body is in memory several times over while it is worked on.
static LARGE: Semaphore = Semaphore::const_new(limits::LARGE_JSON_AT_ONCE);

/// A JSON body that may be larger than others, as it came.
pub(super) struct LargeBody {
    bytes: Vec<u8>,
    values_max: usize,
    permit: Option<SemaphorePermit<'static>>,
}

/// What a large body may be.
pub(super) struct Bounds {
    pub bytes_max: usize,
    /// Names and values.
    pub values_max: usize,
    pub patience_s: u64,
}

/// What was made of a large body. While it is there, it counts among those that are in memory.
#[derive(Debug)]
pub(super) struct Held<T> {
    value: T,
    _permit: Option<SemaphorePermit<'static>>,
}

impl LargeBody {
    /// Waits until it has come.
    ///
    /// # Errors
    /// As [`receive`], and 503 when as many are in memory as may be.
    pub async fn receive(request: &HttpRequest, payload: web::Payload, bounds: Bounds) -> Result<Self, Problem> {
        let Bounds { bytes_max, values_max, patience_s } = bounds;
        let mut permit = None;
        let ask_for_room = || {
            permit = Some(LARGE.try_acquire().map_err(|_| busy())?);
            Ok(())
        };
        let bytes = receive(request, payload, &["application/json"], (bytes_max, patience_s), ask_for_room).await?;
        Ok(Self { bytes, values_max, permit })
    }

    /// Makes JSON of it and works with that, on a thread that nobody else waits for. Who goes away does not end the work,
    /// nor does it count less for that.
    ///
    /// # Errors
    /// As [`json::read`] and the work.
    pub async fn work<T: Send + 'static>(
        self,
        work: impl FnOnce(Value) -> Result<T, Problem> + Send + 'static,
    ) -> Result<Held<T>, Problem> {
        let all = move || {
            let Self { bytes, values_max, permit } = self;
            let value = json::read(&bytes, values_max)?;
            drop(bytes);
            Ok(Held { value: work(value)?, _permit: permit })
        };
        web::block(all).await.map_err(Problem::internal)?
    }
}

/// The body that has a whole state.
impl FromRequest for LargeBody {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let payload = web::Payload::from_request(&request, &mut payload).await.map_err(Problem::internal)?;
            let bounds = Bounds {
                bytes_max: limits::STATE_BODY_BYTES,
                values_max: limits::STATE_VALUES,
                patience_s: limits::JSON_BODY_S,
            };
            Self::receive(&request, payload, bounds).await
        })
    }
}

impl<T> Held<T> {
    /// What came by another way than in a body.
    pub fn free(value: T) -> Self {
        Self { value, _permit: None }
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

fn busy() -> Problem {
    let detail =
        "Too many large JSON bodies are worked on at this moment: try again, or send a message as message/rfc822.";
    Problem::new(Code::Busy, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(permit: Option<SemaphorePermit<'static>>) -> LargeBody {
        LargeBody { bytes: b"[1]".to_vec(), values_max: 2, permit }
    }

    #[actix_web::test]
    async fn its_place_is_given_back_when_the_work_is_done() {
        static PLACES: Semaphore = Semaphore::const_new(1);
        let permit = || PLACES.try_acquire().ok();
        let held = body(permit()).work(|value| Ok(value[0].clone())).await.unwrap();
        assert_eq!((&*held, PLACES.available_permits()), (&Value::from(1), 0));
        drop(held);
        assert!(body(permit()).work(|_| Err::<(), _>(busy())).await.is_err());
        assert_eq!(PLACES.available_permits(), 1);
        // Who asked goes away while the work is done.
        let (begin, begun) = std::sync::mpsc::channel::<()>();
        let (tell, told) = tokio::sync::oneshot::channel();
        let work = body(permit()).work(move |_| {
            let waited = begun.recv();
            let _ = tell.send(PLACES.available_permits());
            waited.map_err(Problem::internal)
        });
        assert!(futures_util::poll!(Box::pin(work)).is_pending());
        assert_eq!(PLACES.available_permits(), 0);
        begin.send(()).unwrap();
        assert_eq!(told.await, Ok(0), "it counts as long as it is worked on");
    }
}
