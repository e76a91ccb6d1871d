use super::reader::{Read, Reader};
use super::{Flag, FlagChange, FlagMode, MessageSet, Request, Store};
use crate::base::SystemFlags;

const STORE: &str = "expected FLAGS, +FLAGS or -FLAGS, each with .SILENT or without";
const FLAG: &str = "expected a flag such as \\Seen or $Forwarded";

impl<'a> Reader<'a> {
    // RFC 9051 §9 "flag"
    pub(super) fn flag(&mut self) -> Read<Flag<'a>> {
        let mut ahead = *self;
        if !ahead.eat(b'\\') {
            return match self.atom(FLAG)? {
                long if long.len() > crate::base::limits::KEYWORD_BYTES => Err("a keyword has at most 255 octets"),
                keyword => Ok(Flag::Keyword(keyword)),
            };
        }
        let name = ahead.atom(FLAG)?;
        let both = self.take_while(|byte| byte == b'\\' || super::reader::is_atom_char(byte));
        // A second backslash would have been taken too.
        if both.len() != name.len().saturating_add(1) {
            return Err(FLAG);
        }
        Ok(SystemFlags::parse(both).map_or(Flag::Foreign(both), Flag::System))
    }

    /// Flags in parentheses; there may be none.
    pub(super) fn flag_list(&mut self) -> Read<Vec<Flag<'a>>> {
        self.list(FLAG, Self::flag)
    }
}

// RFC 9051 §6.4.6, RFC 7162 §3.1.3
pub(super) fn read<'a>(reader: &mut Reader<'a>, is_uid: bool) -> Read<Request<'a>> {
    reader.space("expected a sequence set behind STORE")?;
    let set = reader.sequence_set()?;
    reader.space(STORE)?;
    let mut unchanged_since = None;
    if reader.peek() == Some(b'(') {
        reader.full_list("expected a STORE modifier such as (UNCHANGEDSINCE 5)", |reader| {
            if !reader.eat_word("UNCHANGEDSINCE") {
                return Err("unknown STORE modifier");
            }
            reader.space("expected a number behind UNCHANGEDSINCE")?;
            unchanged_since = Some(reader.number64("expected a number behind UNCHANGEDSINCE")?);
            Ok(())
        })?;
        reader.space(STORE)?;
    }
    let mode = match reader.peek() {
        Some(b'+') => FlagMode::Add,
        Some(b'-') => FlagMode::Remove,
        _ => FlagMode::Replace,
    };
    if mode == FlagMode::Add {
        reader.eat(b'+');
    } else if mode == FlagMode::Remove {
        reader.eat(b'-');
    }
    let is_silent = reader.eat_word("FLAGS.SILENT");
    if !is_silent && !reader.eat_word("FLAGS") {
        return Err(STORE);
    }
    reader.space(FLAG)?;
    let change = FlagChange { mode, flags: flags(reader)? };
    Ok(Request::Store(Store { messages: MessageSet { set, is_uid }, unchanged_since, change, is_silent }))
}

/// Flags, in parentheses or not.
fn flags<'a>(reader: &mut Reader<'a>) -> Read<Vec<Flag<'a>>> {
    if reader.peek() == Some(b'(') {
        return reader.flag_list();
    }
    let mut flags = vec![reader.flag()?];
    while reader.has_more() {
        if flags.len() >= crate::base::limits::IMAP_ITEMS {
            return Err("STORE has too many flags");
        }
        flags.push(reader.flag()?);
    }
    Ok(flags)
}
