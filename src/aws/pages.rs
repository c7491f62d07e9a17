//! Following page tokens by hand, because a short list must never pass for a whole one (H31).
//!
//! An empty page with a token is legal and read on; a token that was seen before, or more pages
//! than anything of ours can have, is an error.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::error::Failure;
use crate::platform::{Answer, PlatformError};

/// A hundred million objects at a thousand a page; more is a server that never ends.
const PAGE_LIMIT: usize = 100_000;

/// The way through the pages of one list.
pub(super) struct Pages {
    operation: &'static str,
    seen: HashSet<u64>,
}

impl Pages {
    /// Before the first page.
    pub(super) fn of(operation: &'static str) -> Self {
        Self { operation, seen: HashSet::new() }
    }

    /// The token to send next, given the one that came with a page; `None` at the end.
    pub(super) fn next(&mut self, token: Option<String>) -> Answer<Option<String>> {
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            return Ok(None);
        };
        if !self.seen.insert(fingerprint(&token)) {
            return Err(self.error("repeated page token"));
        }
        if self.seen.len() > PAGE_LIMIT {
            return Err(self.error("the pages do not end"));
        }
        Ok(Some(token))
    }

    /// The list of a page. Its services send it even when it is empty, so a last page without one
    /// is an answer that lost its body, and must not pass for "there is nothing".
    pub(super) fn list<T>(&self, list: Option<Vec<T>>, token: Option<&str>) -> Answer<Vec<T>> {
        match list {
            Some(list) => Ok(list),
            None if token.is_some_and(|token| !token.is_empty()) => Ok(Vec::new()),
            None => Err(self.error("an answer without its list")),
        }
    }

    /// A page that cannot be believed.
    pub(super) fn error(&self, message: &str) -> PlatformError {
        Failure::nonsense(message).of(self.operation)
    }
}

/// Tokens can be kilobytes long; a listing can have many.
fn fingerprint(token: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    token.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ErrorClass;

    #[test]
    fn tokens_are_followed_until_none_or_an_empty_one_comes() {
        let mut pages = Pages::of("glue:GetTables");
        assert_eq!(pages.next(Some("a".into())), Ok(Some("a".into())));
        assert_eq!(pages.next(Some("b".into())), Ok(Some("b".into())));
        assert_eq!(pages.next(Some(String::new())), Ok(None));
        assert_eq!(pages.next(None), Ok(None));
    }

    #[test]
    fn a_last_page_without_its_list_is_no_empty_list() {
        let pages = Pages::of("ecs:ListTasks");
        assert_eq!(pages.list(Some(vec![1]), None), Ok(vec![1]));
        assert_eq!(pages.list::<u8>(Some(Vec::new()), None), Ok(Vec::new()));
        assert_eq!(pages.list::<u8>(None, Some("more")), Ok(Vec::new()));
        for token in [None, Some("")] {
            let error = pages.list::<u8>(None, token).unwrap_err();
            assert_eq!(error.class, ErrorClass::Server);
        }
    }

    #[test]
    fn a_token_that_comes_again_is_an_error_even_after_others() {
        let mut pages = Pages::of("glue:GetTables");
        pages.next(Some("a".into())).unwrap();
        pages.next(Some("b".into())).unwrap();
        let error = pages.next(Some("a".into())).unwrap_err();
        assert_eq!(error.class, ErrorClass::Server);
        assert_eq!(error.message, "repeated page token");
    }
}
