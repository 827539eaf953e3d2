//! Conditional requests (RFC 9110, section 13).

use crate::problem::Problem;

/// What `If-Match` and `If-None-Match` of a request demand.
#[derive(Debug)]
pub struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

#[derive(Debug)]
enum Tags {
    /// `*`: any version.
    Any,
    /// The versions with these tags.
    Listed(Vec<String>),
}

impl Conditions {
    /// The conditions of a request whose two headers have these members. Pass an
    /// empty list for an absent header.
    pub fn new(if_match: Vec<String>, if_none_match: Vec<String>) -> Self {
        // RFC 9110 allows `*` only alone. With others, it excludes as much as it can.
        let excludes_all = if_none_match.iter().any(|member| member == "*");
        let if_none_match = if excludes_all { vec!["*".to_owned()] } else { if_none_match };
        Self { if_match: Tags::of(if_match), if_none_match: Tags::of(if_none_match) }
    }

    /// Whether nothing is demanded.
    pub fn are_absent(&self) -> bool {
        self.if_match.is_none() && self.if_none_match.is_none()
    }

    /// Whether a resource with the strong tag `current`, or without one because it does
    /// not exist, meets `If-Match` (strong comparison).
    pub fn allow_match(&self, current: Option<&str>) -> bool {
        self.if_match.as_ref().is_none_or(|tags| tags.include(current, |listed| listed))
    }

    /// Whether it meets `If-None-Match` (weak comparison).
    pub fn allow_none_match(&self, current: Option<&str>) -> bool {
        self.if_none_match.as_ref().is_none_or(|tags| !tags.include(current, strong))
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

impl Tags {
    fn of(members: Vec<String>) -> Option<Self> {
        if members.is_empty() {
            None
        } else if members.iter().all(|member| member == "*") {
            Some(Self::Any)
        } else {
            Some(Self::Listed(members))
        }
    }

    fn include(&self, current: Option<&str>, tag: fn(&str) -> &str) -> bool {
        match self {
            Self::Any => current.is_some(),
            Self::Listed(tags) => tags.iter().any(|listed| Some(tag(listed)) == current),
        }
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
