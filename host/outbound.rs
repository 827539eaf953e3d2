//! The requests that components make.
//!
//! A component may call its siblings and its own application, as far as its
//! `allowed_outbound_hosts` say so. Both stay in this process; nothing goes out
//! to the network.

use std::fmt;
use std::sync::{Arc, Weak};

use futures::FutureExt;
use http::Request;
use http::uri::Scheme;
use serde::Deserialize;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::app::Inner;

/// The domain of an application's components among themselves.
const SIBLINGS: &str = "spin.internal";

/// An entry of `allowed_outbound_hosts` that this host supports.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(try_from = "String")]
pub struct AllowedHost {
    scheme: Scheme,
    target: Target,
}

#[derive(Clone, Debug, PartialEq)]
enum Target {
    /// The component of this id.
    Sibling(String),
    /// Every component.
    Siblings,
    /// The application, through its routes.
    Application,
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
                "self" | "self.alt" => Target::Application,
                "*.spin.internal" => Target::Siblings,
                authority => Target::Sibling(sibling(authority)?.to_owned()),
            };
            Some(Self { scheme, target })
        };
        parse().ok_or_else(|| {
            format!(
                "the outbound host {host:?} is not supported here: calls can go to \
                 http://<component-id>.spin.internal and to http://self, not to the network"
            )
        })
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Sibling(id) => write!(f, "{}://{id}.{SIBLINGS}", self.scheme),
            Target::Siblings => write!(f, "{}://*.{SIBLINGS}", self.scheme),
            Target::Application => write!(f, "{}://self", self.scheme),
        }
    }
}

/// The component that an authority names, if it is one of the application.
pub fn sibling(authority: &str) -> Option<&str> {
    let host = authority.split_once(':').map_or(authority, |(host, _)| host);
    host.split_once('.').filter(|(_, domain)| *domain == SIBLINGS).map(|(id, _)| id)
}

/// What wasmtime calls for each request that an instance makes.
pub struct Outbound {
    app: Weak<Inner>,
    allowed: Arc<[AllowedHost]>,
}

impl Outbound {
    /// The calls of a component of `app` that may call `allowed`.
    pub fn new(app: Weak<Inner>, allowed: Arc<[AllowedHost]>) -> Self {
        Self { app, allowed }
    }

    fn allows(&self, scheme: Option<&Scheme>, target: &Target) -> bool {
        self.allowed.iter().any(|allowed| {
            let is_target = match (&allowed.target, target) {
                (Target::Siblings, Target::Sibling(_)) => true,
                (allowed, target) => allowed == target,
            };
            // A relative URI has no scheme of its own, so any will do.
            is_target && scheme.is_none_or(|scheme| *scheme == allowed.scheme)
        })
    }
}

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<
        dyn Future<
                Output = Result<
                    (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>),
                    Error,
                >,
            > + Send,
    > {
        // A relative URI arrives with an empty host.
        let host = request.uri().host().unwrap_or_default();
        let scheme = request.uri().scheme();
        let (scheme, target) = match (host, sibling(host)) {
            ("" | "self.alt", _) => (None, Target::Application),
            (_, Some(id)) => (scheme, Target::Sibling(id.to_owned())),
            _ => return Box::new(async { Err(Error::HttpRequestDenied) }),
        };
        if !self.allows(scheme, &target) {
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        let app = self.app.clone();
        let response = async move {
            let app = app.upgrade().ok_or(Error::ConnectionTerminated)?;
            let response = match target {
                Target::Sibling(id) => app.call_component(&id, request).await?,
                _ => app.call_self(request).await,
            };
            let sent: Box<dyn Future<Output = Result<(), Error>> + Send> =
                Box::new(async { Ok(()) });
            Ok((response, sent))
        };
        // Boxed, since a component that answers may call others in its turn.
        Box::new(response.boxed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(host: &str) -> Result<AllowedHost, String> {
        AllowedHost::try_from(host.to_owned())
    }

    #[test]
    fn only_the_named_siblings_are_allowed() {
        let outbound =
            Outbound::new(Weak::new(), [allowed("http://a.spin.internal").unwrap()].into());
        let sibling = |id: &str| Target::Sibling(id.into());
        assert!(outbound.allows(Some(&Scheme::HTTP), &sibling("a")));
        assert!(!outbound.allows(Some(&Scheme::HTTP), &sibling("b")));
        assert!(!outbound.allows(Some(&Scheme::HTTPS), &sibling("a")));
        assert!(!outbound.allows(None, &Target::Application));
    }

    #[test]
    fn a_host_on_the_network_is_not_supported() {
        for host in ["https://example.com", "http://*:*", "*", "redis://a.spin.internal"] {
            assert!(allowed(host).is_err(), "{host}");
        }
    }
}
