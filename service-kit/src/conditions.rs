//! Conditional requests (RFC 9110, section 13).

use crate::problem::Problem;

/// What `If-Match` and `If-None-Match` of a request demand: the tags that each lists, none
/// if it is absent.
#[derive(Debug)]
pub struct Conditions {
    if_match: Vec<String>,
    if_none_match: Vec<String>,
}

impl Conditions {
    /// The conditions of a request whose two headers have these members.
    pub(crate) fn new(if_match: Vec<String>, if_none_match: Vec<String>) -> Self {
        Self { if_match, if_none_match }
    }

    /// Whether nothing is demanded.
    pub fn are_absent(&self) -> bool {
        self.if_match.is_empty() && self.if_none_match.is_empty()
    }

    /// Whether a resource with the strong tag `current`, or without one because it does
    /// not exist, meets `If-Match` (strong comparison). RFC 9110 allows `*` only alone:
    /// beside a tag, it allows nothing.
    pub(crate) fn allow_match(&self, current: Option<&str>) -> bool {
        let tags = &self.if_match;
        let matches =
            |current| tags.iter().all(|tag| tag == "*") || tags.iter().any(|tag| tag == current);
        tags.is_empty() || current.is_some_and(matches)
    }

    /// Whether it meets `If-None-Match` (weak comparison). `*` excludes everything, beside a
    /// tag, too.
    pub(crate) fn allow_none_match(&self, current: Option<&str>) -> bool {
        let mut tags = self.if_none_match.iter();
        let excludes = |current| tags.any(|tag| tag == "*" || strong(tag) == current);
        !current.is_some_and(excludes)
    }

    /// Whether a write may change a resource with the tag `current`, or create it.
    pub fn allow_write(&self, current: Option<&str>) -> bool {
        self.allow_match(current) && self.allow_none_match(current)
    }

    /// As [`Conditions::allow_write`].
    ///
    /// # Errors
    /// [`Problem::precondition_failed`] if it may not.
    pub fn check_write(&self, current: Option<&str>) -> Result<(), Problem> {
        if self.allow_write(current) { Ok(()) } else { Err(Problem::precondition_failed()) }
    }
}

/// The strong tag that a weak one is compared as.
fn strong(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURRENT: Option<&str> = Some("\"a\"");

    fn members(text: &str) -> Vec<String> {
        text.split(',').map(|member| member.trim().to_owned()).collect()
    }

    #[test]
    fn if_none_match_compares_weakly_with_each_tag_and_a_star() {
        for (tags, allowed) in [
            ("\"a\"", false),
            ("W/\"a\"", false),
            ("\"b\", \"a\"", false),
            ("*", false),
            ("*, *", false),
            ("\"x\", *", false),
            ("W/*", true),
            ("\"b\"", true),
            ("a", true),
            ("", true),
        ] {
            let conditions = Conditions::new(Vec::new(), members(tags));
            assert_eq!(conditions.allow_none_match(CURRENT), allowed, "{tags}");
            assert!(conditions.allow_write(None), "{tags}");
        }
    }

    #[test]
    fn if_match_compares_strongly_with_each_tag_and_a_star() {
        for (tags, allowed) in [
            ("\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("*, *", true),
            ("\"x\", *", false),
            ("W/\"a\"", false),
            ("\"b\"", false),
            ("", false),
        ] {
            let conditions = Conditions::new(members(tags), Vec::new());
            assert_eq!(conditions.allow_match(CURRENT), allowed, "{tags}");
            assert!(!conditions.allow_write(None), "{tags}");
        }
    }
}
