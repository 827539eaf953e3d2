//! From a request's path to a component, as Spin routes
//! (`crates/routes/src/lib.rs` of Spin).

use std::fmt;

use anyhow::Result;
use http::{HeaderName, HeaderValue};
use routefinder::RouteSpec;

use crate::headers;
use crate::manifest::{self, Trigger};

/// The public routes of an application.
pub struct Router(routefinder::Router<Route>);

/// A public route.
#[derive(Debug)]
pub struct Route {
    /// The route as the manifest has it.
    pub raw: String,
    /// The route with a leading slash and without a trailing one.
    pub based: String,
    /// The id of the component that answers.
    pub component: String,
    /// What the component is told of it.
    pub headers: [(HeaderName, HeaderValue); 4],
}

/// A path that has a route.
#[derive(Debug)]
pub struct Match<'a> {
    /// The route.
    pub route: &'a Route,
    /// What the trailing wildcard stands for, with its leading slash.
    pub path_info: String,
    /// What each `:name` stands for.
    pub parameters: Vec<(String, String)>,
}

impl Router {
    /// The routes of `triggers`; of the same route twice, the last counts.
    ///
    /// # Errors
    /// If a route can't be parsed.
    pub fn new(triggers: &[Trigger]) -> Result<Self> {
        // In the manifest's order, which decides between equally specific ones.
        let mut routes: Vec<(&String, &String)> = Vec::new();
        for trigger in triggers {
            let manifest::Route::Public(raw) = &trigger.route else { continue };
            match routes.iter_mut().find(|(known, _)| *known == raw) {
                Some((_, component)) => *component = &trigger.component,
                None => routes.push((raw, &trigger.component)),
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
    /// exact before parameter before wildcard.
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
        let headers = headers::route(raw, &based);
        Self { raw: raw.to_owned(), based, component: component.to_owned(), headers }
    }
}

impl<'a> Match<'a> {
    /// The match of a request that names its component: a chained one, for
    /// which `route` is the route of everything.
    pub fn of_component(route: &'a Route, path: &str) -> Self {
        Self { route, path_info: path.to_owned(), parameters: Vec::new() }
    }
}

/// Whether `raw` can be a route.
///
/// # Errors
/// What is wrong with it.
pub fn check(raw: &str) -> Result<()> {
    spec(&based(raw)).map(drop)
}

fn based(raw: &str) -> String {
    let path = raw.strip_suffix('/').unwrap_or(raw);
    if path.starts_with('/') || path.is_empty() { path.to_owned() } else { format!("/{path}") }
}

fn spec(based: &str) -> Result<RouteSpec> {
    let route = match wildcard_prefix(based) {
        Some(prefix) => format!("{prefix}/*"),
        None => based.to_owned(),
    };
    RouteSpec::try_from(route.as_str()).map_err(anyhow::Error::msg)
}

fn wildcard_prefix(based: &str) -> Option<&str> {
    based.strip_suffix("/...").or_else(|| based.strip_suffix("/*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(routes: &[&str]) -> Router {
        let triggers: Vec<_> = routes
            .iter()
            .map(|route| Trigger {
                component: (*route).into(),
                route: manifest::Route::Public((*route).into()),
            })
            .collect();
        Router::new(&triggers).expect("routes")
    }

    fn find<'a>(router: &'a Router, path: &str) -> Option<&'a str> {
        router.find(path).map(|found| found.route.component.as_str())
    }

    #[test]
    fn exact_goes_before_parameter_before_wildcard() {
        let router = router(&["/...", "/x/...", "/x/:name", "/x/y"]);
        assert_eq!(find(&router, "/x/y"), Some("/x/y"));
        assert_eq!(find(&router, "/x/z"), Some("/x/:name"));
        assert_eq!(find(&router, "/x/z/w"), Some("/x/..."));
        assert_eq!(find(&router, "/"), Some("/..."));
        assert_eq!(find(&router, "/xy"), Some("/..."));
    }

    #[test]
    fn a_wildcard_also_stands_for_nothing() {
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
    fn a_parameter_stands_for_one_segment_as_it_was_sent() {
        let router = router(&["/x/:name"]);
        let found = router.find("/x/a%2Fb").unwrap();
        assert_eq!(found.parameters, [("name".to_owned(), "a%2Fb".to_owned())]);
        assert_eq!(find(&router, "/x/a/b"), None);
    }

    #[test]
    fn of_the_same_route_twice_the_last_counts() {
        let trigger = |component: &str| Trigger {
            component: component.into(),
            route: manifest::Route::Public("/x".into()),
        };
        let router = Router::new(&[trigger("first"), trigger("last")]).unwrap();
        assert_eq!(find(&router, "/x"), Some("last"));
    }
}
