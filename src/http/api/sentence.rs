/// Somebody's words with an end.
pub(super) fn ended(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    if text.is_empty() { "nothing.".to_owned() } else { format!("{text}.") }
}

/// The same as a sentence.
pub(super) fn sentence(text: &str) -> String {
    let mut text = ended(text);
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_a_sentence() {
        for (text, expected) in [("no room", "No room."), ("Busy.", "Busy."), ("", "Nothing."), ("über", "über.")] {
            assert_eq!(sentence(text), expected);
        }
    }
}
