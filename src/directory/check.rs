use super::alias::ALIASES;
use super::domain::{DOMAIN_ALIASES, DOMAINS};
use super::token::TOKENS;
use crate::store::{AnyTable, CrossCheck};

/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[&DOMAINS, &DOMAIN_ALIASES, &ALIASES, &TOKENS];
/// The room's cross-checks.
pub const CHECKS: &[CrossCheck] = &[];
