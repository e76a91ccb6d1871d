use std::io::Read;
use std::process::ExitCode;

use clap::Parser;
use hyper::Method;
use serde_json::Value;

use super::args;
use super::client::Client;
use super::failure::Failure;
use super::request::query;
use crate::base::Address;
use crate::message::{addresses, decode_field, fields, without_bcc};

/// The exit codes of sysexits.h, which programs that call sendmail look at.
const USAGE: u8 = 64;
const DATA: u8 = 65;
const NO_USER: u8 = 67;
const UNAVAILABLE: u8 = 69;
const TEMPORARY: u8 = 75;

const HELP: &str = "usage: pillarbox sendmail [-t] [-i] [-f SENDER] [-F NAME] [--data FILE] [RECIPIENT]...\n\
    Reads a message on stdin and sends it through the running server.\n\
    -t      recipients are those of To, Cc and Bcc\n\
    -i      a line with a dot alone does not end the message (so does -oi)\n\
    -f, -r  the sender of the envelope\n\
    -F      the sender's name, where the message has no From\n\
    -o… -B… -N… -V… -R… -X… -O… -bm -v -m -n -G -U  are taken and mean nothing\n\
    Exit codes: 0 sent, 64 usage, 65 the message is not one, 67 a recipient is refused, 69 refused, 75 try again.";

/// Which server is meant: the flags with two hyphens.
#[derive(Parser)]
struct Server {
    #[command(flatten)]
    place: args::Place,
}

/// What the arguments say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    from_header: bool,
    ignores_dots: bool,
    sender: Option<String>,
    name: Option<String>,
    recipients: Vec<String>,
    /// For [`Server`].
    server: Vec<String>,
    help: bool,
}

/// Why it is not sent: the exit code, and what to say.
struct Refused(u8, String);

/// `pillarbox sendmail …`
pub fn run(args: Vec<String>) -> ExitCode {
    match send(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Refused(code, why)) => {
            eprintln!("sendmail: {why}");
            ExitCode::from(code)
        }
    }
}

fn send(args: &[String]) -> Result<(), Refused> {
    let wish = Wish::parse(args).map_err(|why| Refused(USAGE, why))?;
    if wish.help {
        eprintln!("{HELP}");
        return Ok(());
    }
    let server = Server::try_parse_from(std::iter::once("sendmail").chain(wish.server.iter().map(String::as_str)));
    let place = server.map_err(|error| Refused(USAGE, error.to_string()))?.place;
    let client = Client::new(&place).map_err(refused)?;
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).map_err(|error| Refused(TEMPORARY, format!("stdin: {error}")))?;
    let host = machine();
    let letter = Letter::of(&input, &wish, &host)?;
    let mut parameters = vec![("sender", Some(letter.sender.as_str()))];
    parameters.extend(letter.recipients.iter().map(|recipient| ("recipient", Some(recipient.as_str()))));
    let path = format!("/api/v1/messages?{}", query(&parameters));
    let sent = client.send_octets(Method::POST, &path, "message/rfc822", letter.octets).map_err(refused)?;
    let results = sent.body["recipients"].as_array().map_or(&[][..], Vec::as_slice);
    let told: Vec<String> = results.iter().filter(|one| one["outcome"] == "rejected").map(rejection).collect();
    if told.is_empty() { Ok(()) } else { Err(Refused(NO_USER, told.join("\nsendmail: "))) }
}

fn rejection(result: &Value) -> String {
    let text = |field: &str| result[field].as_str().unwrap_or_default().to_owned();
    super::output::line(&format!("{}: {} {}", text("address"), result["code"], text("text")))
}

fn refused(failure: Failure) -> Refused {
    let is_rejected = |problem: &Value| {
        problem["errors"].as_array().is_some_and(|all| all.iter().any(|one| one["code"] == "rejected"))
    };
    let code = match &failure {
        Failure::Usage(_) => USAGE,
        Failure::Denied(_) => UNAVAILABLE,
        Failure::Refused(422, problem) if is_rejected(problem) => NO_USER,
        Failure::Refused(400 | 413 | 422, _) => DATA,
        Failure::Refused(401 | 403 | 404, _) => UNAVAILABLE,
        _ => TEMPORARY,
    };
    Refused(code, failure.to_string())
}

/// The machine's name, for addresses that have none.
fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

impl Wish {
    fn parse(args: &[String]) -> Result<Self, String> {
        let mut wish = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--" {
                wish.recipients.extend(args.cloned());
                break;
            }
            if arg == "--help" {
                wish.help = true;
            } else if arg.starts_with("--") {
                wish.server.push(arg.clone());
                if !arg.contains('=') {
                    wish.server.extend(args.next().cloned());
                }
            } else if let Some(letters) = arg.strip_prefix('-').filter(|letters| !letters.is_empty()) {
                wish.take(letters, &mut args)?;
            } else {
                wish.recipients.push(arg.clone());
            }
        }
        Ok(wish)
    }

    /// Flags of one letter, several of which may stand together.
    fn take(&mut self, letters: &str, args: &mut std::slice::Iter<'_, String>) -> Result<(), String> {
        for (at, letter) in letters.char_indices() {
            let rest = &letters[at + letter.len_utf8()..];
            let mut value = || {
                let next = if rest.is_empty() { args.next().cloned() } else { Some(rest.to_owned()) };
                next.ok_or_else(|| format!("-{letter} needs a value"))
            };
            match letter {
                't' => self.from_header = true,
                'i' => self.ignores_dots = true,
                'v' | 'm' | 'n' | 'G' | 'U' => {}
                'f' | 'r' => return value().map(|sender| self.sender = Some(sender)),
                'F' => return value().map(|name| self.name = Some(name)),
                // `-oi` stands for `-i`; the other options, and those of delivery reports, mean nothing here.
                'o' => {
                    self.ignores_dots |= rest.starts_with('i');
                    return Ok(());
                }
                'b' if rest == "m" || rest.is_empty() => return Ok(()),
                'b' => return Err(format!("-b{rest} is not there: this only sends")),
                'q' => return Err("-q is not there: the server tries by itself; see `pillarbox queue flush`".into()),
                'B' | 'N' | 'V' | 'R' | 'X' | 'O' | 'L' | 'h' | 'p' => return value().map(drop),
                _ => return Err(format!("there is no flag -{letter}; see --help")),
            }
        }
        Ok(())
    }
}

/// A message with its envelope.
#[derive(Debug, PartialEq, Eq)]
struct Letter {
    sender: String,
    recipients: Vec<String>,
    octets: Vec<u8>,
}

impl Letter {
    fn of(input: &[u8], wish: &Wish, host: &str) -> Result<Self, Refused> {
        let input = if wish.ignores_dots { input } else { before_dot(input) };
        // What mailbox files put before a message.
        let input = match input.strip_prefix(b"From ") {
            Some(rest) => rest.iter().position(|byte| *byte == b'\n').map_or(&[][..], |end| &rest[end + 1..]),
            None => input,
        };
        let (head, body) = split(input);
        let full = |text: &str| qualified(text, host).map_err(|why| Refused(USAGE, why));
        let mut recipients = wish.recipients.iter().map(|text| full(text)).collect::<Result<Vec<_>, _>>()?;
        if wish.from_header {
            for field in fields(&head).filter(|field| ["To", "Cc", "Bcc"].iter().any(|name| field.is(name))) {
                recipients.extend(named(field.value, host).map_err(|why| Refused(DATA, why))?);
            }
        }
        if recipients.is_empty() {
            return Err(Refused(USAGE, "to whom? Name recipients, or say -t".into()));
        }
        recipients.sort();
        recipients.dedup();
        let author = fields(&head).find(|field| field.is("From")).and_then(|field| {
            let found = addresses(field.value).ok()?;
            found.first().map(Address::to_string)
        });
        let given =
            wish.sender.as_deref().map(|sender| sender.trim_matches(['<', '>'])).filter(|sender| !sender.is_empty());
        let sender = match (given, &author) {
            (Some(sender), _) => full(sender)?,
            (None, Some(author)) => author.clone(),
            (None, None) => full(&user())?,
        };
        let mut octets = Vec::with_capacity(input.len() + 128);
        if author.is_none() {
            octets.extend_from_slice(from_field(&head, wish, &sender).as_bytes());
        }
        for field in fields(&head).filter(|field| author.is_some() || !field.is("From")) {
            octets.extend_from_slice(&head[field.span]);
        }
        let mut octets = without_bcc(&octets).into_owned();
        octets.extend_from_slice(b"\r\n");
        octets.extend_from_slice(body);
        Ok(Self { sender, recipients, octets })
    }
}

/// The header with CRLF, and the body without the blank line. What does not begin with a field is all body.
fn split(input: &[u8]) -> (Vec<u8>, &[u8]) {
    let (mut head, mut rest) = (Vec::new(), input);
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        if line.is_empty() {
            return (head, &rest[end + 1..]);
        }
        let name = line.iter().position(|byte| *byte == b':').map(|colon| &line[..colon]);
        let is_field = name.is_some_and(|name| !name.is_empty() && name.iter().all(u8::is_ascii_graphic));
        let continues = matches!(line.first(), Some(b' ' | b'\t')) && !head.is_empty();
        if !is_field && !continues {
            return (head, rest);
        }
        head.extend_from_slice(line);
        head.extend_from_slice(b"\r\n");
        rest = &rest[end + 1..];
    }
    (head, rest)
}

/// What stands before the line that is a dot alone.
fn before_dot(input: &[u8]) -> &[u8] {
    let mut at = 0;
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        if line
            .strip_suffix(b"\n")
            .unwrap_or(line)
            .strip_suffix(b"\r")
            .unwrap_or(line.strip_suffix(b"\n").unwrap_or(line))
            == b"."
        {
            return &input[..at];
        }
        at += line.len();
    }
    input
}

/// A field that says who has written the message, for one that does not, or names nobody whom others could answer.
fn from_field(head: &[u8], wish: &Wish, sender: &str) -> String {
    let old = fields(head).find(|field| field.is("From")).map(|field| decode_field(field.value));
    let old = old.and_then(|text| text.rsplit_once('<').map(|(name, _)| name.trim().trim_matches('"').to_owned()));
    let name = wish.name.clone().or(old).unwrap_or_default();
    let name: String = name.chars().filter(|c| c.is_ascii() && !c.is_ascii_control() && !"\"\\".contains(*c)).collect();
    if name.is_empty() { format!("From: <{sender}>\r\n") } else { format!("From: \"{name}\" <{sender}>\r\n") }
}

/// The addresses of a field; names without a domain are of this machine, as cron writes them.
fn named(value: &[u8], host: &str) -> Result<Vec<String>, String> {
    if let Ok(found) = addresses(value) {
        return Ok(found.iter().map(Address::to_string).collect());
    }
    let text = decode_field(value);
    let bare = |one: &str| one.rsplit_once('<').map_or(one, |(_, address)| address).trim_matches([' ', '>']).to_owned();
    text.split(',').map(bare).filter(|one| !one.is_empty()).map(|one| qualified(&one, host)).collect()
}

fn qualified(text: &str, host: &str) -> Result<String, String> {
    let full = if text.contains('@') { text.to_owned() } else { format!("{text}@{host}") };
    Address::parse(&full).map(|address| address.to_string()).map_err(|error| format!("{text}: {error}"))
}

/// Who runs this.
fn user() -> String {
    ["LOGNAME", "USER"].into_iter().find_map(|name| std::env::var(name).ok()).unwrap_or_else(|| "root".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(line: &str) -> Result<Wish, String> {
        Wish::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_flags_that_programs_use_are_known() {
        let some = |text: &str| Some(text.to_owned());
        let to = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let cron = Wish { name: some("CronDaemon"), ignores_dots: true, recipients: to("root"), ..Wish::default() };
        assert_eq!(wish("-FCronDaemon -i -B8BITMIME -oem root"), Ok(cron));
        let php = Wish { from_header: true, ignores_dots: true, ..Wish::default() };
        assert_eq!(wish("-t -i"), Ok(Wish { from_header: true, ignores_dots: true, ..Wish::default() }));
        assert_eq!(wish("-ti"), Ok(php));
        let git = Wish { ignores_dots: true, sender: some("a@x"), recipients: to("-b c"), ..Wish::default() };
        assert_eq!(wish("-oi -f a@x -- -b c"), Ok(git));
        let place = Wish { server: to("--data x.redb"), recipients: to("a"), ..Wish::default() };
        assert_eq!(wish("--data x.redb -bm -v -N never a"), Ok(place));
        for wrong in ["-f", "-bs", "-q", "-Z"] {
            assert!(wish(wrong).is_err(), "{wrong}");
        }
    }

    fn check(args: &str, input: &str, sender: &str, recipients: &str, octets: &str) {
        let letter = Letter::of(input.as_bytes(), &wish(args).unwrap(), "mx.test")
            .unwrap_or_else(|Refused(_, why)| panic!("{why}"));
        assert_eq!((letter.sender.as_str(), letter.recipients.join(" ").as_str()), (sender, recipients), "{args}");
        assert_eq!(String::from_utf8(letter.octets).unwrap(), octets, "{args}");
    }

    #[test]
    fn a_message_gets_its_envelope() {
        check(
            "-t",
            "From: A <a@x.test>\nTo: b@y.test,\n c@y.test\nBcc: d@y.test\nSubject: s\n\none\n.\ntwo\n",
            "a@x.test",
            "b@y.test c@y.test d@y.test",
            "From: A <a@x.test>\r\nTo: b@y.test,\r\n c@y.test\r\nSubject: s\r\n\r\none\n",
        );
        check(
            "-i -f z@x.test e@y.test",
            "From MAILER Sun Nov 22\nFrom: a@x.test\n\none\n.\ntwo\n",
            "z@x.test",
            "e@y.test",
            "From: a@x.test\r\n\r\none\n.\ntwo\n",
        );
        // As cron does.
        check(
            "-FCronDaemon -i -f root root",
            "From: \"(Cron Daemon)\" <root>\nTo: root\nSubject: Cron <root@h> date\n\nout\n",
            "root@mx.test",
            "root@mx.test",
            "From: \"CronDaemon\" <root@mx.test>\r\nTo: root\r\nSubject: Cron <root@h> date\r\n\r\nout\n",
        );
        // No header at all.
        check(
            "-f a@x.test b@y.test",
            "hello\nworld\n",
            "a@x.test",
            "b@y.test",
            "From: <a@x.test>\r\n\r\nhello\nworld\n",
        );
        check(
            "-t -f a@x.test",
            "To: root, b@y.test\n\n",
            "a@x.test",
            "b@y.test root@mx.test",
            "From: <a@x.test>\r\nTo: root, b@y.test\r\n\r\n",
        );
    }

    #[test]
    fn without_recipients_it_is_misused() {
        for (args, input, code) in
            [("-f a@x", "Subject: s\n\n", USAGE), ("-t -f a@x", "Subject: s\n\n", USAGE), ("-f a@x b@c@d", "", USAGE)]
        {
            let Err(Refused(seen, _)) = Letter::of(input.as_bytes(), &wish(args).unwrap(), "mx.test") else {
                panic!("{args}")
            };
            assert_eq!(seen, code, "{args}");
        }
    }
}
