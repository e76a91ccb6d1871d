use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::{ControlFlow, Range};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::body::{BodyStream, SizedStream};
use actix_web::http::header::{self, Header, HeaderName};
use actix_web::rt::time::timeout;
use actix_web::{HttpRequest, HttpResponse, get, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::{blocking, id_of};
use crate::backup::{BackupError, Lent};
use crate::base::limits;
use crate::http::caller::{Allowed, BackupRead};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::page::{ListQuery, NoQuery};
use crate::http::problem::{Code, Problem};
use crate::http::via;
use crate::store::CopyOptions;

/// Octets that are read of a file at a time.
const PIECE_BYTES: usize = 256 * 1024;
/// A redb file has no type of its own.
const FILE_TYPE: &str = "application/octet-stream";
/// RFC 8878 §7.1.1
const ZSTD_TYPE: &str = "application/zstd";
/// Mail is compressed in the file already: what is left is found at the lowest level.
const ZSTD_LEVEL: i32 = 1;
/// RFC 9530 §3
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// Gives a backup's file, or a part of it (`Range`): written to disk, it opens with `pillarbox serve` and `pillarbox check`.
#[utoipa::path(
    tag = "backups",
    params(
        ("id" = String, Path, description = "The backup's id"),
        ("Range" = Option<String>, Header, description = "A part of it, as in `bytes=1048576-`: to go on where a download broke off"),
        ("If-Range" = Option<String>, Header, description = "The ETag of what is there already: another file comes whole"),
    ),
    responses(
        (status = 200, description = "The file", body = String, content_type = "application/octet-stream"),
        (status = 206, description = "The part that was asked for", body = String, content_type = "application/octet-stream"),
        (status = 416, description = "The file has no such part"),
    )
)]
#[get("/backups/{id}/file")]
pub(in crate::http) async fn get_backup_file(
    allowed: Allowed<BackupRead>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted("fetch backups")?;
    let id = id_of(&path)?;
    let file = context.backups.get(id)?;
    let etag = etag::of_content(&(file.id.to_string(), file.file_bytes, file.written_ns.to_string()));
    let part = part_of(&request, &etag, file.file_bytes).map_err(|all_bytes| {
        let problem = Problem::new(Code::NoSuchPart, format!("The file has {all_bytes} octets."));
        problem.with_header(header::CONTENT_RANGE, &format!("bytes */{all_bytes}"))
    })?;
    allowed.note(&context, id, None).await?;
    let from = part.as_ref().map_or(0, |part| part.start);
    let opened = blocking(move || {
        let failed = |error| BackupError::Io { path: file.path.clone(), error };
        let mut opened = context.backups.open(id)?;
        opened.seek(SeekFrom::Start(from)).map_err(failed)?;
        Ok(opened)
    });
    let (opened, all_bytes) = (opened.await?, file.file_bytes);
    let mut response = if part.is_some() { HttpResponse::PartialContent() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CONTENT_TYPE, FILE_TYPE))
        .insert_header((header::CONTENT_DISPOSITION, attachment(&id.file_name())))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::ETAG, etag));
    if let Some(part) = &part {
        let range = format!("bytes {}-{}/{all_bytes}", part.start, part.end - 1);
        response.insert_header((header::CONTENT_RANGE, range));
    }
    let length = part.map_or(all_bytes, |part| part.end - part.start);
    Ok(response.body(SizedStream::new(length, Box::pin(pieces(opened.take(length))))))
}

/// Makes a copy of the data file, checks it, and gives it, in one call; nothing of it stays on the server. With
/// `compact=true` the copy has no free pages: it is shorter, and takes longer to make. With `compress=zstd` the body is a
/// `.zst` file, which has a checksum of its own; else `Repr-Digest` says what the octets are to be.
#[utoipa::path(
    tag = "backups",
    params(
        ("compact" = Option<bool>, Query, description = "Without the free pages of the file"),
        ("compress" = inline(Option<Compression>), Query, description = "The body as a compressed file"),
    ),
    responses(
        (status = 200, description = "The file", content(
            (String = "application/octet-stream"), (String = "application/zstd")
        ), headers(("Repr-Digest" = String, description = "Its SHA-256 (RFC 9530), where it is not compressed"))),
        (status = 409, description = "Another copy is being made or fetched, or the file of this server is in memory"),
        (status = 507, description = "The server's disk has no room for a copy"),
    )
)]
#[get("/backup")]
pub(in crate::http) async fn get_backup_now(
    allowed: Allowed<BackupRead>,
    request: HttpRequest,
    context: web::Data<Context>,
    query: ListQuery,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted("fetch backups")?;
    let query = query.allow_only(&["compact", "compress"])?;
    let compact = query.read("compact", str::parse::<bool>)?.unwrap_or_default();
    let compression = query.word::<Compression>("compress", "zstd")?;
    allowed.note(&context, "backup", None).await?;
    let name = format!("pillarbox-{}.redb", context.clock.now().in_a_name());
    let is_gone = CancellationToken::new();
    // Dropped with this call, when the connection breaks before its answer begins.
    let _here = is_gone.clone().drop_guard();
    // One that the client has closed does not break before something is written to it.
    let line = via::line(&request);
    let lent = blocking(move || {
        let backups = Arc::clone(&context.backups);
        // A server that stops waits for nobody's copy.
        let has_ended = || line.as_ref().is_some_and(|line| line.has_ended());
        let mut go_on = |_| match context.readiness.is_stopping() || is_gone.is_cancelled() || has_ended() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let lent = backups.lend(CopyOptions { compact }, &mut go_on)?;
        let digest =
            if compression.is_none() { Some(sha256(&lent.file).map_err(|error| backups.failed(error))?) } else { None };
        Ok((lent, digest))
    });
    let (lent, digest) = lent.await?;
    let (file_bytes, stall) = (lent.file_bytes, Duration::from_secs(limits::DOWNLOAD_STALL_S));
    let mut response = HttpResponse::Ok();
    let Some(digest) = digest else {
        response
            .insert_header((header::CONTENT_TYPE, ZSTD_TYPE))
            .insert_header((header::CONTENT_DISPOSITION, attachment(&format!("{name}.zst"))));
        return Ok(response.body(BodyStream::new(watched(compressed(lent).map_err(Problem::internal)?, stall))));
    };
    response
        .insert_header((header::CONTENT_TYPE, FILE_TYPE))
        .insert_header((header::CONTENT_DISPOSITION, attachment(&name)))
        .insert_header((REPR_DIGEST, format!("sha-256=:{}:", STANDARD.encode(digest))));
    Ok(response.body(SizedStream::new(file_bytes, watched(lent, stall))))
}

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum Compression {
    /// RFC 8878.
    Zstd,
}

fn attachment(name: &str) -> String {
    format!("attachment; filename=\"{name}\"")
}

/// The part that is asked for; `None`: all of it. The length, where there is no such part. Of several parts, all comes.
// RFC 9110 §14.2, §13.1.5
fn part_of(request: &HttpRequest, etag: &str, all_bytes: u64) -> Result<Option<Range<u64>>, u64> {
    let is_other = request.headers().get(header::IF_RANGE).is_some_and(|wanted| wanted != etag);
    let Ok(header::Range::Bytes(specs)) = header::Range::parse(request) else { return Ok(None) };
    match specs.as_slice() {
        [one] if !is_other && request.headers().contains_key(header::RANGE) => {
            let (first, last) = one.to_satisfiable_range(all_bytes).ok_or(all_bytes)?;
            Ok(Some(first..last + 1))
        }
        _ => Ok(None),
    }
}

/// Of all of it; the next reader begins at its beginning.
fn sha256(mut file: &File) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut hasher)?;
    file.rewind()?;
    Ok(hasher.finalize().into())
}

fn compressed(file: Lent) -> io::Result<impl Read + Send> {
    let mut encoder =
        zstd::stream::read::Encoder::with_buffer(BufReader::with_capacity(PIECE_BYTES, file), ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

/// The same, but a client that takes nothing for so long gets no more: what is lent takes the disk's room.
fn watched<R: Read + Send + 'static>(
    source: R,
    stall: Duration,
) -> Pin<Box<dyn Stream<Item = Result<Bytes, io::Error>>>> {
    let taken = Arc::new(Notify::new());
    let source = Arc::new(Mutex::new(Some(source)));
    let (watched, was_taken) = (Arc::downgrade(&source), Arc::clone(&taken));
    actix_web::rt::spawn(async move {
        while timeout(stall, was_taken.notified()).await.is_ok() {}
        // Closed here, and not when the client goes: it may never go.
        if let Some(source) = watched.upgrade() {
            source.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    });
    let pieces = pieces(Shared(source));
    Box::pin(pieces.inspect(move |_| taken.notify_one()))
}

/// What another task may take away.
struct Shared<R>(Arc<Mutex<Option<R>>>);

impl<R: Read> Read for Shared<R> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let mut source = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        source.as_mut().ok_or(io::ErrorKind::TimedOut)?.read(piece)
    }
}

/// The octets, read on another thread as the client takes them.
fn pieces<R: Read + Send + 'static>(source: R) -> impl Stream<Item = Result<Bytes, io::Error>> {
    unfold(Some(source), |source| async move {
        let mut source = source?;
        let read = web::block(move || {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            source.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
            Ok::<_, io::Error>((source, piece))
        });
        match read.await.map_err(io::Error::other).flatten() {
            Ok((_, piece)) if piece.is_empty() => None,
            Ok((source, piece)) => Some((Ok(Bytes::from(piece)), Some(source))),
            Err(error) => Some((Err(error), None)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Never ends, and says when it is closed.
    struct Endless(Option<tokio::sync::oneshot::Sender<()>>);

    impl Read for Endless {
        fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
            Ok(piece.len())
        }
    }

    impl Drop for Endless {
        fn drop(&mut self) {
            let _ = self.0.take().map(|closed| closed.send(()));
        }
    }

    #[actix_web::test]
    async fn a_reader_that_stands_still_loses_what_is_lent() {
        let (close, closed) = tokio::sync::oneshot::channel();
        let mut pieces = watched(Endless(Some(close)), Duration::from_millis(50));
        assert_eq!(pieces.next().await.unwrap().unwrap().len(), PIECE_BYTES);
        closed.await.unwrap();
        assert!(pieces.next().await.unwrap().is_err(), "the rest is not taken for the whole");
        assert!(pieces.next().await.is_none());
    }
}
