//! The request headers that a component sees, as Spin sets them
//! (`crates/trigger-http/src/headers.rs` of Spin).

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};

use crate::app::router::Match;
use crate::manifest::allowed_hosts::sibling_id;

/// Removes what only concerns the server, and an authority of a sibling: with that, a client
/// would pose as another component.
pub fn strip<B>(request: &mut Request<B>) {
    let names_sibling = |authority: &str| {
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        sibling_id(host).is_some()
    };
    if request.uri().authority().is_some_and(|authority| names_sibling(authority.as_str())) {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
    }
    let headers = request.headers_mut();
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    // Several are an error in any case.
    if host.is_some_and(names_sibling) && hosts.next().is_none() {
        headers.remove(HOST);
    }
    headers.remove(CONNECTION);
}

/// Whether the body has a coding other than `chunked`, once (RFC 9112, section 6.1). hyper
/// only looks at the last one.
pub fn has_unknown_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let first = codings.next().map(|coding| coding.as_bytes().trim_ascii());
    let is_chunked = first.is_none_or(|coding| coding.eq_ignore_ascii_case(b"chunked"));
    !is_chunked || codings.next().is_some()
}

/// Makes the URI absolute, with the authority that URI or `Host` name.
///
/// # Errors
/// If neither names one, or they disagree, or there are several `Host` headers (RFC 9112,
/// section 3.2).
pub fn make_absolute<B>(request: &mut Request<B>) -> Result<()> {
    let hosts = request.headers().get_all(HOST).iter().count();
    ensure!(hosts <= 1, "there are {hosts} `Host` headers");
    let host = request.headers().get(HOST).map(|host| {
        let host = Authority::try_from(host.as_bytes());
        host.context("the `Host` header is no authority")
    });
    let mut parts = request.uri().clone().into_parts();
    let authority = match (host.transpose()?, parts.authority) {
        (Some(host), Some(authority)) => {
            ensure!(host == authority, "the `Host` header and the URI name different authorities");
            host
        }
        (host, authority) => host.or(authority).context("no `Host` header")?,
    };
    parts.authority = Some(authority);
    parts.scheme = Some(Scheme::HTTP);
    *request.uri_mut() = Uri::from_parts(parts)?;
    Ok(())
}

// As text, a name would be copied for each request.
const PATH_INFO: HeaderName = HeaderName::from_static("spin-path-info");
const FULL_URL: HeaderName = HeaderName::from_static("spin-full-url");
const CLIENT_ADDR: HeaderName = HeaderName::from_static("spin-client-addr");

/// The value of `spin-client-addr`.
pub fn client(address: SocketAddr) -> HeaderValue {
    HeaderValue::try_from(address.to_string()).unwrap_or(HeaderValue::from_static(""))
}

/// Appends the `spin-*` headers that tell a component about its request.
///
/// They come after the client's headers: if the client spoofed one, the last
/// value is the true one.
///
/// # Errors
/// If a part of the path is not valid in a header.
pub fn append<B>(
    request: &mut Request<B>,
    found: Match<'_>,
    client: HeaderValue,
) -> wasmtime::Result<()> {
    let uri = request.uri();
    let host = request.headers().get(HOST);
    let host = host.map_or("localhost", |host| host.to_str().unwrap_or("localhost"));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let full_url = ["http://", host, path].concat();
    let headers = request.headers_mut();
    headers.reserve(8);
    headers.append(PATH_INFO, HeaderValue::try_from(found.path_info)?);
    headers.append(FULL_URL, HeaderValue::try_from(full_url)?);
    for (name, value) in &found.route.headers {
        headers.append(name, value.clone());
    }
    headers.append(CLIENT_ADDR, client);
    for (name, value) in found.parameters {
        let name = format!("spin-path-match-{}", name.to_ascii_lowercase().replace('_', "-"));
        headers.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::router::Route;

    #[test]
    fn a_component_learns_its_route_path_and_client() {
        let mut request = Request::get("http://h.example/x/7/a?q").body(()).unwrap();
        request.headers_mut().insert(HOST, HeaderValue::from_static("h.example"));
        request.headers_mut().insert("spin-path-info", HeaderValue::from_static("spoofed"));
        let route = Route::new("/x/:id/...", "x");
        let parameters = vec![("id".into(), "7".into())];
        let found = Match { route: &route, path_info: "/a".into(), parameters };
        append(&mut request, found, client("127.0.0.1:9".parse().unwrap())).unwrap();
        let last = |name: &str| request.headers().get_all(name).iter().next_back().unwrap().clone();
        assert_eq!(last("spin-path-info"), "/a");
        assert_eq!(last("spin-full-url"), "http://h.example/x/7/a?q");
        assert_eq!(last("spin-matched-route"), "/x/:id/...");
        assert_eq!(last("spin-component-route"), "/x/:id");
        assert_eq!(last("spin-raw-component-route"), "/x/:id/...");
        assert_eq!(last("spin-base-path"), "/");
        assert_eq!(last("spin-client-addr"), "127.0.0.1:9");
        assert_eq!(last("spin-path-match-id"), "7");
    }

    #[test]
    fn connection_and_the_authority_of_a_sibling_do_not_reach_a_component() {
        for authority in ["movies.spin.internal", "movies.spin.internal:3000", "M.Spin.Internal"] {
            let uri = format!("http://{authority}/x?y");
            let mut request = Request::get(uri).body(()).unwrap();
            request.headers_mut().insert(HOST, HeaderValue::try_from(authority).unwrap());
            request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            strip(&mut request);
            assert!(request.headers().is_empty(), "{authority}");
            assert_eq!(request.uri(), "/x?y");
        }
    }

    #[test]
    fn a_host_that_differs_from_the_uri_is_an_error() {
        let mut request = Request::get("http://a.example/").body(()).unwrap();
        request.headers_mut().insert(HOST, HeaderValue::from_static("b.example"));
        assert!(make_absolute(&mut request).is_err());
        assert!(make_absolute(&mut Request::get("/").body(()).unwrap()).is_err());
    }
}
