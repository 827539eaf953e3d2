//! `/`, its files, `/api`

use std::collections::BTreeSet;
use std::fs;

use http::{Method, Request};
use support::{Reply, folder, request};

use crate::openapi::{reads, routes};
use crate::{application, get, get_from, get_json, get_problem, send};

const SITE: &str = "components/home/site";

fn with(path: &str, name: &'static str, value: &str) -> Request<host::Body> {
    let mut request = request(Method::GET, path);
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

/// The front page, as a browser asks for it.
fn page() -> Reply {
    send(with("/", "accept", "text/html,application/xhtml+xml,*/*;q=0.8"))
}

/// The values of the attribute `name` in `page`.
fn attributes<'a>(page: &'a str, name: &str) -> BTreeSet<&'a str> {
    let start = format!(" {name}=\"");
    page.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

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
fn the_page_of_the_api_links_to_an_example_of_every_path() {
    let page = get("/api").body;
    let links: BTreeSet<_> =
        page.split("<a href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let examples: BTreeSet<_> = reads().map(|operation| operation.example).collect();
    assert_eq!(links, examples.iter().map(String::as_str).collect());
    for link in links {
        assert_eq!(get(link).status, 200, "{link}");
    }
}

#[test]
fn clients_that_prefer_html_get_the_front_page() {
    let page = page();
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.body, fs::read_to_string(folder(SITE).join("index.html")).unwrap());
}

#[test]
fn every_file_of_the_front_page_is_served_with_its_type_and_revalidated_by_its_tag() {
    let mut size = 0;
    for entry in folder(SITE).read_dir().expect("a folder") {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("/site/{name}");
        let file = get(&path);
        let content_type = match name.rsplit('.').next().unwrap() {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            other => panic!("no media type of .{other}"),
        };
        assert_eq!(file.header("content-type"), content_type, "{name}");
        assert_eq!(file.body, fs::read_to_string(entry.path()).unwrap(), "{name}");
        let again = send(with(&path, "if-none-match", file.header("etag")));
        assert_eq!(again.status, 304, "{name}");
        size += file.body.len();
    }
    assert!(size < 60_000, "the files have {size} bytes in all");
}

#[test]
fn the_front_page_names_all_that_it_loads_and_nothing_of_another_origin() {
    let page = page().body;
    let named: BTreeSet<_> =
        ["src", "href"].iter().flat_map(|name| attributes(&page, name)).collect();
    for file in folder(SITE).read_dir().expect("a folder") {
        let path = format!("/site/{}", file.unwrap().file_name().into_string().unwrap());
        assert!(named.contains(&*path) || path == "/site/index.html", "the page lacks {path}");
    }
    for path in named.iter().filter(|path| path.starts_with('/')) {
        assert_eq!(get(path).status, 200, "{path}");
    }
    let loaded =
        page.split('<').filter(|tag| tag.starts_with("link ") || tag.starts_with("script "));
    for tag in loaded {
        assert!(tag.contains("=\"/"), "another origin, or an inline script: <{tag}");
    }
    for inline in ["<style", " style=", " onclick=", "javascript:"] {
        assert!(!page.contains(inline), "{inline}");
    }
}

#[test]
fn a_name_of_a_file_reaches_no_other_file() {
    for name in ["nope.js", "..%2Fopenapi.json", "app.js%00", "site%2Fapp.js"] {
        get_problem(&format!("/site/{name}"), 404);
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

#[test]
fn a_file_that_is_no_text_is_served_and_harms_no_other() {
    let copy = support::copy(&application());
    let bytes = [0, 159, 146, 150];
    std::fs::write(copy.path().join("components/home/site/photo.bin"), bytes).expect("written");
    let app = support::loader(copy.path()).load().expect("an application");
    for path in ["/site/app.js", "/site/style.css"] {
        assert_eq!(get_from(&app, path).status, 200, "{path}");
    }
    let mut head = request(Method::HEAD, "/site/photo.bin");
    head.headers_mut().insert("accept", "*/*".parse().unwrap());
    let reply = support::send(&app, head);
    assert_eq!((reply.status.as_u16(), reply.header("content-length")), (200, "4"), "{reply:?}");
    assert_eq!(reply.header("content-type"), "application/octet-stream");
}
