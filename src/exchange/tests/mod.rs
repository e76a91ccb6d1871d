//! Two servers in this process, over sockets of loopback: what they swap, and what somebody hostile at one end gets.

mod hostile;
mod pair;
mod site;
