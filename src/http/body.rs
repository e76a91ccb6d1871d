use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::rt::time::timeout;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures_util::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::document;
use super::json;
use super::problem::{Code, Fault, Problem};
use super::validate::validate;
use crate::base::limits;

/// A JSON body that fits the schema of `T` in the OpenAPI document.
pub(super) struct Body<T>(pub T);

/// The same of somebody who has not shown yet who they are: a short one.
pub(super) struct PublicBody<T>(pub T);

/// The same where all of it may be left out: no body at all is the default.
pub(super) struct OptionalBody<T>(pub T);

/// A JSON Merge Patch (RFC 7396): an object, not yet compared with any schema.
pub(super) struct Patch(pub Value);

impl<T: DeserializeOwned + ToSchema + 'static> FromRequest for Body<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move { fit(read(&request, &mut payload, &["application/json"]).await?).map(Self) })
    }
}

impl<T: DeserializeOwned + ToSchema + 'static> FromRequest for PublicBody<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let read = read_up_to(limits::PUBLIC_BODY_BYTES, &request, &mut payload, &["application/json"]);
            fit(read.await?).map(Self)
        })
    }
}

impl<T: DeserializeOwned + ToSchema + Default + 'static> FromRequest for OptionalBody<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        let has = |name| request.headers().get(name).is_some_and(|value| value != "0");
        let is_empty = !has(header::CONTENT_LENGTH) && !has(header::TRANSFER_ENCODING) && !has(header::CONTENT_TYPE);
        Box::pin(async move {
            if is_empty {
                return Ok(Self(T::default()));
            }
            fit(read(&request, &mut payload, &["application/json"]).await?).map(Self)
        })
    }
}

impl FromRequest for Patch {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let patch = read(&request, &mut payload, &["application/merge-patch+json", "application/json"]).await?;
            if patch.is_object() {
                return Ok(Self(patch));
            }
            Err(Problem::invalid(vec![Fault::body("", "wrong_type", "a merge patch is an object")]))
        })
    }
}

impl Patch {
    /// Applies it to what is there and compares the result with the schema of `T`.
    ///
    /// A `null` for a field that no `T` has is refused like any unknown field, though there is nothing to remove: it is a
    /// misspelt name, and whoever sent it believes that something is gone.
    pub fn apply<T: Serialize + DeserializeOwned + ToSchema>(self, target: &T) -> Result<T, Problem> {
        let mut target = serde_json::to_value(target).map_err(Problem::internal)?;
        let mut named = target.clone();
        merge_with(&mut named, self.0.clone(), &|fields, name| {
            fields.insert(name, Value::Null);
        });
        let unknown: Vec<Fault> = faults_of::<T>(&named).into_iter().filter(Fault::is_unknown_field).collect();
        if !unknown.is_empty() {
            return Err(Problem::invalid(unknown));
        }
        merge(&mut target, self.0);
        fit(target)
    }
}

/// RFC 7396 §2, MergePatch.
fn merge(target: &mut Value, patch: Value) {
    merge_with(target, patch, &|fields, name| {
        fields.remove(&name);
    });
}

/// The same, where `remove` says what a `null` does.
fn merge_with(target: &mut Value, patch: Value, remove: &dyn Fn(&mut Map<String, Value>, String)) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Default::default());
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            remove(fields, name);
        } else {
            merge_with(fields.entry(name).or_insert(Value::Null), value, remove);
        }
    }
}

/// What is wrong with a value by the schema of `T`.
pub(super) fn faults_of<T: ToSchema>(value: &Value) -> Vec<Fault> {
    let document = document::json();
    validate(document, &document["components"]["schemas"][T::name().as_ref()], value)
}

/// Compares with the schema, then reads. What the schema lets pass and the type does not is still the client's fault.
pub(super) fn fit<T: DeserializeOwned + ToSchema>(value: Value) -> Result<T, Problem> {
    let faults = faults_of::<T>(&value);
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    serde_json::from_value(value).map_err(|error| Problem::invalid(vec![Fault::body("", "invalid", error.to_string())]))
}

async fn read(request: &HttpRequest, payload: &mut Payload, types: &[&str]) -> Result<Value, Problem> {
    read_up_to(limits::JSON_BODY_BYTES, request, payload, types).await
}

async fn read_up_to(
    bytes_max: usize,
    request: &HttpRequest,
    payload: &mut Payload,
    types: &[&str],
) -> Result<Value, Problem> {
    let payload = web::Payload::from_request(request, payload).await.map_err(broken)?;
    let bytes = receive(request, payload, types, (bytes_max, limits::JSON_BODY_S), || Ok(())).await?;
    json::read(&bytes, limits::JSON_VALUES)
}

/// The octets of a body of one of these types, of which the first is the one to send. `ask_for_room` is called once, before
/// more than [`limits::JSON_BODY_BYTES`] are held.
///
/// # Errors
/// 415, 413 when there are more than `bytes_max`, 408 when they take longer than `patience_s`, and what `ask_for_room` says.
pub(super) async fn receive(
    request: &HttpRequest,
    mut payload: web::Payload,
    types: &[&str],
    (bytes_max, patience_s): (usize, u64),
    ask_for_room: impl FnOnce() -> Result<(), Problem>,
) -> Result<Vec<u8>, Problem> {
    if !types.contains(&request.content_type().to_ascii_lowercase().as_str()) {
        return Err(unsupported(types));
    }
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        return Err(Problem::new(Code::UnsupportedMediaType, "Send the body without a Content-Encoding."));
    }
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let announced: usize = announced.unwrap_or_default();
    if announced > bytes_max {
        return Err(too_large(bytes_max));
    }
    let mut ask_for_room = Some(ask_for_room);
    let mut hold = |bytes: usize| match ask_for_room.take_if(|_| bytes > limits::JSON_BODY_BYTES) {
        Some(ask) => ask(),
        None => Ok(()),
    };
    hold(announced)?;
    let gather = async {
        // Room for all of it at once: to grow step by step would take it twice.
        let mut bytes = Vec::with_capacity(announced);
        while let Some(piece) = payload.next().await {
            let piece = piece.map_err(|error| broken(error.into()))?;
            let length = bytes.len() + piece.len();
            if length > bytes_max {
                return Err(too_large(bytes_max));
            }
            hold(length)?;
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    };
    let late = || Problem::new(Code::RequestTimeout, format!("The body must be there within {patience_s} s."));
    timeout(Duration::from_secs(patience_s), gather).await.map_err(|_| late())?
}

fn broken(error: actix_web::Error) -> Problem {
    Problem::new(Code::BadRequest, format!("The body broke off: {error}."))
}

fn unsupported(types: &[&str]) -> Problem {
    Problem::new(Code::UnsupportedMediaType, format!("Send the body as `Content-Type: {}`.", types[0]))
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("A JSON body has at most {bytes_max} octets here."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_patch_does_what_its_rfc_shows() {
        // RFC 7396 appendix A
        for (target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut seen = target.clone();
            merge(&mut seen, patch.clone());
            assert_eq!(seen, expected, "{target} {patch}");
        }
    }
}
