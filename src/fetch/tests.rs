use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::base::{DomainName, Networks, limits};
use crate::dns::Resolver;
use crate::dns::scripted::{Answer, Scripted};
use crate::tls::Roots;

/// A web server with a certificate for `name` that answers every request with `answer`, and then says nothing more.
async fn web(name: &str, answer: Vec<u8>) -> (SocketAddr, String) {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], der)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(socket).await else { continue };
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let text = String::from_utf8(request).unwrap();
            assert!(text.starts_with("GET /.well-known/mta-sts.txt HTTP/1.1\r\n"), "{text}");
            let _ = stream.write_all(&answer).await;
            let _ = stream.flush().await;
            std::future::pending::<()>().await;
        }
    });
    (address, certificate.pem())
}

fn answer(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn fetch(name: &str, answer: Vec<u8>, allowed: &str, within: Duration) -> Result<String, FetchError> {
    let (address, pem) = web(name, answer).await;
    let zone = [("A w.test", Answer::A(vec![Ipv4Addr::LOCALHOST])), ("AAAA w.test", Answer::Nothing)];
    let dns = Scripted::start(&zone).await;
    let client = Client {
        resolver: Resolver::new(&[dns.address()], Duration::from_secs(5)).unwrap(),
        tls: Roots::public_and(pem.as_bytes()).unwrap().verified().unwrap(),
        allow_networks: allowed.parse::<Networks>().unwrap(),
        port: address.port(),
        within,
    };
    let host = DomainName::parse("w.test").unwrap();
    let fetched = client.text(&host, "/.well-known/mta-sts.txt").await;
    fetched.map(|octets| String::from_utf8(octets).unwrap())
}

async fn check(answer: Vec<u8>, expected: Result<&str, FetchError>) {
    let fetched = fetch("w.test", answer.clone(), "127.0.0.0/8", Duration::from_secs(60)).await;
    assert_eq!(
        fetched.as_deref(),
        expected.as_deref(),
        "{}",
        String::from_utf8_lossy(&answer[..answer.len().min(200)])
    );
}

#[tokio::test]
async fn plain_text_is_fetched_and_nothing_else() {
    check(answer("200 OK\r\nContent-Type: text/plain", "a\r\n"), Ok("a\r\n")).await;
    check(answer("200 OK\r\ncontent-type: Text/Plain ; charset=utf-8", "a"), Ok("a")).await;
    let chunked =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    check(chunked.into(), Ok("ab")).await;
    check(answer("200 OK\r\nContent-Type: text/html", "a"), Err(FetchError::ContentType)).await;
    check(answer("200 OK", "a"), Err(FetchError::ContentType)).await;
    check(answer("404 No\r\nContent-Type: text/plain", "a"), Err(FetchError::Status(404))).await;
    let moved = "301 Moved\r\nLocation: https://w.test/other\r\nContent-Type: text/plain";
    check(answer(moved, ""), Err(FetchError::Status(301))).await;
}

#[tokio::test]
async fn what_is_too_long_is_refused() {
    let plain = "200 OK\r\nContent-Type: text/plain";
    let most = "a".repeat(limits::FETCH_BYTES);
    check(answer(plain, &most), Ok(&most)).await;
    check(answer(plain, &format!("{most}a")), Err(FetchError::TooLarge)).await;
    // Without an end that is told before.
    let endless = format!("HTTP/1.1 {plain}\r\n\r\n{}", "a".repeat(limits::FETCH_BYTES * 2));
    check(endless.into_bytes(), Err(FetchError::TooLarge)).await;
    let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(limits::FETCH_BYTES * 2));
    let refused = fetch("w.test", head.into_bytes(), "127.0.0.0/8", Duration::from_secs(60)).await;
    assert!(matches!(refused, Err(FetchError::Connection(_))), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_is_not_the_one_or_not_to_be_dialled_is_not_asked() {
    let good = answer("200 OK\r\nContent-Type: text/plain", "a");
    let soon = Duration::from_secs(60);
    let other = fetch("other.test", good.clone(), "127.0.0.0/8", soon).await;
    assert!(matches!(other, Err(FetchError::Tls(_))), "{other:?}");
    let private = fetch("w.test", good, "", soon).await;
    assert_eq!(private, Err(FetchError::Forbidden(DomainName::parse("w.test").unwrap())));
    let silent = fetch("w.test", Vec::new(), "127.0.0.0/8", Duration::from_millis(300)).await;
    assert_eq!(silent, Err(FetchError::TimedOut));
}
