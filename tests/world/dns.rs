//! A name server of the tests: UDP and TCP on loopback, with the names that a test gives it, and the faults.
//!
//! Whole of itself, so that any test may take it in with `#[path = "../world/dns.rs"] mod dns;`. It runs on threads of its
//! own, and needs no runtime.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// The names of a test. What is not in it does not exist (NXDOMAIN); a name in it that lacks the kind of record that is
/// asked for gives an empty answer.
#[derive(Debug, Clone, Default)]
pub struct Zone {
    names: BTreeMap<String, Vec<Record>>,
}

#[derive(Debug, Clone)]
enum Record {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Mx(u16, String),
    Cname(String),
    Txt(String),
    /// Every question is answered with SERVFAIL.
    Broken,
    /// No question is answered.
    Silent,
}

impl Zone {
    /// No names.
    pub fn new() -> Self {
        Self::default()
    }

    /// A server for the mail of `name`. RFC 7505: with "." as its host, `name` takes none.
    pub fn mx(self, name: &str, preference: u16, host: &str) -> Self {
        self.with(name, Record::Mx(preference, host.to_owned()))
    }

    /// `name` takes no mail. RFC 7505
    pub fn null_mx(self, name: &str) -> Self {
        self.mx(name, 0, ".")
    }

    /// An address of `name`, IPv4 or IPv6.
    pub fn address(self, name: &str, address: &str) -> Self {
        let record = match address.parse().unwrap_or_else(|_| panic!("an address of {name}, not {address}")) {
            IpAddr::V4(ip) => Record::A(ip),
            IpAddr::V6(ip) => Record::Aaaa(ip),
        };
        self.with(name, record)
    }

    /// A domain with one MX, `mx.NAME`, that has one address.
    pub fn mail(self, name: &str, address: &str) -> Self {
        let host = format!("mx.{name}");
        self.mx(name, 10, &host).address(&host, address)
    }

    /// `name` is another name of `target`.
    pub fn cname(self, name: &str, target: &str) -> Self {
        self.with(name, Record::Cname(target.to_owned()))
    }

    /// A TXT record of `name`, which may have several.
    pub fn text(self, name: &str, text: &str) -> Self {
        self.with(name, Record::Txt(text.to_owned()))
    }

    /// Questions for `name` get SERVFAIL.
    pub fn broken(self, name: &str) -> Self {
        self.with(name, Record::Broken)
    }

    /// Questions for `name` get no answer.
    pub fn silent(self, name: &str) -> Self {
        self.with(name, Record::Silent)
    }

    fn with(mut self, name: &str, record: Record) -> Self {
        self.names.entry(canonical(name)).or_default().push(record);
        self
    }
}

/// What was asked: the name in lower case without its last dot, and the kind: `MX`, `A`, `AAAA`, `TYPE64`.
pub type Question = (String, String);

/// A running name server. Its threads end with the process.
pub struct Dns {
    /// For `--resolver`.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    zone: Zone,
    asked: Vec<Question>,
}

impl Dns {
    /// Serves `zone` on a free port of 127.0.0.1.
    pub fn start(zone: Zone) -> Self {
        let (tcp, udp) = bind();
        let address = tcp.local_addr().expect("a bound address");
        let state = Arc::new(Mutex::new(State { zone, asked: Vec::new() }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || serve_udp(&udp, &shared));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve_tcp(stream, &shared));
            }
        });
        Self { address, state }
    }

    /// Serves another zone from now on. Answers have no time to live: nobody may remember the old one.
    pub fn set(&self, zone: Zone) {
        lock(&self.state).zone = zone;
    }

    /// All questions so far, in order; one that was asked by UDP and then by TCP stands there twice.
    pub fn asked(&self) -> Vec<Question> {
        lock(&self.state).asked.clone()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no holder panics")
}

/// The same port for both.
fn bind() -> (TcpListener, UdpSocket) {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("a bound address")) {
            return (tcp, udp);
        }
    }
    panic!("no port that is free for TCP and UDP");
}

fn serve_udp(socket: &UdpSocket, state: &Mutex<State>) {
    let mut query = [0; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut query) else { continue };
        if let Some(answer) = answer(&query[..length], state, UDP_BYTES_MAX) {
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// RFC 1035 §4.2.2: each message has its length before it.
fn serve_tcp(mut stream: TcpStream, state: &Mutex<State>) {
    let mut serve_one = || -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut query = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut query)?;
        if let Some(answer) = answer(&query, state, u16::MAX.into()) {
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            stream.write_all(&[length.to_be_bytes().as_slice(), &answer].concat())?;
        }
        Ok(())
    };
    while serve_one().is_ok() {}
}

/// RFC 1035 §4.2.1. EDNS0 is passed over, so that a long answer needs TCP.
const UDP_BYTES_MAX: usize = 512;
const HEADER_BYTES: usize = 12;
const NO_ERROR: u8 = 0;
const SERVER_FAILURE: u8 = 2;
const NAME_ERROR: u8 = 3;
const A: u16 = 1;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const MX: u16 = 15;
const TXT: u16 = 16;
const AAAA: u16 = 28;

/// The answer to a query, or none to a silent name and to what is no query.
fn answer(query: &[u8], state: &Mutex<State>, bytes_max: usize) -> Option<Vec<u8>> {
    let (name, end) = read_name(query, HEADER_BYTES)?;
    let kind = u16::from_be_bytes([*query.get(end)?, *query.get(end + 1)?]);
    // As it was asked, since the asker may compare the case of its letters.
    let question = query.get(HEADER_BYTES..end + 4)?;
    let mut state = lock(state);
    state.asked.push((canonical(&name), kind_name(kind)));
    let mut records = Vec::new();
    let code = look_up(&state.zone, &name, kind, &mut records)?;
    let build = |records: &[Vec<u8>], truncated: bool| {
        let mut out = query[..2].to_vec();
        // An answer, authoritative, and recursive if that was asked for.
        out.push(0x84 | u8::from(truncated) << 1 | query[2] & 1);
        out.push(0x80 | code);
        // RFC 2308 §3: an answer with nothing in it says how long that holds.
        let has_soa = records.is_empty() && code != SERVER_FAILURE && !truncated;
        for count in [1, u16::try_from(records.len()).expect("few records"), u16::from(has_soa), 0] {
            out.extend_from_slice(&count.to_be_bytes());
        }
        out.extend_from_slice(question);
        out.extend(records.iter().flatten());
        if has_soa {
            out.extend(soa());
        }
        out
    };
    let whole = build(&records, false);
    Some(if whole.len() > bytes_max { build(&[], true) } else { whole })
}

/// Collects the records for `name`, along its CNAMEs. None: silence.
fn look_up(zone: &Zone, name: &str, kind: u16, found: &mut Vec<Vec<u8>>) -> Option<u8> {
    let mut name = name.to_owned();
    // A circle of CNAMEs ends here.
    for _ in 0..16 {
        let Some(records) = zone.names.get(&canonical(&name)) else { return Some(NAME_ERROR) };
        let mut target = None;
        for record in records {
            match record {
                Record::Silent => return None,
                Record::Broken => return Some(SERVER_FAILURE),
                Record::A(ip) if kind == A => found.push(row(&name, A, &ip.octets())),
                Record::Aaaa(ip) if kind == AAAA => found.push(row(&name, AAAA, &ip.octets())),
                Record::Mx(preference, host) if kind == MX => {
                    found.push(row(&name, MX, &[preference.to_be_bytes().as_slice(), &write_name(host)].concat()));
                }
                Record::Txt(text) if kind == TXT => {
                    found.push(row(&name, TXT, &strings(text)));
                }
                Record::Cname(to) => {
                    found.push(row(&name, CNAME, &write_name(to)));
                    target = Some(to);
                }
                _ => {}
            }
        }
        match target {
            Some(to) if kind != CNAME => name.clone_from(to),
            _ => return Some(NO_ERROR),
        }
    }
    Some(SERVER_FAILURE)
}

/// RFC 1035 §4.1.3, of class IN and with no time to live.
fn row(name: &str, kind: u16, data: &[u8]) -> Vec<u8> {
    let mut out = write_name(name);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 1, 0, 0, 0, 0]);
    out.extend_from_slice(&u16::try_from(data.len()).expect("a short record").to_be_bytes());
    out.extend_from_slice(data);
    out
}

/// RFC 1035 §3.3: strings of at most 255 octets, one at least.
fn strings(text: &str) -> Vec<u8> {
    let pieces: Vec<&[u8]> = if text.is_empty() { vec![b""] } else { text.as_bytes().chunks(255).collect() };
    pieces.into_iter().flat_map(|piece| [&[piece.len() as u8], piece].concat()).collect()
}

fn soa() -> Vec<u8> {
    let mut data = [write_name("ns.test"), write_name("postmaster.test")].concat();
    // Serial, refresh, retry, expire, minimum.
    for number in [1_u32, 3600, 600, 86400, 0] {
        data.extend_from_slice(&number.to_be_bytes());
    }
    row(".", SOA, &data)
}

fn write_name(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(u8::try_from(label.len()).expect("a short label"));
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

/// The name at `at`, which a question has uncompressed, and where it ends.
fn read_name(bytes: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        match length {
            0 => return Some((labels.join("."), at)),
            1..=63 => labels.push(String::from_utf8_lossy(bytes.get(at..at + length)?).into_owned()),
            _ => return None,
        }
        at += length;
    }
}

fn canonical(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn kind_name(kind: u16) -> String {
    match kind {
        A => "A".to_owned(),
        AAAA => "AAAA".to_owned(),
        MX => "MX".to_owned(),
        TXT => "TXT".to_owned(),
        other => format!("TYPE{other}"),
    }
}
