use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::news::News;
use crate::base::limits;
use crate::http::api::overview::{self, CheckState};
use crate::http::context::Context;

/// Tells those who follow when the verdict on the server is another, until the server stops.
pub(in crate::http) async fn watch(context: Arc<Context>) {
    let (mut last, stop) = (None, context.delivery.stop.clone());
    let pause = Duration::from_secs(limits::HEALTH_LOOK_S);
    while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        if !context.hub.is_awake() {
            last = None;
            continue;
        }
        let (state, sentence) = match overview::look(&context).await {
            Ok(seen) => seen.verdict(),
            Err(_) => (CheckState::Problem, "The file can't be read.".to_owned()),
        };
        if last.as_ref().is_none_or(|(known, _)| *known != state) {
            context.hub.tell(News::Health(json!({"kind": "verdict", "state": state, "sentence": sentence})));
        }
        last = Some((state, sentence));
    }
}
