//! `allowed_outbound_hosts`: whom a component may call.

use std::fmt;

use http::uri::Scheme;
use serde::Deserialize;

/// The domain of service chaining.
const SIBLINGS: &str = "spin.internal";

/// The component id in `authority`, if that is `<component-id>.spin.internal`,
/// perhaps with a port.
pub fn sibling_id(authority: &str) -> Option<&str> {
    let host = authority.split_once(':').map_or(authority, |(host, _)| host);
    host.split_once('.').filter(|(_, domain)| *domain == SIBLINGS).map(|(id, _)| id)
}

/// Where a component sends a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// The component with this id.
    Sibling(String),
    /// The application, through its routes.
    Application,
}

/// An entry of `allowed_outbound_hosts` that this host supports.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(try_from = "String")]
pub struct AllowedHost {
    scheme: Scheme,
    /// Without one, every component.
    target: Option<Target>,
}

impl AllowedHost {
    /// Whether this entry allows a request to `target`. A relative URI has no
    /// scheme of its own, so any entry's scheme fits.
    pub fn allows(&self, scheme: Option<&Scheme>, target: &Target) -> bool {
        let is_target = match (&self.target, target) {
            (None, target) => matches!(target, Target::Sibling(_)),
            (Some(allowed), target) => allowed == target,
        };
        is_target && scheme.is_none_or(|scheme| *scheme == self.scheme)
    }
}

impl TryFrom<String> for AllowedHost {
    type Error = String;

    fn try_from(host: String) -> Result<Self, String> {
        let parse = || {
            let (scheme, authority) = host.split_once("://")?;
            let scheme = match scheme {
                "http" => Scheme::HTTP,
                "https" => Scheme::HTTPS,
                _ => return None,
            };
            let target = match authority.strip_suffix('/').unwrap_or(authority) {
                "self" | "self.alt" => Some(Target::Application),
                "*.spin.internal" => None,
                authority => Some(Target::Sibling(sibling_id(authority)?.to_owned())),
            };
            Some(Self { scheme, target })
        };
        parse().ok_or_else(|| {
            format!(
                "the outbound host {host:?} is not supported here: requests can go to \
                 http://<component-id>.spin.internal and to http://self, not to the network"
            )
        })
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Some(Target::Sibling(id)) => write!(f, "{}://{id}.{SIBLINGS}", self.scheme),
            Some(Target::Application) => write!(f, "{}://self", self.scheme),
            None => write!(f, "{}://*.{SIBLINGS}", self.scheme),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(host: &str) -> Result<AllowedHost, String> {
        AllowedHost::try_from(host.to_owned())
    }

    #[test]
    fn an_entry_allows_exactly_its_scheme_and_target() {
        let a = allowed("http://a.spin.internal").unwrap();
        let sibling = |id: &str| Target::Sibling(id.into());
        assert!(a.allows(Some(&Scheme::HTTP), &sibling("a")));
        assert!(!a.allows(Some(&Scheme::HTTP), &sibling("b")));
        assert!(!a.allows(Some(&Scheme::HTTPS), &sibling("a")));
        assert!(!a.allows(None, &Target::Application));
        let all = allowed("http://*.spin.internal").unwrap();
        assert!(all.allows(Some(&Scheme::HTTP), &sibling("b")));
        assert!(!all.allows(None, &Target::Application));
    }

    #[test]
    fn hosts_on_the_network_are_not_supported() {
        for host in ["https://example.com", "http://*:*", "*", "redis://a.spin.internal"] {
            assert!(allowed(host).is_err(), "{host}");
        }
    }
}
