use super::selected::Selected;
use crate::mailbox::Member;

/// Writes a message's flags with their parentheses, as in `(\Seen $Forwarded \Recent)`.
pub(super) fn write_flags(out: &mut Vec<u8>, selected: &Selected, member: &Member) {
    let _ = (out, selected, member);
    todo!()
}
