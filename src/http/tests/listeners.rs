use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::Site;
use crate::base::limits;
use crate::http::{Sockets, start};
use crate::store::{Halt, Op, StoreError, Tx};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn strangers_who_take_every_connection_do_not_lock_the_owner_out() {
    // Both ends of each connection are in this process.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let mut sockets = Sockets::bind(Some("127.0.0.1:0".parse().unwrap()), None).unwrap();
    sockets.bind_socket(&path).unwrap();
    let running = start(Site::new().context.into_inner(), sockets, None).unwrap();
    let address = running.http.unwrap();
    let strangers: Vec<_> = (0..limits::HTTP_CONNECTIONS + 8).map(|_| TcpStream::connect(address).unwrap()).collect();
    sleep(Duration::from_millis(200)).await;
    let mut owner = UnixStream::connect(&path).await.unwrap();
    owner.write_all(b"GET /api/v1/domains HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let answered = timeout(Duration::from_secs(60), owner.read_to_string(&mut answer)).await;
    assert!(answered.is_ok() && answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(strangers);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nobody_takes_the_connections_of_everybody() {
    let sockets = Sockets::bind(Some("127.0.0.1:0".parse().unwrap()), None).unwrap();
    let site = Site::with_settings(&["limits.exempt_networks="]);
    let running = start(site.context.into_inner(), sockets, None).unwrap();
    let address = running.http.unwrap();
    // Whether it is answered; one too many is closed without a word.
    let ask = |connection: &mut TcpStream| {
        let asked = connection.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut start = [0; 12];
        asked.and_then(|()| connection.read_exact(&mut start)).is_ok() && &start == b"HTTP/1.1 200"
    };
    let mut all: Vec<_> =
        (0..limits::HTTP_CONNECTIONS_PER_ADDRESS).map(|_| TcpStream::connect(address).unwrap()).collect();
    assert!(all.iter_mut().all(&ask));
    assert!(!ask(&mut TcpStream::connect(address).unwrap()));
    // Another's place is free as soon as its connection has ended.
    all.truncate(1);
    while !ask(&mut TcpStream::connect(address).unwrap()) {
        sleep(Duration::from_millis(10)).await;
    }
    running.stop().await;
}

/// Keeps the writer until it is released.
struct Hold(Mutex<mpsc::Receiver<()>>);

impl Op for Hold {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "test.hold"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, _: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let _ = self.0.lock().unwrap().recv();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn no_copy_is_made_for_a_client_that_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let mut sockets = Sockets::bind(None, None).unwrap();
    sockets.bind_socket(&path).unwrap();
    let site = Site::on_disk(&folder.path().join("mail.redb"));
    let store = site.context.store.clone();
    let running = start(site.context.into_inner(), sockets, None).unwrap();
    let ask = async |goes: bool| {
        // Nothing is begun before the client has said what it has to say.
        let (release, released) = mpsc::channel();
        store.ride(Hold(Mutex::new(released)));
        let mut owner = UnixStream::connect(&path).await.unwrap();
        owner.write_all(b"GET /api/v1/backup HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        if goes {
            owner.shutdown().await.unwrap();
        }
        release.send(()).unwrap();
        let mut answer = Vec::new();
        timeout(Duration::from_secs(60), owner.read_to_end(&mut answer)).await.unwrap().unwrap();
        String::from_utf8_lossy(&answer[..answer.len().min(12)]).into_owned()
    };
    assert_eq!(ask(false).await, "HTTP/1.1 200");
    assert_ne!(ask(true).await, "HTTP/1.1 200");
    assert_eq!(ask(false).await, "HTTP/1.1 200", "the place is free");
    running.stop().await;
}
