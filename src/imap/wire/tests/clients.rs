//! What mail programs send.

use proptest::prelude::*;

use super::{canonical, generate};

proptest! {
    /// A canonical text means what was meant.
    #[test]
    fn what_is_written_again_means_the_same(command in prop_oneof![generate::command(), generate::extended()]) {
        let text = canonical::read(command.as_bytes());
        prop_assert!(text.is_ok(), "{command:?}: {text:?}");
        let text = text.unwrap();
        if !text.starts_with("APPEND") {
            let again = [b"b ".as_slice(), &canonical::octets(&text), b"\r\n"].concat();
            prop_assert_eq!(canonical::read(&again), Ok(text));
        }
    }
}
