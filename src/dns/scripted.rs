//! A name server for tests: it answers from a table, over UDP and TCP on loopback.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// Octets of a datagram: what is longer is truncated.
const DATAGRAM_BYTES: usize = 1232;

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Mx(Vec<(u16, String)>),
    A(Vec<Ipv4Addr>),
    Aaaa(Vec<Ipv6Addr>),
    Cname(String),
    /// Each record's text, cut into strings of 255 octets.
    Txt(Vec<String>),
    /// No error and no record.
    Nothing,
    Code(u16),
    Silence,
    Garbage,
}

impl Answer {
    pub(crate) fn mx(servers: &[(u16, &str)]) -> Self {
        Self::Mx(servers.iter().map(|(preference, host)| (*preference, format!("{host}."))).collect())
    }

    pub(crate) fn cname(target: &str) -> Self {
        Self::Cname(format!("{target}."))
    }
}

/// It runs until it is dropped.
pub(crate) struct Scripted {
    address: SocketAddr,
    state: Arc<State>,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

#[derive(Default)]
struct State {
    zone: Mutex<HashMap<String, Answer>>,
    asked: AtomicUsize,
    asked_by_tcp: AtomicUsize,
}

impl Scripted {
    /// `zone`: as in `MX d.test`; what is not in it does not exist.
    pub(crate) async fn start(zone: &[(&str, Answer)]) -> Self {
        let state = Arc::new(State::default());
        state.zone.lock().unwrap().extend(zone.iter().map(|(question, answer)| (question.to_string(), answer.clone())));
        // The same port for both.
        let (udp, tcp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = tcp.local_addr().unwrap();
        let tasks =
            [tokio::spawn(serve_udp(udp, Arc::clone(&state))), tokio::spawn(serve_tcp(tcp, Arc::clone(&state)))];
        Self { address, state, tasks }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set(&self, question: &str, answer: Answer) {
        self.state.zone.lock().unwrap().insert(question.to_owned(), answer);
    }

    pub(crate) fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }

    pub(super) fn asked_by_tcp(&self) -> usize {
        self.state.asked_by_tcp.load(Ordering::SeqCst)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

async fn serve_udp(socket: UdpSocket, state: Arc<State>) {
    let mut datagram = [0; 4096];
    while let Ok((count, from)) = socket.recv_from(&mut datagram).await {
        state.asked.fetch_add(1, Ordering::SeqCst);
        let Some(mut reply) = state.answer(&datagram[..count]) else { continue };
        if reply.len() > DATAGRAM_BYTES {
            let mut message = Message::from_vec(&reply).unwrap();
            message.metadata.truncation = true;
            message.answers.clear();
            reply = message.to_vec().unwrap();
        }
        let _ = socket.send_to(&reply, from).await;
    }
}

async fn serve_tcp(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let _ = converse(stream, &state).await;
        });
    }
}

async fn converse(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    loop {
        let mut question = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut question).await?;
        state.asked_by_tcp.fetch_add(1, Ordering::SeqCst);
        if let Some(reply) = state.answer(&question) {
            stream.write_u16(u16::try_from(reply.len()).unwrap()).await?;
            stream.write_all(&reply).await?;
        }
    }
}

impl State {
    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let asked = Message::from_vec(question).ok()?;
        let query = asked.queries.first()?.clone();
        let text = query.name().to_ascii().to_ascii_lowercase();
        let key = format!("{} {}", query.query_type(), text.trim_end_matches('.'));
        let answer = self.zone.lock().unwrap().get(&key).cloned().unwrap_or(Answer::Code(3));
        let mut reply = Message::response(asked.metadata.id, asked.metadata.op_code);
        reply.metadata.recursion_available = true;
        reply.add_query(query.clone());
        let name = query.name();
        let record = |data: RData| Record::from_rdata(name.clone(), 60, data);
        let host = |text: &str| Name::from_ascii(text).unwrap();
        match answer {
            Answer::Silence => return None,
            Answer::Garbage => return Some([&question[..2], &[0xff; 40]].concat()),
            Answer::Nothing => {}
            Answer::Code(code) => reply.metadata.response_code = ResponseCode::from(0, code as u8),
            Answer::Mx(servers) => {
                let mx =
                    |(preference, exchange): (u16, String)| record(RData::MX(MX::new(preference, host(&exchange))));
                reply.add_answers(servers.into_iter().map(mx));
            }
            Answer::A(ips) => {
                reply.add_answers(ips.into_iter().map(|ip| record(RData::A(A(ip)))));
            }
            Answer::Aaaa(ips) => {
                reply.add_answers(ips.into_iter().map(|ip| record(RData::AAAA(AAAA(ip)))));
            }
            Answer::Txt(texts) => {
                let txt = |text: String| {
                    let strings = text.as_bytes().chunks(255).map(|piece| String::from_utf8_lossy(piece).into_owned());
                    record(RData::TXT(TXT::new(strings.collect())))
                };
                reply.add_answers(texts.into_iter().map(txt));
            }
            Answer::Cname(target) => {
                reply.add_answer(record(RData::CNAME(CNAME(host(&target)))));
            }
        }
        reply.to_vec().ok()
    }
}
