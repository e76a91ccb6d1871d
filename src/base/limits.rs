//! Every limit, once, with its source and its unit. Settings may lower or raise some of them; these are the defaults
//! and the hard ends.

/// Octets of a local part. RFC 5321 §4.5.3.1.1
pub const LOCAL_PART_BYTES: usize = 64;
/// Octets of a domain. RFC 5321 §4.5.3.1.2
pub const DOMAIN_BYTES: usize = 255;
/// Octets of a command line with its CRLF. RFC 5321 §4.5.3.1.4 asks for 512 and room for extensions; others take 2,048.
pub const COMMAND_LINE_BYTES: usize = 4096;
/// Octets of an AUTH line with its CRLF. RFC 4954 §4 asks for 12,288.
pub const AUTH_LINE_BYTES: usize = 12_288;
/// Recipients of one transaction. RFC 5321 §4.5.3.1.8 asks for 100; Postfix and mox take 1,000.
pub const RECIPIENTS: usize = 1000;
/// Copies that the recipients of one transaction may lead to before it takes no more of them: a group may be named again
/// and again.
pub const TRANSACTION_COPIES: usize = 5000;
/// Characters of ENVID, decoded. RFC 3461 §5.4
pub const ENVELOPE_ID_BYTES: usize = 100;
/// Characters of ORCPT. RFC 3461 §5.4
pub const ORIGINAL_RECIPIENT_BYTES: usize = 500;
/// Octets of a chunk of BDAT below which it counts as a command that moves no mail. RFC 3030 sets no lower end; real
/// clients send tens of thousands.
pub const SMALL_CHUNK_BYTES: u64 = 4096;
/// Octets of a message that are written together when it goes out by BDAT, and held back until the attempt is committed.
pub const CHUNK_TAIL_BYTES: usize = 32 * 1024;
/// Seconds for which a message may be held for a later time. RFC 4865 §4 leaves it to the server; Stalwart: 30 days
pub const FUTURE_RELEASE_S: u32 = 90 * 24 * 60 * 60;
/// The highest priority that a user or a peer may ask for. RFC 6710 appendix B: MIXER's own levels end at 4.
pub const PRIORITY_MAX: i8 = 4;
/// Domains, and accounts of each, among which VRFY looks for a person by name.
pub const NAMES_LOOKED_AT: usize = 1000;
/// Octets of a message that is converted for a server without 8BITMIME: it is in memory then.
pub const CONVERTED_BYTES: u64 = 16 * 1024 * 1024;
/// Lines that VERB adds to a reply.
pub const VERBOSE_LINES: usize = 50;
/// Octets of a message as SIZE announces it. RFC 1870 §3
pub const MESSAGE_BYTES: u64 = 50 * 1024 * 1024;
/// Octets of one line of a message, beyond which the message is refused. RFC 5321 §4.5.3.1.6 asks for 1,000.
pub const TEXT_LINE_BYTES: usize = 1024 * 1024;
/// Octets of the header block. Postfix takes 102,400.
pub const HEADER_BYTES: usize = 256 * 1024;
/// Lines of the header block.
pub const HEADER_LINES: usize = 1000;
/// Received fields beyond which a message is in a loop. RFC 5321 §6.3 asks for at least 100.
pub const RECEIVED_HOPS: usize = 100;
/// Refused commands of a session that are answered without delay.
pub const ERRORS_SOFT: u32 = 10;
/// Refused commands of a session after which it is closed with 421.
pub const ERRORS_HARD: u32 = 20;
/// Commands that move no mail (NOOP, RSET, VRFY, HELO, …) between two messages, after which each counts as an error. Postfix: 100
pub const JUNK_COMMANDS: u32 = 100;
/// Unknown recipients of a session that are answered without delay.
pub const UNKNOWN_RECIPIENTS_SOFT: u32 = 5;
/// Unknown recipients of a session after which it is closed with 421.
pub const UNKNOWN_RECIPIENTS_HARD: u32 = 20;
/// Milliseconds that a refusal waits beyond a soft limit. Postfix: 1 s
pub const REFUSAL_DELAY_MS: u64 = 1000;
/// Failed logins of a session after which it is closed with 421.
pub const LOGIN_FAILURES: u32 = 3;
/// Seconds that a server waits for the next command. RFC 5321 §4.5.3.2.7 asks for 300.
pub const SMTP_IDLE_S: u64 = 300;
/// Seconds that a POP3 server waits for the next command. RFC 1939 §3 asks for at least 600.
pub const POP3_IDLE_S: u64 = 600;
/// Seconds that a TLS handshake may take.
pub const TLS_HANDSHAKE_S: u64 = 30;
/// Seconds of one SMTP session, whatever it does.
pub const SMTP_SESSION_S: u64 = 30 * 60;
/// Octets that one SMTP session may send, whatever they are.
pub const SMTP_SESSION_BYTES: u64 = 1024 * 1024 * 1024;
/// Seconds after which DATA must bring at least [`DATA_RATE_BYTES_PER_S`].
pub const DATA_GRACE_S: u64 = 30;
/// Octets per second that DATA must bring on average after [`DATA_GRACE_S`].
pub const DATA_RATE_BYTES_PER_S: u64 = 1024;
/// MX records that are kept of an answer: the most preferred. Postfix tries 5 addresses.
pub const MX_RECORDS: usize = 10;
/// Addresses that are kept of one host, of each kind.
pub const HOST_ADDRESSES: usize = 20;
/// CNAME records that are followed. hickory asks for no more than 8 names either.
pub const CNAME_LINKS: usize = 8;
/// Answers of the DNS that are remembered.
pub const DNS_CACHE_ANSWERS: u64 = 4096;
/// Records beyond which an answer of the DNS is not remembered.
pub const DNS_CACHED_RECORDS: usize = 100;
/// Seconds for which an answer of the DNS is remembered at most.
pub const DNS_TTL_S: u64 = 60 * 60;
/// Seconds for which it is remembered at most that there is nothing. RFC 2308 §5 asks for no more than 3 hours.
pub const DNS_NEGATIVE_TTL_S: u64 = 5 * 60;
/// Seconds in which a question to the DNS must be answered, with its repetitions.
pub const DNS_ANSWER_S: u64 = 15;
/// Open attempts that one transaction closes at start.
pub const RECOVERED_ATTEMPTS: usize = 500;
/// Addresses that are dialled for a message in one attempt. Postfix: 5
pub const SERVERS_TRIED: usize = 5;
/// Addresses of one host among them while other hosts have none. RFC 5321 §5.1 asks for two in all.
pub const ADDRESSES_TRIED: usize = 2;
/// Recipients of one transaction with another server: so many every one takes. RFC 5321 §4.5.3.1.8
pub const TRANSACTION_RECIPIENTS: usize = 100;
/// Sessions to a destination of which nothing is known.
pub const SESSIONS_AT_FIRST: usize = 2;
/// Entries of one destination that are in memory to be sent next.
pub const WINDOW_ENTRIES: usize = 500;
/// Entries of a sender that are while nobody there has answered, beside those of the same message: as long as dead hosts are
/// waited for, their mail takes room from all the others.
pub const WINDOW_ENTRIES_AT_FIRST: usize = 4;
/// Entries of all destinations that are.
pub const WINDOWS_ENTRIES: usize = 10_000;
/// Senders of whom a destination knows apart where what found no room begins.
pub const LANES: usize = 256;
/// Entries of the minute that runs of which each is looked at to count those that are due.
pub const DUE_COUNTED: u64 = 1000;
/// Domains that are looked at for those with the most entries.
pub const LARGE_DOMAINS: usize = 1000;
/// Rules for mail on its way out.
pub const QUEUE_RULES: usize = 1000;
/// Senders that are known to have been served lately.
pub const SENDERS_IN_TURN: usize = 10_000;
/// Milliseconds by which a message of one sender goes before its others, for each step of its priority. RFC 6710 §5 leaves
/// it to the server.
pub const PRIORITY_STEP_MS: u64 = 2 * 60 * 1000;
/// Sessions in a row that reach nobody, after which the servers of a destination are left alone for a while.
pub const CIRCUIT_FAILURES: u32 = 3;
/// Milliseconds for which they are at first; twice as long with each try that fails.
pub const CIRCUIT_MS: u64 = 5000;
/// Milliseconds for which they are at most.
pub const CIRCUIT_MS_MAX: u64 = 60 * 1000;
/// Milliseconds in which a connection to a destination must be made of which nothing is known: one that does not answer
/// costs no more, and the next attempt waits for as long as is set.
pub const FIRST_CONNECT_MS: u64 = 8000;
/// Milliseconds after which a session that waits for the DNS, a connection or a greeting gives its place to another.
pub const PLACE_WAIT_MS: u64 = 300;
/// Sessions that have no place while they wait so.
pub const SESSIONS_ASIDE: usize = 1024;
/// Slices of the schedule that are looked at before the sessions are begun that come of them.
pub const SCHEDULE_SLICES: usize = 8;
/// Destinations of which something is known at a time.
pub const DESTINATIONS: usize = 10_000;
/// Servers of which it is known that they want to be left alone.
pub const RESTING_SERVERS: usize = 4096;
/// Milliseconds for which a server is tried last after its connection broke or it answered 421.
pub const RESTING_MS: u64 = 60 * 1000;
/// Milliseconds for which mail for a destination that can't be reached is postponed at most.
pub const TROUBLE_MS: u64 = 10 * 60 * 1000;
/// Milliseconds after which mail that has become due since, or that an operator wants to go, may try again, alone.
pub const TROUBLE_PROBE_MS: u64 = 1000;
/// Entries of the schedule that are looked at together.
pub const SCHEDULE_SLICE: usize = 500;
/// Milliseconds behind the last look within which the schedule is looked at again: what came in was stamped before it was
/// written.
pub const SCHEDULE_SLACK_MS: u64 = 10 * 1000;
/// Milliseconds after which the whole schedule is looked at, whatever happens.
pub const SCHEDULE_TICK_MS: u64 = 60 * 1000;
/// Outcomes of earlier messages that may wait for their commit while a session goes on.
pub const SETTLING: usize = 4;
/// Octets of a POP3 command line with its CRLF. RFC 2449 §4
pub const POP3_LINE_BYTES: usize = 255;
/// Octets of an IMAP command, its literals included, but for the messages of APPEND. RFC 7162 §4 asks for 8,192 a line;
/// sets of UIDs are longer.
pub const IMAP_COMMAND_BYTES: usize = 256 * 1024;
/// The same before a login.
pub const IMAP_COMMAND_BYTES_BEFORE_LOGIN: usize = 16 * 1024;
/// Octets of a literal that a client may send without waiting, before it has logged in. RFC 7888 §5
pub const LITERAL_MINUS_BYTES: u64 = 4096;
/// Octets of memory that the messages of one APPEND may take until they are committed together. Their bodies are in the
/// file by then where they are large.
pub const APPENDED_BYTES_HELD: usize = 32 * 1024 * 1024;
/// Parentheses, NOTs and ORs of an IMAP command inside each other.
pub const IMAP_DEPTH: usize = 50;
/// Items of a list in an IMAP command: search keys, fetch items, flags, patterns.
pub const IMAP_ITEMS: usize = 1000;
/// Wildcards of all patterns of a LIST command.
pub const LIST_WILDCARDS: usize = 100;
/// Ranges of a sequence set.
pub const SEQUENCE_RANGES: usize = 100_000;
/// Seconds that an IMAP server waits for the next command. RFC 9051 §5.4 asks for at least 1,800.
pub const IMAP_IDLE_S: u64 = 1800;
/// Different texts that one SEARCH looks for in messages (TEXT, BODY).
pub const IMAP_SEARCH_TEXTS: usize = 20;
/// Seconds that it waits for the next command of a client that has not logged in. Dovecot: 180
pub const IMAP_LOGIN_IDLE_S: u64 = 180;
/// Seconds in which a command must have come once it has begun, but for the messages of APPEND.
pub const IMAP_COMMAND_S: u64 = 300;
/// Octets of the line that ends IDLE.
pub const IDLE_LINE_BYTES: usize = 1024;
/// Seconds of silence after which a client that idles is sent a line, so that routers do not forget the connection.
pub const IMAP_KEEPALIVE_S: u64 = 120;
/// Mailboxes that stay in memory when their last session has closed them, for the program that comes back in a minute.
pub const VIEWS_KEPT: usize = 32;
/// Messages of all of them together: some 64 octets each.
pub const VIEWS_KEPT_MESSAGES: usize = 50_000;
/// Octets of a mailbox's name.
pub const MAILBOX_NAME_BYTES: usize = 1000;
/// Levels of a mailbox's name.
pub const MAILBOX_LEVELS: usize = 50;
/// Mailboxes of an account.
pub const MAILBOXES_PER_ACCOUNT: usize = 10_000;
/// Keywords of a mailbox: bits of a number. Cyrus: 128
pub const KEYWORDS: usize = 128;
/// Octets of a keyword.
pub const KEYWORD_BYTES: usize = 255;
/// Octets that a message of APPEND takes beyond itself until all are committed, roughly.
pub const APPENDED_MESSAGE_BYTES: usize = 2048;
/// Octets of an envelope that are kept of however short a header.
pub const FREE_SUMMARY_BYTES: usize = 4096;
/// Runs of UIDs that a change may have to be kept in the log of changes; what is more scattered ends the log there.
pub const LOGGED_RUNS: usize = 1000;
/// Rows of the log of changes that a mailbox keeps at least.
pub const MODSEQ_LOG_ROWS: u64 = 20_000;
/// Parts of a message inside each other. What is deeper is content.
pub const PART_DEPTH: usize = 50;
/// Parts of a message. What is more is content.
pub const PARTS: usize = 1000;
/// Octets of a part's header block that are looked at.
pub const PART_HEADER_BYTES: usize = 64 * 1024;
/// Octets of a field's value that an envelope or a body structure shows.
pub const SHOWN_FIELD_BYTES: usize = 16 * 1024;
/// Octets of a list of addresses in the form in which an envelope shows it.
pub const SHOWN_LIST_BYTES: usize = 64 * 1024;
/// Octets of field values that the body structure of one message shows in all, and what they cost to keep.
pub const SHOWN_STRUCTURE_BYTES: usize = 256 * 1024;
/// Parameters of one field that are shown.
pub const PARAMETERS: usize = 100;
/// Octets of a multipart's boundary that are looked at. RFC 2046 §5.1.1 allows 70.
pub const BOUNDARY_BYTES: usize = 200;
/// Octets of a text part, still encoded, in which its beginning is looked for.
pub const PREVIEW_BYTES: usize = 64 * 1024;
/// Octets of what is kept of a message for mail programs, beside it in each mailbox; what is longer is found anew when it
/// is asked for.
pub const SUMMARY_BYTES: usize = 32 * 1024;
/// Characters of a message's beginning in a list. RFC 8970 §3.1
pub const PREVIEW_CHARS: usize = 200;
/// Octets of a SASL response, encoded. RFC 4954 §4
pub const SASL_RESPONSE_BYTES: usize = 12_288;
/// Rounds of SCRAM-SHA-256 that we ask for, and the fewest that we do for a server. RFC 7677 §4
pub const SCRAM_ITERATIONS: u32 = 4096;
/// The most rounds that we do for a server: about 50 milliseconds of work.
pub const SCRAM_ITERATIONS_MAX: u32 = 100_000;
/// Octets of a SCRAM client's nonce. RFC 5802 names no limit; clients have 18 to 64.
pub const SCRAM_NONCE_BYTES: usize = 256;
/// Octets of a password. Argon2 takes more; nobody types more.
pub const PASSWORD_BYTES: usize = 1024;
/// Octets of a key that seals secrets at rest, at least; what is made has as many. 256 bits, as the cipher's keys have.
pub const KEY_BYTES_MIN: usize = 32;
/// Octets of a file with such keys, at most: room for hundreds.
pub const KEY_FILE_BYTES: u64 = 64 * 1024;
/// Connections of one address at a time.
pub const CONNECTIONS_PER_ADDRESS: usize = 20;
/// Connections of one network (/24 or /64) at a time.
pub const CONNECTIONS_PER_NETWORK: usize = 100;
/// Mail connections in all at a time.
pub const CONNECTIONS_TOTAL: usize = 2000;
/// Percent of all connections in use from which on the unauthenticated are waited for [`PRESSED_IDLE_S`] only.
pub const PRESSURE_PERCENT: usize = 80;
/// Seconds that the unauthenticated may be silent under pressure.
pub const PRESSED_IDLE_S: u64 = 60;
/// Percent of all connections in use from which on it is [`STRESSED_IDLE_S`].
pub const STRESS_PERCENT: usize = 95;
/// Seconds that the unauthenticated may be silent under stress. Postfix: 10 s
pub const STRESSED_IDLE_S: u64 = 10;
/// Levels that aliases may lead through.
pub const ALIAS_DEPTH: usize = 10;
/// Members that one address may expand to.
pub const ALIAS_MEMBERS: usize = 1000;
/// Octets of the file of `delivery.ca_file`: a hundred times what a company's CAs take.
pub const CA_FILE_BYTES: u64 = 1024 * 1024;
/// Addresses that are looked at to see whether an alias or a forward leads back to itself: ten times what one may expand
/// to.
pub const CIRCLE_ADDRESSES: usize = 10 * ALIAS_MEMBERS;
/// Milliseconds for which an unconfirmed message is remembered: 5 days.
pub const UNCONFIRMED_MS: u64 = 5 * 24 * 60 * 60 * 1000;
/// Octets of all bodies in memory at a time.
pub const BODIES_IN_MEMORY_BYTES: usize = 32 * 1024 * 1024;
/// Octets of a body above which its chunks go to the file as pending.
pub const PENDING_BODY_BYTES: usize = 1024 * 1024;
/// Octets that a session may hold of what came and is not yet used: the longest line and one read.
pub const INPUT_BYTES: usize = 64 * 1024;
/// Events of the trace that one transaction looks at to prune it.
pub const PRUNED_EVENTS: usize = 500;
/// Seconds between two prunings of the trace.
pub const PRUNE_EVERY_S: u64 = 3600;
/// Octets of a message's header that a report on its delivery repeats.
pub const REPORTED_HEADER_BYTES: usize = 32 * 1024;
/// Octets of a message that a report returns as a whole where its sender wants that: of a longer one it repeats the header
/// (RFC 3461 §4.3).
pub const RETURNED_BYTES: u64 = 64 * 1024;
/// Characters of a header field's value that the trace keeps.
pub const TRACED_HEADER_CHARS: usize = 998;
/// Octets of a dialogue that the trace keeps with an attempt or a refusal.
pub const TRACED_TRANSCRIPT_BYTES: usize = 8 * 1024;
/// Recipients of a refused message that the trace tells of, and of a message in a list.
pub const TRACED_RECIPIENTS: usize = 20;
/// Characters of a user name, or of what stands where an address should be, that the trace keeps.
pub const TRACED_LOGIN_CHARS: usize = 320;
/// Events that the trace tells of the refusals of one session in which nobody has logged in; more are counted. More than
/// [`UNKNOWN_RECIPIENTS_HARD`], so that each of those is found.
pub const TRACED_SESSION_REFUSALS: usize = 50;
/// Dialogues that the trace keeps of such a session, one for each message.
pub const TRACED_SESSION_DIALOGUES: u32 = 4;
/// Octets, roughly, of all that the trace tells of refusals of clients that have not logged in: the oldest go first.
pub const TRACED_STRANGERS_BYTES: u64 = 64 * 1024 * 1024;
/// Stories of such refusals that one transaction removes.
pub const PRUNED_REFUSALS: usize = 64;
/// Events of a story up to which each is kept; beyond, what is alike is counted.
pub const TRACED_STORY_EVENTS: u32 = 200;
/// Events between two looks at what is alike in a long story.
pub const TRACED_STORY_STEP: u32 = 50;
/// Events of a long story that are alike and are kept: the first ones, and the last.
pub const TRACED_ALIKE: usize = 5;
/// Milliseconds within which it is not told again that a message was fetched by the same account.
pub const FETCHED_AGAIN_MS: u64 = 60 * 60 * 1000;
/// Stories that one request looks at for those that it wants.
pub const STORIES_LOOKED_AT: usize = 2000;
/// Ops that one transaction takes together.
pub const BATCH_OPS: usize = 512;
/// Octets of rows that one transaction takes together, roughly; a batch above it breaks the memory budget.
pub const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// The same where the disk has next to no room left: the ballast is to outlast several.
pub const TIGHT_BATCH_BYTES: usize = 512 * 1024;
/// Ops that may wait for the writer; who comes then, waits to wait.
pub const QUEUED_OPS: usize = 1024;
/// Ops that ride and are expendable, and may wait for the writer before more of them are dropped, and counted.
pub const RIDING_OPS: usize = 65_536;
/// Octets of them, roughly.
pub const RIDING_BYTES: usize = 16 * 1024 * 1024;
/// Octets of them that one transaction takes along, roughly: others wait for it.
pub const RIDING_BATCH_BYTES: usize = 256 * 1024;
/// Milliseconds after which a riding op gets a batch of its own.
pub const RIDE_WAIT_MS: u64 = 1000;
/// Milliseconds without a batch after which the writer makes the file open at once after a crash.
pub const WRITER_IDLE_MS: u64 = 250;
/// Milliseconds without a batch after which it notes in the file what may be a little old after a crash.
pub const WRITER_REST_MS: u64 = 10_000;
/// Seconds after which a view of the file that is still open is named in the log: it keeps pages from being used again.
pub const OLD_VIEW_S: u64 = 30;
/// Threads that run longer reads.
pub const READER_THREADS: usize = 2;
/// Topics that a watcher may be behind before it is told to look at everything.
pub const WATCH_TOPICS: usize = 1024;
/// Octets of a body that are compressed as one frame.
pub const FRAME_BYTES: usize = 128 * 1024;
/// Octets of a body that it may always hold in memory, even when the budget of all bodies is used up.
pub const BODY_ALLOWANCE_BYTES: usize = 16 * 1024;
/// Octets of a body from which on it is looked for among the bodies that are already there.
pub const SHARED_BODY_BYTES: u64 = 32 * 1024;
/// Chunks of unreferenced bodies that one transaction removes.
pub const REAPED_CHUNKS: usize = 500;
/// Milliseconds without a batch after which it does.
pub const REAP_IDLE_MS: u64 = 20;
/// Octets of a JSON body of the REST interface.
pub const JSON_BODY_BYTES: usize = 1024 * 1024;
/// Octets of a JSON body of somebody who has not shown yet who they are: to log in, to set up.
pub const PUBLIC_BODY_BYTES: usize = 8 * 1024;
/// Names and values that a JSON body has: the worst of them take some 200 octets each once they are read.
pub const JSON_VALUES: usize = 100_000;
/// The same of the body that has a whole state: forty for each of [`STATE_OBJECTS`].
pub const STATE_VALUES: usize = 40 * STATE_OBJECTS;
/// Levels of nesting that a JSON body has.
pub const JSON_LEVELS: usize = 32;
/// Octets of the JSON body that has a whole state.
pub const STATE_BODY_BYTES: usize = 16 * 1024 * 1024;
/// Things that a state may name.
pub const STATE_OBJECTS: usize = 10_000;
/// Octets of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_BYTES: usize = 255;
/// Milliseconds for which an answer is kept for its `Idempotency-Key`.
pub const IDEMPOTENCY_MS: u64 = 24 * 60 * 60 * 1000;
/// Answers that are kept so; the oldest go first.
pub const IDEMPOTENT_ANSWERS: u64 = 10_000;
/// The same of one caller.
pub const IDEMPOTENT_ANSWERS_PER_CALLER: usize = 1000;
/// Octets of such an answer.
pub const IDEMPOTENT_ANSWER_BYTES: usize = 1024 * 1024;
/// Seconds within which a JSON body must have come.
pub const JSON_BODY_S: u64 = 30;
/// Items of one page of a list, where the request does not say.
pub const PAGE_ITEMS: usize = 100;
/// Items of one page of a list at most.
pub const PAGE_ITEMS_MAX: usize = 500;
/// Items up to which a list is counted.
pub const COUNT_MAX: usize = 10_000;
/// HTTP connections at a time, over all listeners.
pub const HTTP_CONNECTIONS: usize = 512;
/// Of these, those of one address. A browser opens up to six; a proxy on another machine belongs to
/// `limits.exempt_networks`.
pub const HTTP_CONNECTIONS_PER_ADDRESS: usize = 96;
/// Of these, those of one /24 or /64.
pub const HTTP_CONNECTIONS_PER_NETWORK: usize = 192;
/// Seconds within which an HTTP request's header must have come.
pub const HTTP_HEADER_S: u64 = 10;
/// Seconds for which an HTTP connection may be silent between two requests.
pub const HTTP_IDLE_S: u64 = 30;
/// Password hashes that are verified at a time: a flood of logins can't take every core.
pub const PASSWORD_HASHES_AT_ONCE: usize = 2;
/// Logins that may wait for one of them; more are told to come back.
pub const PASSWORD_HASHES_WAITING: usize = 32;
/// Logins from one network (/24 or /64) among these.
pub const PASSWORD_HASHES_OF_NETWORK: usize = 4;
/// Milliseconds that a login waits for its answer when there is no place for it: trying again at once gains nothing.
pub const BUSY_LOGIN_DELAY_MS: u64 = 1000;
/// KiB of memory of an argon2id hash. RFC 9106 §4 and OWASP's table of equal costs
pub const ARGON2_MEMORY_KIB: u32 = 19 * 1024;
/// Passes of an argon2id hash.
pub const ARGON2_PASSES: u32 = 2;
/// KiB of memory that verifying an imported argon2id hash may take.
pub const IMPORTED_ARGON2_MEMORY_KIB: u32 = 64 * 1024;
/// KiB that verifying an imported argon2id hash may fill in all its passes.
pub const IMPORTED_ARGON2_WORK_KIB: u64 = 1024 * 1024;
/// Cost of an imported bcrypt hash: 2^cost rounds.
pub const IMPORTED_BCRYPT_COST: u32 = 14;
/// Rounds of an imported sha512-crypt hash.
pub const IMPORTED_SHA512_ROUNDS: u32 = 500_000;
/// Milliseconds for which a verified login is remembered.
pub const LOGIN_CACHE_MS: u64 = 5 * 60 * 1000;
/// Verified logins that are remembered.
pub const LOGIN_CACHE_ENTRIES: usize = 4096;
/// Milliseconds within which a second use of an account or token is not noted again.
pub const LAST_USE_MS: u64 = 60 * 1000;
/// Sessions of the admin page that an account has at a time; the oldest goes for a new one.
pub const WEB_SESSIONS_PER_ACCOUNT: usize = 32;
/// Octets of a browser's name that are kept of a session.
pub const USER_AGENT_BYTES: usize = 200;
/// App passwords of an account: each is compared at a login.
pub const APP_PASSWORDS_PER_ACCOUNT: usize = 50;
/// Milliseconds for which the link to set the server up is good.
pub const SETUP_LINK_MS: u64 = 60 * 60 * 1000;
/// Logins by REST, and uses of tokens that are not good, of one address (or /64) in a minute.
pub const HTTP_LOGINS_PER_ADDRESS: u32 = 10;
/// Logins by REST to one account in a minute, from addresses that it has not logged in from.
pub const HTTP_LOGINS_PER_ACCOUNT: u32 = 20;
/// Callers of each kind whose rates are kept; what comes beyond shares one rate.
pub const LIMITER_KEYS: usize = 10_000;
/// Octets of JSON that the audit keeps of a thing, before and after a change each.
pub const AUDIT_SHOWN_BYTES: usize = 16 * 1024;
/// Rows of the audit that one transaction forgets.
pub const AUDIT_SLICE: usize = 500;
/// Octets of a text for people: a display name, a note, a token's name.
pub const NOTE_BYTES: usize = 1000;
/// Entries of a list that an administrator sets: roles, domain aliases, networks.
pub const LIST_ENTRIES: usize = 100;
/// Characters that the content of a token file must have at least.
pub const FILE_TOKEN_CHARS: usize = 32;
/// Octets of a dialogue that is kept.
pub const TRANSCRIPT_BYTES: usize = 64 * 1024;
/// Sessions with peers that are kept.
pub const TURN_SESSIONS_KEPT: usize = 1000;
/// Ended jobs that are kept.
pub const JOBS_KEPT: usize = 1000;
/// Jobs that run at a time.
pub const JOBS_RUNNING: usize = 16;
/// Jobs that may wait for others to end; more are told to come back.
pub const JOBS_WAITING: usize = 64;
/// Seconds that a cancelled job gets to end by itself.
pub const JOB_CANCEL_S: u64 = 30;
/// Characters of a server's words that are kept of an attempt.
pub const WORDS_CHARS: usize = 1000;
/// Octets of a route's name.
pub const ROUTE_NAME_BYTES: usize = 64;
/// Octets of one line of a server's reply that are kept; what is longer is cut. RFC 5321 §4.5.3.1.5 has 512.
pub const REPLY_LINE_BYTES: usize = 4096;
/// Octets of a server's whole reply, beyond which the session is given up.
pub const REPLY_BYTES: usize = 64 * 1024;
/// Lines of a server's reply, beyond which the session is given up.
pub const REPLY_LINES: usize = 200;
/// Commands that a client sends before it reads what is answered, so that neither side waits for the other with full
/// buffers. RFC 2920 §3.1
pub const PIPELINED_COMMANDS: usize = 50;
/// Octets of a command line up to which AUTH carries its initial response. RFC 4954 §4, RFC 5321 §4.5.3.1.4
pub const AUTH_INITIAL_LINE_BYTES: usize = 512;
/// Seconds that a client waits for the answer to QUIT: nothing depends on it any more.
pub const QUIT_REPLY_S: u64 = 10;
/// Characters of a peer's name.
pub const PEER_NAME_CHARS: usize = 64;
/// Milliseconds within which ETRN for the same domain does nothing more. Postfix's fast flush: 10 minutes
pub const ETRN_PAUSE_MS: u64 = 10 * 60 * 1000;
/// Queue entries that ETRN releases in one transaction.
pub const ETRN_SLICE: usize = 500;
/// Seconds between two sessions with a peer that are begun by a schedule, at least: schedules are looked at each minute.
pub const SCHEDULE_EVERY_S_MIN: u32 = 60;
/// The same, at most: a week.
pub const SCHEDULE_EVERY_S_MAX: u32 = 7 * 24 * 60 * 60;
/// Octets of a line of cron.
pub const CRON_BYTES: usize = 100;
/// Seconds of a session with a peer, both of its directions together: no message is begun after that.
pub const TURN_SESSION_S: u64 = 30 * 60;
/// Seconds that a client waits for the greeting, and for the answer to a command. RFC 5321 §4.5.3.2.1 to §4.5.3.2.3
pub const CLIENT_REPLY_S: u64 = 5 * 60;
/// Seconds that a client waits for the answer to DATA. RFC 5321 §4.5.3.2.4
pub const CLIENT_DATA_S: u64 = 2 * 60;
/// Seconds that a server may take for a block of the message. RFC 5321 §4.5.3.2.5
pub const CLIENT_BLOCK_S: u64 = 3 * 60;
/// Seconds that a client waits for the answer to the end of data. RFC 5321 §4.5.3.2.6
pub const CLIENT_END_S: u64 = 10 * 60;
/// Seconds that a client waits for the answer to TURN and ATRN: the server may look through its queue. RFC 2645 §5.2.1
pub const CLIENT_TURN_S: u64 = 10 * 60;
/// Queue entries that one transaction of a flush or of an action on many looks at.
pub const QUEUE_SLICE: usize = 200;
/// Items that a dry run shows.
pub const PREVIEW_ITEMS: usize = 20;
/// Events that are kept for readers who come back.
pub const EVENTS_KEPT: usize = 10_000;
/// Octets that they may take in memory, roughly.
pub const EVENTS_KEPT_BYTES: usize = 8 * 1024 * 1024;
/// Milliseconds for which events are kept once the last reader has gone.
pub const EVENTS_KEPT_MS: u64 = 60 * 1000;
/// Readers of events at a time.
pub const EVENT_STREAMS: usize = 256;
/// Readers of events at a time with one token or session. A tab that is closed or reloaded counts until two comments could
/// not be written to it, so that somebody who is quick has more of them than tabs.
pub const EVENT_STREAMS_PER_CALLER: usize = 64;
/// Seconds between two comments in a stream of events: proxies cut what is silent for a minute, and a reader who has gone
/// is known by them.
pub const EVENTS_PING_S: u64 = 5;
/// Milliseconds after which a reader of events whose stream has ended shall come back.
pub const EVENTS_RETRY_MS: u64 = 2000;
/// Seconds that a reader of events may ask for.
pub const EVENTS_SECONDS_MAX: u64 = 24 * 60 * 60;
/// Octets of a message's text that the REST interface shows; the part itself gives all of it.
pub const SHOWN_TEXT_BYTES: usize = 256 * 1024;
/// Characters of a header field's value that the REST interface shows.
pub const SHOWN_HEADER_CHARS: usize = 4000;
/// Fields of a message's header that the REST interface shows.
pub const SHOWN_HEADER_FIELDS: usize = 1000;
/// Seconds within which a message must have come that is sent or put into a mailbox over REST.
pub const HTTP_MESSAGE_S: u64 = 10 * 60;
/// Seconds between two writings of what came and went.
pub const TRAFFIC_SAVED_S: u64 = 60;
/// Seconds between two looks at how the server does, while somebody follows its events.
pub const HEALTH_LOOK_S: u64 = 10;
/// Lines of the log that are kept in memory.
pub const LOG_LINES_KEPT: usize = 5000;
/// Octets that they may take, roughly.
pub const LOG_KEPT_BYTES: usize = 4 * 1024 * 1024;
/// Fields of a line that are kept.
pub const LOG_FIELDS: usize = 32;
/// Characters of a field of a line that are kept.
pub const LOG_FIELD_CHARS: usize = 1000;
/// Seconds that whoever disables an account waits at most until its queued mail was gone through once.
pub const HOLD_WAIT_S: u64 = 20;
/// Octets of heads of messages that one deletion keeps for redelivery: with more, a large mailbox that is emptied would
/// take the room of its own transaction from a disk that is nearly full.
pub const KEPT_AT_ONCE_BYTES: usize = 16 * 1024 * 1024;
/// Messages that one transaction removes from a mailbox: others wait for it no longer than for a full batch.
pub const EXPUNGED_AT_ONCE: usize = 500;
/// Messages that one transaction moves into another mailbox.
pub const MOVED_AT_ONCE: usize = 500;
/// Messages of deleted mailboxes that one transaction removes; rows of their logs count as messages, and so do the
/// mailboxes of a deleted account.
pub const SWEPT_MESSAGES: usize = 250;
/// Octets of heads that it keeps of them before it leaves the rest to the next.
pub const SWEPT_HEADS_BYTES: usize = 2 * 1024 * 1024;
/// Messages that are kept for redelivery and that one transaction forgets.
pub const REAPED_MESSAGES: usize = 200;
/// Seconds between two looks at which of them are to be forgotten.
pub const REAP_EVERY_S: u64 = 60;
/// Seconds that a call waits for a message to arrive, where it does not say.
pub const WAIT_S: u64 = 30;
/// Seconds that a call may wait for a message to arrive.
pub const WAIT_S_MAX: u64 = 60;
/// Milliseconds before such a call from which on messages count as arriving.
pub const WAIT_BACK_MS: u64 = 60 * 1000;
/// Of each mailbox, the newest messages that such a call looks at.
pub const WAIT_LOOKS_AT: usize = 200;
/// Bodies of JSON beyond [`JSON_BODY_BYTES`] that are in memory at a time: messages with their attachments, large states.
pub const LARGE_JSON_AT_ONCE: usize = 2;
/// Messages of a backup's mailbox that are looked at together by whoever brings some back, some 10 MB: the account is gone
/// through once for those that were moved since, to see which of them it still has. In unit tests few, so that there are
/// several such slices.
pub const RESTORE_LOOKED_AT: usize = if cfg!(test) { 100 } else { 50_000 };
/// UIDs that one request to bring messages back may name.
pub const RESTORE_UIDS: usize = 10_000;
/// Messages that come back from a backup in one transaction.
pub const RESTORED_AT_ONCE: usize = 200;
/// Octets of such messages in memory, and in one transaction, roughly: the last may be longer.
pub const RESTORED_AT_ONCE_BYTES: usize = 4 * 1024 * 1024;
/// Of what stood in the way of a restore, the entries that its result lists; all are counted.
pub const RESTORE_LISTED: usize = 20;
/// Seconds between two looks whether the daily backup, or a compaction, is due. Ours.
pub const SCHEDULES_LOOK_S: u64 = 60;
/// Octets of a file that is compacted by itself when most of it is free: of a smaller one there is little to give back.
pub const COMPACTED_FILE_BYTES: u64 = 1024 * 1024 * 1024;
/// Seconds for which nothing may come of a backup that is uploaded. Ours: it may be of any size.
pub const UPLOAD_STALL_S: u64 = 60;
/// Seconds for which a client may take nothing of a copy that is made for it: so long the copy takes the disk's room. Ours.
pub const DOWNLOAD_STALL_S: u64 = 300;
/// Milliseconds in which a backup that is uploaded must have come whole: while it comes, no other restore begins. Ours: 10 GB
/// at 4 Mbit/s.
pub const UPLOAD_MS: u64 = 6 * 60 * 60 * 1000;
/// Findings of a check that are listed; more are counted.
pub const FINDINGS_LISTED: usize = 1000;
/// Ids of messages or bodies that a check counts the references to at a time, some 25 MB; the next go through the file
/// again. In unit tests few, so that they have several passes.
pub const TALLIED_AT_ONCE: usize = if cfg!(test) { 1000 } else { 900_000 };
/// Findings that a repair mends before it checks again.
pub const MENDED_AT_ONCE: usize = 100_000;
/// Findings that a repair mends in one transaction.
pub const MENDED_IN_ONE_TRANSACTION: usize = 1000;
/// Times that a repair checks and mends: what is found behind what was mended is mended too.
pub const REPAIR_ROUNDS: usize = 16;
/// Days for which an address of ours stands for a sender elsewhere: mail may be queued for five days here and for five
/// more where it is forwarded to. PostSRSd and libsrs2: 21
pub const SRS_DAYS: u32 = 21;
/// Senders of one day that are kept since they are too long for such an address, some 150 octets each.
pub const SRS_SENDERS_A_DAY: u32 = 20_000;
/// Of those whose time is over, how many go when one comes.
pub const SRS_FORGOTTEN_AT_ONCE: usize = 50;
/// Signatures of a message that are verified. RFC 6376 §6.1 leaves it to the verifier.
pub const DKIM_SIGNATURES: usize = 8;
/// Names of fields that one signature covers, of a message that comes in: RFC 6376 §5.4.2 lets a signer name one more often than
/// it is there.
pub const SIGNED_FIELDS: usize = 500;
/// ARC sets of a message. RFC 8617 §4.2.1
pub const ARC_SETS: usize = 50;
/// Questions to the DNS about who a message is from. RFC 7208 §4.6.4 allows SPF 10 mechanisms that ask, and each MX ten more.
pub const TRUST_LOOKUPS: usize = 60;
/// Milliseconds in which they must be answered: the sender waits for its 250.
pub const TRUST_MS: u64 = 5000;
/// Lookups of SPF that may lead to nothing. RFC 7208 §4.6.4
pub const SPF_VOID_LOOKUPS: usize = 2;
/// Octets of a DKIM selector. RFC 1035 §2.3.4: a label; ours may have dots in it, and is no longer for that.
pub const DKIM_SELECTOR_BYTES: usize = 63;
/// DKIM keys of one domain: two that sign, two to come, and those that retire. All that sign make a signature each.
pub const DKIM_KEYS_PER_DOMAIN: usize = 16;
/// DKIM keys that are kept ready to sign, some 3 KB each.
pub const DKIM_KEYS_READY: usize = 4096;
/// Milliseconds for which a DKIM key that signs no more has to stay in the DNS at least, also when the last mail that it
/// may have signed has left the queue: some verify when a message is read, or forwarded. RFC 6376 §3.1 asks for a
/// reasonable time.
pub const DKIM_RETIRED_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// Seconds between two looks at the DNS for keys that are to be published.
pub const DKIM_LOOK_S: u64 = 5 * 60;
/// Milliseconds between two looks at the DNS for keys that sign: a record that has gone is told.
pub const DKIM_RECHECK_MS: u64 = 6 * 60 * 60 * 1000;
/// Seconds that the first keys of a new domain wait for: several domains that come together are gone through once.
pub const DKIM_FIRST_KEYS_S: u64 = 2;
/// DKIM keys that are looked at before the next are read.
pub const DKIM_SLICE: usize = 200;
/// Milliseconds within which a domain's records must have been looked for that somebody wants to see: the others are shown
/// as not known.
pub const DNS_RECORDS_MS: u64 = 8000;
/// Questions for them at a time.
pub const DNS_RECORDS_AT_ONCE: usize = 8;
/// TXT records of a name that are read; what is beyond is nothing of ours.
pub const TXT_RECORDS: usize = 50;
/// TLSA records of a server that are read.
pub const TLSA_RECORDS: usize = 50;
/// Answers of the DNS that are remembered of which it is verified that there is nothing.
pub const DNS_DENIALS: usize = 4096;
/// Questions after which all that is remembered of verified signatures is forgotten.
pub const DNSSEC_QUESTIONS: usize = 10_000;
/// Questions that are asked for the links of one chain of CNAME and DNAME records, where they are asked for one by one.
pub const DNSSEC_LINK_QUESTIONS: usize = 24;
/// Seconds after which the name servers are asked again whether they pass on the signatures of DNSSEC.
pub const DNSSEC_PROBE_S: u64 = 5 * 60;
/// Seconds that they have for it: the first mail waits for the answer.
pub const DNSSEC_PROBE_ANSWER_S: u64 = 5;
/// Seconds for which name servers that have passed on the signatures of DNSSEC are held to it.
pub const DNSSEC_ABLE_S: u64 = 24 * 60 * 60;
/// Octets of a TXT record that are read. RFC 1035 §3.3.14 lets it be of 64 KiB.
pub const TXT_BYTES: usize = 8 * 1024;
/// Octets of the id of an MTA-STS policy. RFC 8461 §3.1
pub const STS_ID_BYTES: usize = 32;
/// Seconds for which an MTA-STS policy holds at most. RFC 8461 §3.2
pub const STS_MAX_AGE_S: u64 = 31_557_600;
/// Seconds for which a policy of ours holds that is enforced. RFC 8461 §3.2: weeks or more
pub const STS_OWN_ENFORCE_S: u64 = 14 * 24 * 60 * 60;
/// The same for one that is tried, or that ends older ones. RFC 8461 §8.3: a short time, as a day
pub const STS_OWN_TESTING_S: u64 = 24 * 60 * 60;
/// Servers, or patterns of them, that an MTA-STS policy may name.
pub const STS_MX: usize = 100;
/// MTA-STS policies that are kept.
pub const STS_POLICIES: usize = 10_000;
/// Milliseconds after which an MTA-STS policy is fetched anew, before it expires. RFC 8461 §3.3 suggests once a day.
pub const STS_REFRESH_MS: u64 = 24 * 60 * 60 * 1000;
/// Milliseconds without mail after which an MTA-STS policy is not fetched anew any more: it expires.
pub const STS_UNUSED_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// Milliseconds after a failed fetch of an MTA-STS policy before the next. RFC 8461 §3.3: five minutes or longer
pub const STS_AGAIN_MS: u64 = 5 * 60 * 1000;
/// Failed fetches of MTA-STS policies that are remembered.
pub const STS_FAILURES: usize = 10_000;
/// MTA-STS policies that are looked at before the next are read.
pub const STS_SLICE: usize = 200;
/// Octets that are fetched from another web server. RFC 8461 §3.3 suggests 64 KiB for a policy.
pub const FETCH_BYTES: usize = 64 * 1024;
/// Seconds that a fetch may take. RFC 8461 §3.3 suggests a minute.
pub const FETCH_S: u64 = 60;
/// Domains of which it is noted on one day what came of TLS at their servers.
pub const TLS_RESULT_DOMAINS: usize = 5_000;
/// Policies of a domain of which that is noted on one day.
pub const TLS_RESULT_POLICIES: usize = 16;
/// Kinds of failure by one policy that are told apart on one day, each at one server.
pub const TLS_RESULT_DETAILS: usize = 50;
/// TLSA records of a server that are told.
pub const TLS_RESULT_RECORDS: usize = 16;
/// Octets of what is noted of a failure beside its kind.
pub const TLS_RESULT_REASON_BYTES: usize = 100;
/// Days after which what nobody could be told is forgotten.
pub const TLS_RESULT_DAYS: u64 = 2;
/// Addresses that a domain's report on TLS is sent to.
pub const TLS_REPORT_ADDRESSES: usize = 4;
/// Milliseconds after midnight before which no report on TLS goes: what the day's last sessions show is written by then.
pub const TLS_REPORT_REST_MS: u64 = 60 * 60 * 1000;
/// Milliseconds after that over which the reports are spread. RFC 8460 §4.1: perhaps several hours
pub const TLS_REPORT_SPREAD_MS: u64 = 4 * 60 * 60 * 1000;
/// Seconds between two looks for reports on TLS that are due.
pub const TLS_REPORT_LOOK_S: u64 = 10 * 60;
/// Domains and days that are looked at before the next are read.
pub const TLS_REPORT_SLICE: usize = 200;
