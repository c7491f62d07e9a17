//! Pages and their tokens.
//!
//! A token is opaque to the client and bound to what was asked: one that was made up, altered
//! or taken from another question is refused, as AWS does. It names the last item of the page
//! before, so a page stays right when items come and go between two calls.

/// One page of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<T> {
    /// At most as many as were asked for.
    pub(super) items: Vec<T>,
    /// Where the next page begins, when there is one.
    pub(super) next: Option<String>,
}

/// A token that this question never gave out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnknownToken;

/// Cuts the page after `token` out of `items`, which `key` sorts.
///
/// `scope` is the question: everything but the token and the size of the page.
pub(super) fn page<T>(
    mut items: Vec<T>,
    key: impl Fn(&T) -> String,
    scope: &str,
    token: Option<&str>,
    limit: usize,
) -> Result<Page<T>, UnknownToken> {
    items.sort_by_cached_key(&key);
    if let Some(token) = token {
        let last = read_token(scope, token).ok_or(UnknownToken)?;
        items.retain(|item| key(item) > last);
    }
    let is_more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| is_more).map(|last| token_after(scope, &key(last)));
    Ok(Page { items, next })
}

/// The token that continues after an item.
pub(super) fn token_after(scope: &str, last: &str) -> String {
    let seal = format!("{:08x}", seal(scope, last));
    last.bytes().map(|byte| format!("{byte:02x}")).fold(seal, |token, digits| token + &digits)
}

/// The item after which a token continues; `None` when the token is not one of ours.
pub(super) fn read_token(scope: &str, token: &str) -> Option<String> {
    (token.len() >= 8 && token.len().is_multiple_of(2) && token.is_ascii()).then_some(())?;
    let stated = u32::from_str_radix(&token[..8], 16).ok()?;
    let bytes = (8..token.len()).step_by(2).map(|at| u8::from_str_radix(&token[at..at + 2], 16));
    let last = String::from_utf8(bytes.collect::<Result<Vec<u8>, _>>().ok()?).ok()?;
    (seal(scope, &last) == stated).then_some(last)
}

fn seal(scope: &str, last: &str) -> u32 {
    crc32fast::hash(format!("{scope}\u{0}{last}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(token: Option<&str>) -> Result<Page<u32>, UnknownToken> {
        page((0..25).collect(), |n| format!("{n:04}"), "numbers", token, 10)
    }

    #[test]
    fn pages_follow_one_another_without_gap_or_repetition() {
        let mut all = Vec::new();
        let mut token = None;
        loop {
            let page = numbers(token.as_deref()).unwrap();
            all.extend(page.items);
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(all, (0..25).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_last_page_has_no_token() {
        let page =
            page((0..10).collect::<Vec<u32>>(), |n| format!("{n:04}"), "n", None, 10).unwrap();
        assert_eq!(page.next, None);
    }

    #[test]
    fn tokens_of_another_question_and_altered_ones_are_unknown() {
        let ours = numbers(None).unwrap().next.unwrap();
        for token in
            ["", "x", "deadbeef", "é0000000", &token_after("others", "0009"), &format!("{ours}00")]
        {
            assert_eq!(numbers(Some(token)), Err(UnknownToken), "{token}");
        }
    }
}
