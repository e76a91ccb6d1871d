//! Commands at random, by the grammar of RFC 9051 §9 and its extensions.

use proptest::prelude::*;

/// A command of a form that imap-codec knows too.
pub(super) fn command() -> BoxedStrategy<String> {
    let plain = prop::sample::select(vec![
        "CAPABILITY",
        "NOOP",
        "LOGOUT",
        "STARTTLS",
        "NAMESPACE",
        "IDLE",
        "CHECK",
        "CLOSE",
        "UNSELECT",
        "EXPUNGE",
        "ID NIL",
        "COMPRESS DEFLATE",
        "ENABLE CONDSTORE",
        "ENABLE CONDSTORE UTF8=ACCEPT",
        "AUTHENTICATE PLAIN",
        "AUTHENTICATE PLAIN AGEAYg==",
        "AUTHENTICATE LOGIN =",
    ]);
    let one = prop::sample::select(vec!["DELETE", "SUBSCRIBE", "UNSUBSCRIBE", "CREATE", "GETQUOTA", "GETQUOTAROOT"]);
    let any = prop_oneof![
        plain.prop_map(str::to_owned),
        (one, astring()).prop_map(|(verb, name)| format!("{verb} {name}")),
        (astring(), astring()).prop_map(|(user, password)| format!("LOGIN {user} {password}")),
        (astring(), astring()).prop_map(|(from, to)| format!("RENAME {from} {to}")),
        (prop::sample::select(vec!["SELECT", "EXAMINE"]), astring(), "( \\(CONDSTORE\\))?")
            .prop_map(|(verb, name, parameters)| format!("{verb} {name}{parameters}")),
        (prop::sample::select(vec!["LIST", "LSUB"]), astring(), pattern())
            .prop_map(|(verb, reference, pattern)| format!("{verb} {reference} {pattern}")),
        (astring(), status_items()).prop_map(|(name, items)| format!("STATUS {name} {items}")),
        prop::collection::vec((string(), prop_oneof![Just("NIL".to_owned()), string()]), 1..4).prop_map(|pairs| {
            let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| format!("{name} {value}")).collect();
            format!("ID ({})", pairs.join(" "))
        }),
        (astring(), "(\\(\\)|\\(STORAGE [0-9]{1,9}\\))").prop_map(|(root, limits)| format!("SETQUOTA {root} {limits}")),
        (uid(), set(), prop::sample::select(vec!["COPY", "MOVE"]), astring())
            .prop_map(|(uid, set, verb, name)| format!("{uid}{verb} {set} {name}")),
        set().prop_map(|set| format!("UID EXPUNGE {set}")),
        (uid(), set(), fetch_items(), "( \\(CHANGEDSINCE [1-9][0-9]{0,17}\\))?")
            .prop_map(|(uid, set, items, since)| format!("{uid}FETCH {set} {items}{since}")),
        (uid(), set(), "(\\(UNCHANGEDSINCE [0-9]{1,18}\\) )?[+-]?FLAGS(\\.SILENT)?", flags())
            .prop_map(|(uid, set, change, flags)| format!("{uid}STORE {set} {change} {flags}")),
        (uid(), "(CHARSET (UTF-8|\"US-ASCII\") )?", prop::collection::vec(key(), 1..4))
            .prop_map(|(uid, charset, keys)| format!("{uid}SEARCH {charset}{}", keys.join(" "))),
        (astring(), "(\\((\\\\Seen|\\$a|\\\\Flagged x)?\\) )?", date_time(), message())
            .prop_map(|(name, flags, date, message)| format!("APPEND {name} {flags}{date}{message}")),
    ];
    (any, 0..3_usize).prop_map(|(command, case)| in_case(&format!("A {command}\r\n"), case)).boxed()
}

/// A command of a form that imap-codec does not know.
pub(super) fn extended() -> BoxedStrategy<String> {
    let options =
        prop::sample::select(vec!["()", "(SUBSCRIBED)", "(SUBSCRIBED RECURSIVEMATCH)", "(SPECIAL-USE REMOTE)"]);
    let option = prop_oneof![
        prop::sample::select(vec!["SUBSCRIBED", "CHILDREN", "SPECIAL-USE"]).prop_map(str::to_owned),
        status_items().prop_map(|items| format!("STATUS {items}")),
    ];
    let returns = prop::collection::vec(option, 0..4).prop_map(|options| format!(" RETURN ({})", options.join(" ")));
    let patterns = prop::collection::vec(pattern(), 1..4).prop_map(|patterns| format!("({})", patterns.join(" ")));
    prop_oneof![
        (options, astring(), patterns, returns).prop_map(|(options, reference, patterns, returns)| format!(
            "LIST {options} {reference} {patterns}{returns}"
        )),
        (uid(), "(MIN|MAX COUNT|ALL|MIN MAX ALL COUNT)?", key())
            .prop_map(|(uid, options, key)| format!("{uid}SEARCH RETURN ({options}) {key}")),
        (astring(), "(\\\\Sent|\\\\Junk \\\\Trash)?").prop_map(|(name, uses)| format!("CREATE {name} (USE ({uses}))")),
        (astring(), prop::collection::vec(message(), 1..4))
            .prop_map(|(name, messages)| format!("APPEND {name} {}", messages.join(" "))),
    ]
    .prop_map(|command| format!("A {command}\r\n"))
    .boxed()
}

/// Lower case, as it stands, or every other letter in lower case.
fn in_case(command: &str, case: usize) -> String {
    let change = |(at, char): (usize, char)| {
        if case == 1 || (case == 2 && at % 2 == 0) { char.to_ascii_lowercase() } else { char }
    };
    command.chars().enumerate().map(change).collect()
}

fn uid() -> &'static str {
    "(UID )?"
}

fn number() -> &'static str {
    "[1-9][0-9]{0,8}"
}

fn set() -> impl Strategy<Value = String> + Clone {
    let star = prop_oneof![4 => number().boxed(), 1 => Just("*".to_owned()).boxed()];
    let range = prop_oneof![star.clone(), (star.clone(), star).prop_map(|(first, last)| format!("{first}:{last}"))];
    prop::collection::vec(range, 1..4).prop_map(|ranges| ranges.join(","))
}

fn astring() -> BoxedStrategy<String> {
    prop_oneof![2 => "[a-zA-Z0-9.@_/&,+'|~\\[\\]=<>-]{1,10}".boxed(), 1 => Just("inbox".to_owned()).boxed(), 2 => string()].boxed()
}

fn string() -> BoxedStrategy<String> {
    prop_oneof!["\"([a-zA-Z0-9 (){}%*!\\[\\]/;:=-]|\\\\\"|\\\\\\\\){0,10}\"".boxed(), message()].boxed()
}

/// A literal.
fn message() -> BoxedStrategy<String> {
    ("[ -~\r\n]{0,12}", "\\+?").prop_map(|(text, plus)| format!("{{{}{plus}}}\r\n{text}", text.len())).boxed()
}

fn pattern() -> BoxedStrategy<String> {
    prop_oneof!["[a-zA-Z0-9.%*/]{1,8}".boxed(), string()].boxed()
}

fn date_time() -> &'static str {
    "(\"( [1-9]|1[0-9]|2[0-8])-(Jan|Feb|Nov)-(19[789]|20[0-9])[0-9] (0[0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9] [+-](0[0-9]|1[01])[0-5][0-9]\" )?"
}

fn date() -> &'static str {
    "([1-9]|0[1-9]|[12][0-8])-(Jan|Feb|Apr|Dec)-(1[0-9]|20)[0-9][0-9]"
}

fn status_items() -> impl Strategy<Value = String> {
    let items = vec![
        "MESSAGES",
        "RECENT",
        "UIDNEXT",
        "UIDVALIDITY",
        "UNSEEN",
        "DELETED",
        "DELETED-STORAGE",
        "SIZE",
        "HIGHESTMODSEQ",
    ];
    prop::collection::vec(prop::sample::select(items), 1..4).prop_map(|items| format!("({})", items.join(" ")))
}

fn flags() -> impl Strategy<Value = String> {
    let flag = prop::sample::select(vec![
        "\\Seen",
        "\\Answered",
        "\\Flagged",
        "\\Deleted",
        "\\Draft",
        "$Forwarded",
        "NonJunk",
        "\\Other",
    ]);
    (prop::collection::vec(flag, 0..4), any::<bool>()).prop_map(|(flags, bare)| match bare {
        true if !flags.is_empty() => flags.join(" "),
        _ => format!("({})", flags.join(" ")),
    })
}

fn fetch_items() -> impl Strategy<Value = String> {
    let plain = vec![
        "ENVELOPE",
        "FLAGS",
        "INTERNALDATE",
        "RFC822",
        "RFC822.SIZE",
        "RFC822.HEADER",
        "RFC822.TEXT",
        "BODY",
        "BODYSTRUCTURE",
        "UID",
        "MODSEQ",
    ];
    let names = prop::collection::vec(astring(), 1..3).prop_map(|names| format!("({})", names.join(" ")));
    let text = prop_oneof![
        prop::sample::select(vec!["HEADER", "TEXT"]).prop_map(str::to_owned),
        ("HEADER\\.FIELDS(\\.NOT)? ", names).prop_map(|(kind, names)| format!("{kind}{names}")),
    ];
    let section = prop_oneof![
        Just(String::new()),
        text.clone(),
        "[1-9][0-9]?(\\.[1-9]){0,3}(\\.MIME)?",
        ("[1-9](\\.[1-9]){0,3}\\.", text).prop_map(|(part, text)| format!("{part}{text}")),
    ];
    let section = ("BODY(\\.PEEK)?", section, "(<[0-9]{1,9}\\.[1-9][0-9]{0,8}>)?")
        .prop_map(|(body, section, partial)| format!("{body}[{section}]{partial}"));
    let item = prop_oneof![prop::sample::select(plain).prop_map(str::to_owned), section];
    prop_oneof![
        1 => prop::sample::select(vec!["ALL", "FULL", "FAST"]).prop_map(str::to_owned),
        1 => item.clone(),
        3 => prop::collection::vec(item, 1..5).prop_map(|items| format!("({})", items.join(" "))),
    ]
}

fn key() -> BoxedStrategy<String> {
    let flags = vec![
        "ALL",
        "ANSWERED",
        "DELETED",
        "DRAFT",
        "FLAGGED",
        "NEW",
        "OLD",
        "RECENT",
        "SEEN",
        "UNANSWERED",
        "UNDELETED",
        "UNDRAFT",
        "UNFLAGGED",
        "UNSEEN",
    ];
    let leaf = prop_oneof![
        prop::sample::select(flags).prop_map(str::to_owned),
        (prop::sample::select(vec!["BCC", "BODY", "CC", "FROM", "SUBJECT", "TEXT", "TO"]), astring())
            .prop_map(|(name, text)| format!("{name} {text}")),
        (astring(), astring()).prop_map(|(name, text)| format!("HEADER {name} {text}")),
        "(UN)?KEYWORD [$a-z]{1,8}",
        ("(SENT)?(BEFORE|ON|SINCE)", date(), any::<bool>()).prop_map(|(name, date, quoted)| if quoted {
            format!("{name} \"{date}\"")
        } else {
            format!("{name} {date}")
        }),
        "(LARGER|SMALLER) [0-9]{1,9}",
        set().prop_map(|set| format!("UID {set}")),
        set(),
        "MODSEQ (\"/flags/\\\\\\\\seen\" (priv|shared|all) )?[0-9]{1,18}",
    ];
    leaf.prop_recursive(4, 16, 3, |key| {
        prop_oneof![
            key.clone().prop_map(|key| format!("NOT {key}")),
            (key.clone(), key.clone()).prop_map(|(one, other)| format!("OR {one} {other}")),
            prop::collection::vec(key, 1..4).prop_map(|keys| format!("({})", keys.join(" "))),
        ]
    })
    .boxed()
}
