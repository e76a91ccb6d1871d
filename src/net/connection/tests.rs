use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::duplex;
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;

use super::*;
use crate::base::{SystemClock, Timestamp, TurnedClock};
use crate::store::{Options, Schema, Store};
use crate::tls::{self, CertificateFault, Certificates, Certified, Protocol, Roots};

static SCHEMA: Schema = Schema { version: 1, tables: tls::TABLES, checks: &[], migrations: &[] };
const SOON: Duration = Duration::from_secs(60);
const NEVER: Duration = Duration::from_millis(20);

fn pair(bytes: usize) -> (Connection, DuplexStream) {
    let (ours, theirs) = duplex(bytes);
    let address = |text: &str| text.parse().unwrap();
    (Connection::memory(ours, address("[::ffff:192.0.2.1]:1025"), address("127.0.0.1:25")), theirs)
}

async fn certificates() -> Certificates {
    let clock = Arc::new(TurnedClock::new(Timestamp(0)));
    let store = Store::open(Options::memory(clock), &SCHEMA).unwrap();
    Certificates::open(&store, &"localhost".parse().unwrap(), &SystemClock).await.unwrap()
}

async fn tls() -> (Arc<ServerConfig>, TlsConnector) {
    let certificates = certificates().await;
    let mut roots = RootCertStore::empty();
    roots.add(certificates.der().unwrap()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (certificates.server_config(Protocol::Smtp).unwrap(), TlsConnector::from(Arc::new(client)))
}

#[tokio::test]
async fn input_is_kept_until_it_is_consumed() {
    let (mut connection, mut client) = pair(64);
    assert_eq!(connection.peer(), "192.0.2.1:1025".parse().unwrap());
    assert!(!connection.is_loopback() && connection.tls().is_none());
    client.write_all(b"NOOP\r\nQU").await.unwrap();
    assert_eq!(connection.fill(SOON).await.unwrap(), 8);
    connection.consume(6);
    client.write_all(b"IT\r\n").await.unwrap();
    connection.fill(SOON).await.unwrap();
    assert_eq!(connection.buffered(), b"QUIT\r\n");
    assert!(matches!(connection.fill(NEVER).await, Err(ConnectionError::TimedOut)));
    drop(client);
    assert_eq!(connection.fill(SOON).await.unwrap(), 0);
    assert_eq!(connection.buffered(), b"QUIT\r\n");
}

#[tokio::test]
async fn no_session_holds_more_input_than_it_may() {
    let (mut connection, mut client) = pair(1024 * 1024);
    client.write_all(&vec![b'x'; 2 * limits::INPUT_BYTES]).await.unwrap();
    let end = loop {
        match connection.fill(SOON).await {
            Ok(_) => assert!(connection.buffered().len() <= limits::INPUT_BYTES + READ_BYTES),
            Err(end) => break end,
        }
    };
    assert!(matches!(end, ConnectionError::InputFull));
}

#[tokio::test]
async fn output_waits_for_the_flush_and_a_client_that_does_not_read_is_given_up() {
    let (mut connection, mut client) = pair(64);
    connection.write(b"+OK\r\n");
    let mut seen = [0; 5];
    assert!(timeout(NEVER, client.read_exact(&mut seen)).await.is_err());
    connection.flush(SOON).await.unwrap();
    client.read_exact(&mut seen).await.unwrap();
    assert_eq!(&seen, b"+OK\r\n");
    connection.write(&[b'x'; 65]);
    assert!(matches!(connection.flush(NEVER).await, Err(ConnectionError::TimedOut)));
}

#[tokio::test]
async fn tls_starts_in_the_middle_and_its_facts_are_known() {
    let ((mut connection, client), (server, connector)) = (pair(4096), tls().await);
    let name = ServerName::try_from("localhost").unwrap();
    let client = tokio::spawn(async move {
        let mut client = connector.connect(name, client).await.unwrap();
        client.write_all(b"EHLO x\r\n").await.unwrap();
        let mut reply = String::new();
        client.read_to_string(&mut reply).await.unwrap();
        reply
    });
    connection.start_tls(server, SOON).await.unwrap();
    assert_eq!(connection.tls().map(|facts| facts.version), Some("TLSv1.3"));
    connection.fill(SOON).await.unwrap();
    assert_eq!(connection.buffered(), b"EHLO x\r\n");
    connection.write(b"250 hello\r\n");
    connection.close().await;
    assert_eq!(client.await.unwrap(), "250 hello\r\n");
}

#[tokio::test]
async fn what_came_in_the_clear_is_never_carried_into_tls() {
    let ((mut connection, mut client), (server, _)) = (pair(4096), tls().await);
    client.write_all(b"NOOP\r\n").await.unwrap();
    connection.fill(SOON).await.unwrap();
    let refused = connection.start_tls(server.clone(), SOON).await;
    assert!(matches!(refused, Err(ConnectionError::BytesBehindStartTls)));
    // And what comes in the clear a moment later breaks the handshake.
    connection.consume(6);
    client.write_all(b"NOOP\r\n").await.unwrap();
    assert!(matches!(connection.start_tls(server, SOON).await, Err(ConnectionError::Handshake(_))));
    connection.write(b"250 in the clear\r\n");
    assert!(connection.flush(SOON).await.is_err());
    assert_eq!(connection.fill(SOON).await.unwrap(), 0);
}

#[tokio::test]
async fn a_handshake_may_not_take_for_ever() {
    let ((mut connection, _client), (server, _)) = (pair(4096), tls().await);
    assert!(matches!(connection.start_tls(server, NEVER).await, Err(ConnectionError::TimedOut)));
}

#[tokio::test]
async fn the_last_reply_is_read_though_input_was_left_over() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let mut connection = Connection::tcp(listener.accept().await.unwrap().0, None).unwrap();
    assert!(connection.is_loopback());
    client.write_all(&[b'x'; 50_000]).await.unwrap();
    connection.write(b"421 too many errors\r\n");
    let closing = tokio::spawn(connection.close());
    let mut reply = String::new();
    client.read_to_string(&mut reply).await.unwrap();
    assert_eq!(reply, "421 too many errors\r\n");
    drop(client);
    closing.await.unwrap();
}

/// Two ends of a connection, both ours.
fn ends() -> (Connection, Connection) {
    let (server, client) = duplex(4096);
    let (here, there) = ("127.0.0.1:25".parse().unwrap(), "127.0.0.1:1025".parse().unwrap());
    (Connection::memory(server, there, here), Connection::memory(client, here, there))
}

#[tokio::test]
async fn a_client_knows_what_the_servers_certificate_is_worth() {
    let certificates = certificates().await;
    let der = certificates.der().unwrap();
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &der);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n");
    let (public, ours) = (Roots::public().unwrap(), Roots::public_and(pem.as_bytes()).unwrap());
    let unverified = |why| Ok(Certified::Unverified(why));
    let pin: [u8; 32] = sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new_with_prefix(&der)).into();
    for (tls, name, expected) in [
        (ours.opportunistic(), "localhost", Ok(Certified::Verified)),
        (ours.opportunistic(), "[127.0.0.1]", Ok(Certified::Verified)),
        (ours.opportunistic(), "[IPv6:::1]", Ok(Certified::Verified)),
        (ours.opportunistic(), "mx.b.test", unverified(CertificateFault::OtherName)),
        (public.opportunistic(), "localhost", unverified(CertificateFault::UnknownIssuer)),
        (ours.verified(), "LocalHost", Ok(Certified::Verified)),
        (ours.verified(), "mx.b.test", Err("NotValidForName")),
        (public.verified(), "localhost", Err("UnknownIssuer")),
        (public.pinned(pin), "mx.b.test", Ok(Certified::Pinned)),
        (ours.pinned([0; 32]), "localhost", Err("not the pinned one")),
        (ours.opportunistic(), "not a name", Err("a server of that name")),
    ] {
        let seen = shake(&certificates, &tls.unwrap(), name).await;
        match (&seen, &expected) {
            (Ok(seen), Ok(expected)) => assert_eq!(seen, expected, "{name}"),
            (Err(error), Err(part)) => {
                let error = format!("{error:?} {error}");
                assert!(error.contains(part), "{name}: {error}");
            }
            _ => panic!("{name}: {seen:?}, not {expected:?}"),
        }
    }
}

/// What a client that dials `name` knows of the certificate, or why it gives up.
async fn shake(certificates: &Certificates, tls: &ClientTls, name: &str) -> Result<Certified, ConnectionError> {
    let (mut server, mut client) = ends();
    let config = certificates.server_config(Protocol::Smtp).unwrap();
    let serving = tokio::spawn(async move { server.start_tls(config, SOON).await.map(|()| server) });
    let dialled = client.start_client_tls(tls, name, SOON).await;
    if let Err(error) = dialled {
        drop(client);
        let _ = serving.await;
        return Err(error);
    }
    let mut server = serving.await.unwrap().unwrap();
    assert_eq!(server.tls().map(|facts| facts.certified.clone()), Some(Certified::NotAsked));
    client.write(b"EHLO x\r\n");
    client.flush(SOON).await.unwrap();
    server.fill(SOON).await.unwrap();
    assert_eq!(server.buffered(), b"EHLO x\r\n");
    let again = client.start_client_tls(tls, name, SOON).await;
    assert!(matches!(again, Err(ConnectionError::Lost(_))), "TLS inside TLS");
    Ok(client.tls().unwrap().certified.clone())
}

#[tokio::test]
async fn what_a_server_said_in_the_clear_is_never_carried_into_tls() {
    let (mut server, mut client) = ends();
    server.write(b"250 AUTH PLAIN\r\n");
    server.flush(SOON).await.unwrap();
    client.fill(SOON).await.unwrap();
    let tls = Roots::public().unwrap().opportunistic().unwrap();
    let refused = client.start_client_tls(&tls, "localhost", SOON).await;
    assert!(matches!(refused, Err(ConnectionError::BytesBehindStartTls)));
}

#[tokio::test]
async fn a_connection_is_quiet_when_nothing_is_left_in_it() {
    let (mut server, mut client) = ends();
    assert!(client.is_quiet().await.unwrap());
    client.write(b"x");
    assert!(!client.is_quiet().await.unwrap());
    client.flush(SOON).await.unwrap();
    assert!(client.is_quiet().await.unwrap());
    // It is on its way, and was not asked for yet.
    assert!(!server.is_quiet().await.unwrap());
    server.consume(1);
    assert!(server.is_quiet().await.unwrap());
    drop(client);
    assert!(!server.is_quiet().await.unwrap(), "the other side is gone");
}

#[tokio::test]
async fn a_server_is_dialled_from_where_we_say_and_not_waited_for_without_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = Connection::dial_from(Some("127.0.0.2".parse().unwrap()), address, SOON).await.unwrap();
    let (server, from) = listener.accept().await.unwrap();
    assert_eq!((client.peer(), client.local(), from.ip().to_string().as_str()), (address, from, "127.0.0.2"));
    assert!(server.nodelay().is_ok());
    let mut server = Connection::tcp(server, None).unwrap();
    client.hang_up().await;
    assert_eq!(server.fill(SOON).await.unwrap(), 0);
    drop(listener);
    let refused = Connection::dial(address, SOON).await;
    assert!(matches!(refused, Err(ConnectionError::Lost(_))));
}

// RFC 4978 §3
#[tokio::test]
async fn both_directions_are_compressed() {
    let (mut server, theirs) = pair(4096);
    let mut client = Connection::memory(theirs, server.local(), server.peer());
    for connection in [&mut server, &mut client] {
        connection.start_deflate();
        assert!(connection.is_deflated());
    }
    let lines = b"* 1 FETCH (FLAGS (\\Seen))\r\n".repeat(20_000);
    let send = async {
        server.write(&lines);
        server.flush(SOON).await.unwrap();
        server.rest();
        server.write(b"a OK\r\n");
        server.flush(SOON).await.unwrap();
    };
    let receive = async {
        let mut seen = 0;
        while seen < lines.len() + 6 {
            seen += client.fill(SOON).await.unwrap();
            client.consume(client.buffered().len());
        }
        seen
    };
    let ((), seen) = tokio::join!(send, receive);
    assert_eq!(seen, lines.len() + 6);
    client.write(b"b NOOP\r\n");
    client.flush(SOON).await.unwrap();
    assert_eq!(server.fill(SOON).await.unwrap(), 8);
    assert_eq!(server.buffered(), b"b NOOP\r\n");
    assert!(matches!(server.fill(NEVER).await, Err(ConnectionError::TimedOut)));
    drop(client);
    assert_eq!(server.fill(SOON).await.unwrap(), 0);
}
