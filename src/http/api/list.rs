use std::fmt::Display;

use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use crate::base::limits;
use crate::http::page::{ListQuery, cursor, page};
use crate::store::StoreError;

/// A page of rows, before they are shown.
pub(super) struct Listed<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
    /// How many there are, where that was asked.
    pub count: Option<u64>,
    /// Whether there are not more than that.
    pub count_exact: Option<bool>,
}

impl<T> Listed<T> {
    /// The same page of what becomes of its rows.
    ///
    /// # Errors
    /// The first of `show`.
    pub fn try_map<U, E>(self, show: impl FnMut(T) -> Result<U, E>) -> Result<Listed<U>, E> {
        let items = self.items.into_iter().map(show).collect::<Result<_, E>>()?;
        let Self { next_cursor, count, count_exact, .. } = self;
        Ok(Listed { items, next_cursor, count, count_exact })
    }

    /// The answer with the rows as they are shown: `P` is the page as the document knows it, made by [`page_of`].
    pub fn answer<P: From<Listed<U>> + Serialize, U>(
        self,
        request: &HttpRequest,
        mut show: impl FnMut(&T) -> U,
    ) -> HttpResponse {
        let shown = self.try_map(|row| Ok::<_, std::convert::Infallible>(show(&row)));
        shown.unwrap_or_else(|never| match never {}).answer_as::<P>(request)
    }

    /// The same with rows that are in their form already.
    pub fn answer_as<P: From<Self> + Serialize>(self, request: &HttpRequest) -> HttpResponse {
        let next_cursor = self.next_cursor.clone();
        page(request, next_cursor.as_deref(), &P::from(self))
    }
}

/// The page that `query` asks for: the first rows behind `after` that `keep` accepts, and how many there are where that
/// is asked. `fetch` gives at most so many rows behind a key.
///
/// # Errors
/// [`StoreError`].
pub(super) fn list<T, K: Display>(
    query: &ListQuery,
    after: Option<K>,
    fetch: impl Fn(Option<&K>, usize) -> Result<Vec<T>, StoreError>,
    keep: impl Fn(&T) -> bool,
    key: impl Fn(&T) -> K,
) -> Result<Listed<T>, StoreError> {
    let (items, next) = gather(query.limit, after, &fetch, &keep, &key)?;
    let next_cursor = next.map(|key| cursor(&key.to_string()));
    if !query.count {
        return Ok(Listed { items, next_cursor, count: None, count_exact: None });
    }
    let (counted, more) = gather(limits::COUNT_MAX, None, &fetch, &keep, &key)?;
    Ok(Listed { items, next_cursor, count: Some(counted.len() as u64), count_exact: Some(more.is_none()) })
}

/// Rows, and the key behind which there are more.
fn gather<T, K>(
    limit: usize,
    mut after: Option<K>,
    fetch: impl Fn(Option<&K>, usize) -> Result<Vec<T>, StoreError>,
    keep: impl Fn(&T) -> bool,
    key: impl Fn(&T) -> K,
) -> Result<(Vec<T>, Option<K>), StoreError> {
    let mut items = Vec::new();
    // One more than asked for says whether there are more.
    let batch = limit.min(limits::PAGE_ITEMS_MAX) + 1;
    loop {
        let rows = fetch(after.as_ref(), batch)?;
        let is_end = rows.len() < batch;
        for row in rows {
            after = Some(key(&row));
            if !keep(&row) {
                continue;
            }
            if items.len() == limit {
                let last = items.last().map(key);
                return Ok((items, last));
            }
            items.push(row);
        }
        if is_end {
            return Ok((items, None));
        }
    }
}

/// Makes the page of a list, as the document knows it: `page_of! { /// Domains by name. DomainPage of Domain }`.
macro_rules! page_of {
    ($(#[$doc:meta])* $name:ident of $item:ty) => {
        $(#[$doc])*
        #[derive(serde::Serialize, utoipa::ToSchema)]
        pub(in crate::http) struct $name {
            /// The page.
            items: Vec<$item>,
            /// Where the next page begins; null when this is the last.
            next_cursor: Option<String>,
            /// With `count=true`: how many there are, up to 10,000.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(nullable = false)]
            count: Option<u64>,
            /// With `count=true`: false when there are more than `count`.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(nullable = false)]
            count_exact: Option<bool>,
        }

        impl From<$crate::http::api::Listed<$item>> for $name {
            fn from(listed: $crate::http::api::Listed<$item>) -> Self {
                let $crate::http::api::Listed { items, next_cursor, count, count_exact } = listed;
                Self { items, next_cursor, count, count_exact }
            }
        }
    };
}
pub(super) use page_of;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_join_without_gap_or_double() {
        let rows: Vec<u32> = (0..23).collect();
        let fetch = |after: Option<&u32>, limit: usize| {
            Ok(rows.iter().copied().filter(|row| after.is_none_or(|after| row > after)).take(limit).collect())
        };
        for limit in 1..=25 {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let (items, next) = gather(limit, after, fetch, |row| row % 3 != 0, |row| *row).unwrap();
                assert!(items.len() == limit || next.is_none());
                seen.extend(items);
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, rows.iter().copied().filter(|row| row % 3 != 0).collect::<Vec<_>>(), "{limit}");
        }
    }
}
