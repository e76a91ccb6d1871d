use std::collections::VecDeque;
use std::net::IpAddr;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::sync::oneshot;

use super::*;
use crate::base::{Timestamp, TurnedClock};
use crate::queue::{Attempt, Stage, Verdict, Words};

const GREETING: &str = "220 mx.b.test ESMTP";
const EHLO: &str = "250-mx.b.test\r\n250-PIPELINING\r\n250-SIZE 100000\r\n250 8BITMIME";

/// A courier that remembers.
#[derive(Default)]
struct Recorder {
    mails: VecDeque<Mail>,
    /// Each answers one opened attempt, when it is told to; without one it is opened at once.
    opens: VecDeque<oneshot::Receiver<Result<(), NotOpened>>>,
    opened: Vec<Vec<QueueId>>,
    outcomes: Vec<Outcome>,
}

impl Courier for Recorder {
    async fn next(&mut self, _: Room) -> Option<Mail> {
        self.mails.pop_front()
    }

    async fn open(&mut self, recipients: &[QueueId]) -> Result<(), NotOpened> {
        if let Some(answer) = self.opens.pop_front() {
            answer.await.unwrap()?;
        }
        self.opened.push(recipients.to_vec());
        Ok(())
    }

    fn sign_again(&self, converted: Vec<u8>) -> Vec<u8> {
        [b"X-Signed: again\r\n", converted.as_slice()].concat()
    }

    async fn settle(&mut self, outcomes: Vec<Outcome>) {
        self.outcomes.extend(outcomes);
    }
}

impl Recorder {
    fn with(mails: impl IntoIterator<Item = Mail>) -> Self {
        Self { mails: mails.into_iter().collect(), ..Self::default() }
    }

    fn shown(&self) -> Vec<String> {
        let show = |outcome: &Outcome| {
            let Attempt { stage, words, .. } = &outcome.attempt;
            let code = words.code.map_or("own".to_owned(), |code| code.to_string());
            format!("{:?} {} {stage:?} {code}", outcome.verdict, outcome.entry)
        };
        self.outcomes.iter().map(show).collect()
    }
}

fn mail(number: u64, recipients: &[&str], text: impl Into<Bytes>) -> Mail {
    let id = MessageId(number);
    let name = |(place, address): (usize, &&str)| Recipient {
        id: QueueId { message: id, number: place as u32 },
        address: address.parse().unwrap(),
        options: RcptOptions::default(),
    };
    Mail {
        id,
        sender: Some("a@a.test".parse().unwrap()),
        recipients: recipients.iter().enumerate().map(name).collect(),
        eight_bit: false,
        smtputf8: false,
        options: MailOptions::default(),
        content: Content::from(text.into()),
    }
}

fn plan() -> Plan {
    Plan {
        policy: None,
        require_tls: false,
        hostname: "mx.a.test".parse().unwrap(),
        actor: "delivery".into(),
        server: "mx.b.test".into(),
        tls: Tls::Never,
        login: None,
        then: Then::Quit,
        messages_max: 10,
        patience: Patience::default(),
        clock: Arc::new(TurnedClock::new(Timestamp(1000))),
        began_ms: 0,
    }
}

fn pipe(bytes: usize) -> (Connection, DuplexStream) {
    let (ours, theirs) = duplex(bytes);
    let address = |text: &str| text.parse().unwrap();
    (Connection::memory(ours, address("192.0.2.25:25"), address("192.0.2.1:50000")), theirs)
}

/// A server that reads a line for each of its replies; an empty reply says nothing, one that begins with `.` is said at
/// the end of data. Gives what it has read.
async fn serve(stream: DuplexStream, replies: &[&str]) -> Vec<String> {
    let mut stream = BufReader::new(stream);
    let mut read = Vec::new();
    stream.write_all(format!("{GREETING}\r\n").as_bytes()).await.unwrap();
    for reply in replies {
        let reply = match reply.strip_prefix('.') {
            None => {
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                read.push(line.trim_end().to_owned());
                reply
            }
            Some(reply) => {
                let mut data = String::new();
                while !data.ends_with("\r\n.\r\n") && data != ".\r\n" {
                    if stream.read_line(&mut data).await.unwrap() == 0 {
                        break;
                    }
                }
                read.push(data);
                reply
            }
        };
        if !reply.is_empty() {
            stream.write_all(format!("{reply}\r\n").as_bytes()).await.unwrap();
        }
    }
    let mut rest = String::new();
    let _ = stream.read_to_string(&mut rest).await;
    if !rest.is_empty() {
        read.push(format!("rest: {rest}"));
    }
    read
}

fn summary(ended: Ended) -> Summary {
    match ended {
        Ended::Closed(summary) => summary,
        Ended::Swap(..) => panic!("the roles were swapped"),
    }
}

#[tokio::test]
async fn a_message_is_delivered_and_its_attempt_described() {
    let ((connection, server), mut plan) = (pipe(4096), plan());
    let clock = Arc::new(TurnedClock::new(Timestamp(1000)));
    clock.advance_ms(70);
    (plan.clock, plan.began_ms) = (clock, 50);
    let mut courier = Recorder::with([mail(7, &["b@b.test"], "Subject: x\r\n\r\n.dot\r\n")]);
    let replies = [EHLO, "250 ok", "250 ok", "354 go", ".250 2.6.0 taken as 1", "221 bye"];
    let (ended, read) = tokio::join!(drive(connection, &plan, &mut courier), serve(server, &replies));
    assert_eq!(
        read,
        [
            "EHLO mx.a.test",
            "MAIL FROM:<a@a.test> SIZE=20",
            "RCPT TO:<b@b.test>",
            "DATA",
            "Subject: x\r\n\r\n..dot\r\n.\r\n",
            "QUIT"
        ]
    );
    let attempt = Attempt {
        at: Timestamp(1070),
        actor: "delivery".into(),
        server: Some("mx.b.test".into()),
        server_ip: Some(IpAddr::from([192, 0, 2, 25])),
        tls: None,
        stage: Stage::End,
        words: Words { code: Some(250), enhanced: Some((2, 6, 0)), text: "taken as 1".into() },
        duration_ms: 20,
    };
    let entry = QueueId { message: MessageId(7), number: 0 };
    let dialogue = courier.outcomes[0].dialogue.clone();
    assert_eq!(
        courier.outcomes,
        [Outcome { dialogue: dialogue.clone(), ..Outcome::new(entry, Verdict::Delivered, attempt) }]
    );
    let ends = ["> RCPT TO:<b@b.test>\n", "octets)\n< 250 2.6.0 taken as 1\n"];
    assert!(ends.iter().all(|end| dialogue.contains(end)) && !dialogue.contains("Subject"), "{dialogue}");
    assert_eq!(courier.opened, [vec![entry]]);
    assert_eq!(summary(ended), Summary { sent: 1, ..Summary::default() });
}

#[tokio::test]
async fn the_end_of_data_waits_for_the_commit() {
    let ((connection, server), plan) = (pipe(4096), plan());
    let (commit, answer) = oneshot::channel();
    let mut courier = Recorder::with([mail(7, &["b@b.test"], "x\r\n")]);
    courier.opens.push_back(answer);
    let serving = async {
        let mut server = BufReader::new(server);
        let mut said = String::new();
        server.write_all(format!("{GREETING}\r\n").as_bytes()).await.unwrap();
        for reply in [EHLO, "250 ok", "250 ok", "354 go"] {
            server.read_line(&mut said).await.unwrap();
            server.write_all(format!("{reply}\r\n").as_bytes()).await.unwrap();
        }
        said.clear();
        server.read_line(&mut said).await.unwrap();
        assert_eq!(said, "x\r\n");
        let early = tokio::time::timeout(std::time::Duration::from_millis(30), server.read_u8()).await;
        assert!(early.is_err(), "something came before the commit: {early:?}");
        commit.send(Ok(())).unwrap();
        said.clear();
        server.read_line(&mut said).await.unwrap();
        assert_eq!(said, ".\r\n");
        server.write_all(b"250 ok\r\n").await.unwrap();
    };
    tokio::join!(drive(connection, &plan, &mut courier), serving);
    assert_eq!(courier.shown(), ["Delivered q_0000000000007_0 End 250"]);
}
