//! `/`

use std::collections::BTreeSet;

use http::Method;
use support::request;

use crate::openapi::{reads, routes};
use crate::{get, get_json, get_problem, send};

#[test]
fn the_index_lists_every_route() {
    let index = get_json("/");
    assert_eq!(index["uri"], "/");
    let uris = index["subresource_uris"].as_object().unwrap();
    assert_eq!(uris["movies"], "/movies");
    assert_eq!(uris["movie"], "/movies/<id>");
    assert_eq!(uris["movies_by_id"], "/movies?id=<a>&id=<b>");
    let listed: BTreeSet<_> = uris.values().map(|uri| uri.as_str().unwrap()).collect();
    let routes = routes().into_keys().filter(|route| *route != "/");
    assert_eq!(listed, routes.collect());
}

#[test]
fn the_page_links_to_an_example_of_every_path() {
    let mut request = request(Method::GET, "/");
    request.headers_mut().insert("accept", "text/html".parse().unwrap());
    let page = send(request).body;
    let links = page.split("<a href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let links: BTreeSet<_> = links.map(str::to_owned).collect();
    assert_eq!(links, reads().map(|operation| operation.example).collect());
    for link in links {
        assert_eq!(get(&link).status, 200, "{link}");
    }
}

#[test]
fn a_path_that_no_service_answers_is_404() {
    for path in [
        "/nope",
        "/movie",
        "/moviesx",
        "/movies/a/b",
        "/movies//a",
        "/showtimes/20151201/creed",
        "/bookings/chris_rivers/20151201",
        "/bookings/chris_rivers/20151201/creed/row",
        "/seats",
        "/users/chris_rivers/friends",
        "/users/chris_rivers/bookings/20151201",
        "/todo/nope",
        "/todo/users/aniket/lists/school",
        "/todo/lists/aniket/school/homework",
        "/index.html",
    ] {
        let detail = get_problem(path, 404);
        assert!(detail.contains("GET /"), "{path}: {detail}");
    }
}
