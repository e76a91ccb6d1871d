pub(in crate::http) mod check;
pub(in crate::http) mod compact;
