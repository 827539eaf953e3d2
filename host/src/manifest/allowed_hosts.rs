//! `allowed_outbound_hosts`: whom a component may call, in the patterns of Spin
//! (`crates/outbound-networking-config/src/allowed_hosts.rs` of Spin).

use std::net::Ipv6Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use http::Uri;
use http::uri::Authority;

/// The domain of service chaining.
const SIBLINGS: &str = ".spin.internal";

/// Where a request goes that a component may send.
#[derive(Debug)]
pub enum Destination {
    /// To the component with this id.
    Sibling(String),
    /// To the application, through its routes.
    Application,
    /// To another server.
    Elsewhere,
}

/// Whom a component may call.
#[derive(Debug)]
pub struct AllowedHosts(pub Vec<AllowedHost>);

impl AllowedHosts {
    /// Where a request to `uri` goes, if it is allowed.
    pub fn destination(&self, uri: &Uri) -> Option<Destination> {
        let host = uri.host().unwrap_or_default();
        // A relative URI arrives with an empty host.
        if host.is_empty() || host.eq_ignore_ascii_case("self.alt") {
            let is_allowed = self.0.iter().any(AllowedHost::allows_application);
            return is_allowed.then_some(Destination::Application);
        }
        let is_allowed = self.0.iter().any(|allowed| allowed.allows(uri));
        let destination = sibling_id(host).map_or(Destination::Elsewhere, Destination::Sibling);
        is_allowed.then_some(destination)
    }
}

/// The component id in `host`, if that is `<component-id>.spin.internal`, in any case.
pub fn sibling_id(host: &str) -> Option<String> {
    let (id, domain) = host.split_at_checked(host.len().checked_sub(SIBLINGS.len())?)?;
    domain.eq_ignore_ascii_case(SIBLINGS).then(|| id.to_ascii_lowercase())
}

/// An entry: `<scheme>://<host>[:<port>]`.
#[derive(Clone, Debug, PartialEq)]
pub struct AllowedHost {
    /// `http` or `https`. Without one, any.
    scheme: Option<String>,
    host: Host,
    ports: RangeInclusive<u16>,
}

#[derive(Clone, Debug, PartialEq)]
enum Host {
    /// `*`
    Any,
    /// `*.example.com`, without the star.
    Subdomains(String),
    /// `self`: the application, through its routes.
    Application,
    /// A name or an address, as [`canonical`] writes it.
    Literal(String),
}

impl AllowedHost {
    /// Whether a request to `uri` is allowed, which has a scheme and a host.
    fn allows(&self, uri: &Uri) -> bool {
        let (scheme, host) = (uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default());
        let host = canonical(host);
        let is_host = match &self.host {
            Host::Any => true,
            Host::Subdomains(suffix) => host.ends_with(suffix),
            Host::Literal(literal) => host == *literal,
            Host::Application => false,
        };
        let port = uri.port_u16().or_else(|| default_port(scheme));
        let is_scheme = self.scheme.as_ref().is_none_or(|allowed| allowed == scheme);
        is_host && is_scheme && port.is_some_and(|port| self.ports.contains(&port))
    }

    /// Whether requests to the application itself are allowed.
    fn allows_application(&self) -> bool {
        matches!(self.host, Host::Any | Host::Application)
    }

    /// The component id of the sibling that it names; `*` if it names all.
    pub fn sibling(&self) -> Option<String> {
        match &self.host {
            Host::Subdomains(suffix) if suffix == SIBLINGS => Some("*".to_owned()),
            Host::Literal(host) => sibling_id(host),
            _ => None,
        }
    }
}

impl FromStr for AllowedHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| {
            format!(
                "the outbound host {text:?} must be <scheme>://<host>[:<port>] without a path: a \
                 scheme `http`, `https` or `*`; a host, `*`, `*.<domain>` or `self`; a port, a \
                 range such as `8000..8010`, or `*`"
            )
        })
    }
}

fn parse(text: &str) -> Option<AllowedHost> {
    let (scheme, authority) = text.trim().split_once("://")?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    // An IPv6 address has colons between brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    let usual_port = default_port(scheme);
    let scheme = match scheme {
        "*" => None,
        "http" | "https" => Some(scheme.to_owned()),
        _ => return None,
    };
    let host = match (host, host.strip_prefix("*.")) {
        ("*", _) => Host::Any,
        ("self" | "self.alt", _) => Host::Application,
        (_, Some(domain)) => Host::Subdomains(format!(".{}", literal(domain)?)),
        (host, None) => Host::Literal(literal(host)?),
    };
    let ports = match (port, port.split_once("..")) {
        ("*", _) => 0..=u16::MAX,
        ("", _) if host == Host::Application => 0..=u16::MAX,
        ("", _) => usual_port.map(|port| port..=port)?,
        // Without its end, as in Spin.
        (_, Some((start, end))) => start.parse().ok()?..=end.parse::<u16>().ok()?.checked_sub(1)?,
        (port, None) => port.parse().map(|port| port..=port).ok()?,
    };
    Some(AllowedHost { scheme, host, ports })
}

/// `host` in lower case, and an IPv6 address in its shortest form.
fn canonical(host: &str) -> String {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match address.map(Ipv6Addr::from_str) {
        Some(Ok(address)) => format!("[{address}]"),
        _ => host.to_ascii_lowercase(),
    }
}

/// `host` as [`canonical`] writes it, if it is a name or an address.
fn literal(host: &str) -> Option<String> {
    let is_host = Authority::from_str(host).is_ok_and(|authority| authority.host() == host);
    (is_host && !host.contains('*')).then(|| canonical(host))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(pattern: &str, uri: &str) -> bool {
        pattern.parse::<AllowedHost>().expect(pattern).allows(&uri.parse().expect(uri))
    }

    #[test]
    fn an_entry_allows_exactly_its_schemes_hosts_and_ports() {
        for (pattern, allowed, denied) in [
            (
                "http://a.spin.internal",
                &["http://a.spin.internal/x", "http://A.spin.internal:80"][..],
                &["http://b.spin.internal", "https://a.spin.internal", "http://a.spin.internal:81"]
                    [..],
            ),
            (
                "http://*.spin.internal/",
                &["http://a.spin.internal"],
                &["http://spin.internal", "http://aspin.internal", "http://a.spin.internal.b"],
            ),
            (
                "*://example.com:*",
                &["http://example.com", "https://example.com:8443"],
                &["http://www.example.com:80", "ftp://example.com"],
            ),
            (
                "https://*",
                &["https://example.com", "https://127.0.0.1:443"],
                &["https://example.com:444", "http://example.com:443"],
            ),
            (
                "http://127.0.0.1:5000..5003",
                &["http://127.0.0.1:5000", "http://127.0.0.1:5002"],
                &["http://127.0.0.1:5003", "http://127.0.0.1", "http://localhost:5000"],
            ),
            ("http://[::1]:8080", &["http://[::1]:8080"], &["http://[::1]", "http://[::2]:8080"]),
            ("http://[::1]", &["http://[::1]:80"], &["http://[::1]:8080"]),
            (
                "http://[2001:DB8::0:1]",
                &["http://[2001:db8:0:0:0:0:0:1]", "http://[2001:db8::1]"],
                &["http://[2001:db8::2]"],
            ),
            ("http://A.Example", &["http://a.example", "http://A.EXAMPLE"], &[]),
            ("http://self", &[], &["http://self", "http://self.alt"]),
        ] {
            for uri in allowed {
                assert!(allows(pattern, uri), "{pattern} must allow {uri}");
            }
            for uri in denied {
                assert!(!allows(pattern, uri), "{pattern} must not allow {uri}");
            }
        }
    }

    #[test]
    fn only_self_and_any_host_allow_the_application() {
        for (pattern, expected) in
            [("http://self", true), ("http://*:*", true), ("http://a.spin.internal", false)]
        {
            let allowed: AllowedHost = pattern.parse().expect(pattern);
            assert_eq!(allowed.allows_application(), expected, "{pattern}");
        }
    }

    #[test]
    fn an_entry_of_another_form_is_refused() {
        for pattern in [
            "*",
            "example.com",
            "://example.com",
            "http://",
            "redis://example.com:6379",
            "http://example.com/path",
            "http://example.com:port",
            "http://user@example.com",
            "http://a.*.com",
            "*://example.com",
            "http://10.0.0.0/8",
        ] {
            assert!(pattern.parse::<AllowedHost>().is_err(), "{pattern}");
        }
    }
}
