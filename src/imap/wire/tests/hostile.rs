//! Input that was made to hurt.
