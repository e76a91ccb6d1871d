use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};

use super::context::Context;
use super::etag::has_tag;
use super::problem::{Code, Problem};

/// One file of the folder `web-admin/`, as build.rs embeds it.
struct File {
    path: &'static str,
    mime: &'static str,
    bytes: &'static [u8],
    gzip: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/web_admin.rs"));

/// What the page may do: nothing but its own scripts, styles and this server's interface, and no text becomes markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'";
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const INDEX: &str = "index.html";
/// The folder's name while the files come from the disk.
const DISK_FOLDER: &str = "disk";
const YEAR: &str = "public, max-age=31536000, immutable";

/// Where the files are read from at each request, for those who work on them: `PILLARBOX_WEB_DIR`.
static DISK: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os("PILLARBOX_WEB_DIR").map(PathBuf::from));

/// The page's paths. They are for people, so they are not part of the OpenAPI document.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/").get(to_page))
        .service(web::resource("/admin").get(to_page))
        .service(web::resource("/admin/").get(index))
        .service(web::resource("/admin/{folder}/{path:.*}").get(file));
}

async fn to_page() -> HttpResponse {
    HttpResponse::TemporaryRedirect().insert_header((header::LOCATION, "/admin/")).finish()
}

/// The one document: it names the folder of all the rest, so it is asked for anew each time.
async fn index(request: HttpRequest, context: web::Data<Context>) -> Result<HttpResponse, Problem> {
    let page = match DISK.as_deref() {
        Some(folder) => fill(&read(folder, INDEX).await?, &context.hostname, DISK_FOLDER),
        None => fill(embedded(INDEX)?.bytes, &context.hostname, FOLDER),
    };
    let etag = format!("\"{}\"", &blake3::hash(page.as_bytes()).to_hex()[..16]);
    let is_fresh = has_tag(&request, &etag);
    let mut response = if is_fresh { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    guard(&mut response).insert_header((header::ETAG, etag)).insert_header((header::CACHE_CONTROL, "no-cache"));
    if is_fresh {
        return Ok(response.finish());
    }
    Ok(response.insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8")).body(page))
}

/// What the document loads. A change of any file gives the folder another name, so each of them may be kept for ever.
async fn file(request: HttpRequest, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    let (folder, path) = path.into_inner();
    let mut response = HttpResponse::Ok();
    guard(&mut response);
    if let Some(disk) = DISK.as_deref().filter(|_| folder == DISK_FOLDER) {
        let mime = embedded(&path).map_or("text/javascript; charset=utf-8", |file| file.mime);
        let bytes = read(disk, &path).await?;
        return Ok(response
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .insert_header((header::CONTENT_TYPE, mime))
            .body(bytes));
    }
    let file = embedded(&path).ok().filter(|file| folder == FOLDER && file.path != INDEX).ok_or_else(unknown)?;
    response
        .insert_header((header::CACHE_CONTROL, YEAR))
        .insert_header((header::VARY, "Accept-Encoding"))
        .insert_header((header::CONTENT_TYPE, file.mime));
    if takes_gzip(&request) {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
        return Ok(response.body(file.gzip));
    }
    Ok(response.body(file.bytes))
}

fn guard(response: &mut HttpResponseBuilder) -> &mut HttpResponseBuilder {
    response
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((OPENER_POLICY, "same-origin"))
}

fn unknown() -> Problem {
    Problem::new(Code::NotFound, "There is no such page.")
}

fn embedded(path: &str) -> Result<&'static File, Problem> {
    FILES.iter().find(|file| file.path == path).ok_or_else(unknown)
}

async fn read(folder: &Path, path: &str) -> Result<Vec<u8>, Problem> {
    if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(unknown());
    }
    let file = folder.join(path);
    web::block(move || std::fs::read(file)).await.ok().and_then(Result::ok).ok_or_else(unknown)
}

// RFC 9110 §12.5.3, as far as browsers go: gzip is named, and not with a weight of 0.
fn takes_gzip(request: &HttpRequest) -> bool {
    let fields =
        request.headers().get_all(header::ACCEPT_ENCODING).filter_map(|field: &HeaderValue| field.to_str().ok());
    fields.flat_map(|field| field.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

fn fill(page: &[u8], hostname: &str, folder: &str) -> String {
    String::from_utf8_lossy(page).replace("{{hostname}}", &escape(hostname)).replace("{{folder}}", folder)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use actix_web::test::TestRequest;

    use super::*;

    const FIRST_VIEW_BYTES_MAX: usize = 100 * 1024;
    const PAGE_BYTES_MAX: usize = 15 * 1024;

    fn text(path: &str) -> String {
        String::from_utf8(FILES.iter().find(|file| file.path == path).expect(path).bytes.to_vec()).expect("UTF-8")
    }

    #[test]
    fn the_document_is_filled_in_and_holds_no_script_and_no_style() {
        let page = fill(embedded(INDEX).expect("the page is embedded").bytes, "mail.<b>.test", FOLDER);
        assert!(page.contains("mail.&lt;b&gt;.test") && page.contains(&format!("{FOLDER}/main.js")));
        assert!(!page.contains("{{") && !page.contains(" style=") && !page.contains("<style"));
        assert!(page.split("<script").skip(1).all(|tag| tag.contains(" src=")), "no inline script");
    }

    /// The modules that `path` loads before it runs, itself among them.
    fn loaded(path: &str, seen: &mut BTreeSet<String>) {
        if !seen.insert(path.to_owned()) {
            return;
        }
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for line in text(path).lines() {
            let Some((_, wanted)) = line.split_once("from \"").or(line.split_once("import \"")) else { continue };
            let Some(wanted) = wanted.strip_suffix("\";").filter(|wanted| wanted.starts_with('.')) else { continue };
            let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
            for part in wanted.split('/') {
                match part {
                    "." => {}
                    ".." => drop(parts.pop()),
                    name => parts.push(name),
                }
            }
            loaded(&parts.join("/"), seen);
        }
    }

    fn gzip_bytes(paths: impl IntoIterator<Item = impl AsRef<str>>) -> usize {
        paths.into_iter().map(|path| embedded(path.as_ref()).expect("a file").gzip.len()).sum()
    }

    #[test]
    fn the_page_stays_small() {
        let mut first = BTreeSet::from([INDEX.to_owned(), "app.css".to_owned()]);
        loaded("main.js", &mut first);
        let base = first.clone();
        loaded("pages/overview.js", &mut first);
        let first_view = gzip_bytes(&first);
        assert!(first_view < FIRST_VIEW_BYTES_MAX, "the first view has {first_view} octets: {first:?}");
        for page in FILES.iter().filter(|file| file.path.starts_with("pages/")) {
            let mut all = base.clone();
            loaded(page.path, &mut all);
            let own = gzip_bytes(all.difference(&base));
            assert!(own < PAGE_BYTES_MAX, "{} has {own} octets", page.path);
        }
    }

    #[test]
    fn nothing_becomes_markup() {
        let ours = FILES.iter().filter(|file| file.path.ends_with(".js") && !file.path.starts_with("vendor/"));
        for file in ours {
            let text = text(file.path);
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacent",
                "document.write",
                "eval(",
                " style=",
                "http://",
                "https://",
            ] {
                let is_there = text.lines().any(|line| line.contains(word) && !line.trim_start().starts_with("//"));
                assert!(!is_there, "{} has {word}", file.path);
            }
        }
    }

    #[test]
    fn gzip_goes_to_those_who_take_it() {
        let check = |field: &str, expected: bool| {
            let request = TestRequest::get().insert_header((header::ACCEPT_ENCODING, field)).to_http_request();
            assert_eq!(takes_gzip(&request), expected, "{field}");
        };
        check("gzip, deflate, br", true);
        check("br;q=1.0, GZIP;q=0.5", true);
        check("gzip;q=0", false);
        check("identity", false);
        check("", false);
    }

    #[actix_web::test]
    async fn nothing_outside_the_folder_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("web");
        std::fs::create_dir(&inside).expect("it is made");
        std::fs::write(inside.join("a.js"), "a").expect("it is written");
        std::fs::write(folder.path().join("secret"), "s").expect("it is written");
        assert_eq!(read(&inside, "a.js").await.ok(), Some(b"a".to_vec()));
        for path in ["../secret", "/etc/passwd", "./../secret", "b.js", ""] {
            assert!(read(&inside, path).await.is_err(), "{path}");
        }
    }
}
