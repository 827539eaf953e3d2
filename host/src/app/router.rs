//! From a request's path to a component, as Spin routes
//! (`crates/routes/src/lib.rs` of Spin).

use std::fmt;

use anyhow::Result;
use http::{HeaderName, HeaderValue};

use crate::manifest::route::{based, spec, wildcard_prefix};

/// The public routes of an application.
pub struct Router(routefinder::Router<Route>);

/// A public route.
#[derive(Debug)]
pub struct Route {
    /// The route with a leading slash and without a trailing one.
    pub based: String,
    /// The id of the component that answers.
    pub component: String,
    /// The headers that tell the component its route.
    pub headers: [(HeaderName, HeaderValue); 4],
}

/// A path that has a route.
#[derive(Debug)]
pub struct Match<'a> {
    /// The route.
    pub route: &'a Route,
    /// What the trailing wildcard matched, with its leading slash.
    pub path_info: String,
    /// What each `:name` matched.
    pub parameters: Vec<(String, String)>,
}

impl Router {
    /// The routes `public`, each a pattern and the id of a component. If a
    /// pattern appears twice, the last one wins.
    ///
    /// # Errors
    /// If a pattern can't be parsed.
    pub fn new<'a>(public: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        // In the given order, which decides between equally specific ones.
        let mut routes: Vec<(&str, &str)> = Vec::new();
        for (raw, component) in public {
            match routes.iter_mut().find(|(known, _)| *known == raw) {
                Some((_, last)) => *last = component,
                None => routes.push((raw, component)),
            }
        }
        let mut router = routefinder::Router::new();
        for (raw, component) in routes {
            let route = Route::new(raw, component);
            router.add(spec(&route.based)?, route).map_err(anyhow::Error::msg)?;
        }
        Ok(Self(router))
    }

    /// The most specific route for `path`: segment by segment from the left,
    /// exact wins over parameter over wildcard.
    pub fn find<'a>(&'a self, path: &str) -> Option<Match<'a>> {
        let found = self.0.best_match(path)?;
        let captures = found.captures();
        let path_info = match captures.wildcard() {
            None => String::new(),
            // The slash at the end of the path, which routefinder leaves out.
            Some(rest) => {
                let start = if rest.is_empty() { "" } else { "/" };
                let end = if path.ends_with('/') { "/" } else { "" };
                format!("{start}{rest}{end}")
            }
        };
        let parameters = captures.iter().map(|(name, value)| (name.into(), value.into()));
        Some(Match { route: found.handler(), path_info, parameters: parameters.collect() })
    }

    /// All routes.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.0.iter().map(|(_, route)| route)
    }
}

/// As `spin up` prints it.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match wildcard_prefix(&self.based) {
            Some(prefix) => write!(f, "{prefix} (wildcard)"),
            None if self.based.is_empty() => f.write_str("/"),
            None => f.write_str(&self.based),
        }
    }
}

impl Route {
    /// The route `raw` of the manifest, to `component`.
    pub fn new(raw: &str, component: &str) -> Self {
        let based = based(raw);
        let prefix = raw.strip_suffix("/...").unwrap_or(raw);
        let headers = [
            (HeaderName::from_static("spin-matched-route"), value(&based)),
            (HeaderName::from_static("spin-base-path"), HeaderValue::from_static("/")),
            (HeaderName::from_static("spin-raw-component-route"), value(raw)),
            (HeaderName::from_static("spin-component-route"), value(prefix)),
        ];
        Self { based, component: component.to_owned(), headers }
    }
}

impl<'a> Match<'a> {
    /// The match of a chained request, which names its component: all of the
    /// path belongs to the wildcard of `route`.
    pub fn chained(route: &'a Route, path: &str) -> Self {
        Self { route, path_info: path.to_owned(), parameters: Vec::new() }
    }
}

/// `text` as the value of a header; empty if it has a control character.
fn value(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(routes: &[&str]) -> Router {
        Router::new(routes.iter().map(|route| (*route, *route))).expect("routes")
    }

    fn find<'a>(router: &'a Router, path: &str) -> Option<&'a str> {
        router.find(path).map(|found| found.route.component.as_str())
    }

    #[test]
    fn exact_wins_over_parameter_over_wildcard() {
        let router = router(&["/...", "/x/...", "/x/:name", "/x/y"]);
        assert_eq!(find(&router, "/x/y"), Some("/x/y"));
        assert_eq!(find(&router, "/x/z"), Some("/x/:name"));
        assert_eq!(find(&router, "/x/z/w"), Some("/x/..."));
        assert_eq!(find(&router, "/"), Some("/..."));
        assert_eq!(find(&router, "/xy"), Some("/..."));
    }

    #[test]
    fn a_wildcard_matches_nothing_as_well() {
        let router = router(&["/x/..."]);
        assert_eq!(router.find("/x").unwrap().path_info, "");
        assert_eq!(router.find("/x/").unwrap().path_info, "/");
        assert_eq!(router.find("/x/a/b").unwrap().path_info, "/a/b");
        assert_eq!(router.find("/x/a/").unwrap().path_info, "/a/");
    }

    #[test]
    fn slashes_at_the_ends_of_a_path_change_nothing() {
        let router = router(&["/x"]);
        for path in ["/x", "/x/", "//x//"] {
            assert_eq!(find(&router, path), Some("/x"), "{path}");
        }
        assert_eq!(find(&router, "/"), None);
    }

    #[test]
    fn a_parameter_matches_one_segment_as_it_was_sent() {
        let router = router(&["/x/:name"]);
        let found = router.find("/x/a%2Fb").unwrap();
        assert_eq!(found.parameters, [("name".to_owned(), "a%2Fb".to_owned())]);
        assert_eq!(find(&router, "/x/a/b"), None);
    }

    #[test]
    fn the_last_of_two_equal_routes_wins() {
        let router = Router::new([("/x", "first"), ("/x", "last")].into_iter()).unwrap();
        assert_eq!(find(&router, "/x"), Some("last"));
    }
}
