use crate::base::limits;
use crate::message::seven_bit as convert;
use crate::queue::Content;

/// Why a message was not converted.
pub(super) enum Unconverted {
    /// It must not be, or can't be.
    Message(String),
    /// It could not be read.
    Broken(String),
}

/// A message of ASCII alone that says the same: for a server without 8BITMIME.
// RFC 6152 §3
pub(super) async fn seven_bit(content: &mut Content) -> Result<Vec<u8>, Unconverted> {
    // It is held whole while it is sent, in several copies for a moment.
    if content.size_bytes() > limits::CONVERTED_BYTES {
        return Err(Unconverted::Message("it is too large for that".to_owned()));
    }
    let mut message = Vec::new();
    while let Some(piece) = content.next().await.map_err(|error| Unconverted::Broken(error.to_string()))? {
        message.extend_from_slice(&piece);
    }
    convert(&message).map_err(|error| Unconverted::Message(error.to_string()))
}
