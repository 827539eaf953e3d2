//! `/bookings` and `/seats`

use host::{App, Loader, full};
use http::{Method, Response};
use serde_json::json;
use support::{Lines, Reply, request};

use crate::writes::BOOKING;
use crate::{
    data, expect_problem, get, get_from, get_json, get_problem, loader, send, send_to, write_alone,
};

#[test]
fn bookings_are_listed_by_user_and_date() {
    let bookings = get_json("/bookings");
    assert_eq!(bookings, data("cinema/bookings.json"));
    assert_eq!(
        bookings["chris_rivers"],
        json!({"20151201": ["267eedb8-0f5d-42d5-8f43-72426b9fb3e6"]})
    );
}

#[test]
fn the_bookings_of_a_user_are_listed_by_date() {
    let bookings = get_json("/bookings/dwight_schrute");
    assert_eq!(
        bookings["20151201"],
        json!(["7daf7208-be4d-4944-a3ae-c1c2f516f3e6", "267eedb8-0f5d-42d5-8f43-72426b9fb3e6"])
    );
    assert_eq!(bookings["20151205"].as_array().unwrap().len(), 2);
}

#[test]
fn bookings_of_a_user_without_any_are_404() {
    for username in ["michael_scott", "nobody"] {
        let detail = get_problem(&format!("/bookings/{username}"), 404);
        assert!(detail.contains(username), "{detail}");
    }
}

const CREED: &str = "267eedb8-0f5d-42d5-8f43-72426b9fb3e6";
const FRANKENSTEIN: &str = "7daf7208-be4d-4944-a3ae-c1c2f516f3e6";

fn uri(username: &str, movie: &str) -> String {
    format!("/bookings/{username}/20151201/{movie}")
}

fn send_with(method: Method, path: &str, name: &'static str, tags: &str) -> Reply {
    let mut request = request(method, path);
    request.headers_mut().insert(name, tags.parse().unwrap());
    send(request)
}

#[test]
fn a_booking_is_created_once_shown_and_cancelled() {
    write_alone();
    let path = uri("peter_curley", CREED);
    get_problem(&path, 404);
    let created = send(request(Method::PUT, &path));
    assert_eq!(created.status, 201, "{created:?}");
    let booking =
        json!({"date": "20151201", "movie": CREED, "uri": path, "username": "peter_curley"});
    assert_eq!(created.json(), booking);
    let shown = get(&path);
    let again = send(request(Method::PUT, &path));
    assert_eq!((again.status.as_u16(), &again.body), (200, &created.body));
    for reply in [&created, &again] {
        assert_eq!(reply.header("content-location"), path);
        assert_eq!(reply.header("etag"), shown.header("etag"));
        assert_eq!(reply.body, shown.body);
    }
    assert_eq!(send(request(Method::DELETE, &path)).status, 204);
    get_problem(&path, 404);
    let detail = expect_problem(&send(request(Method::DELETE, &path)), 404, &path);
    assert!(detail.contains("peter_curley"), "{detail}");
}

#[test]
fn every_route_shows_a_booking_at_once_and_its_end() {
    write_alone();
    let (first, second) = (uri("peter_curley", CREED), uri("peter_curley", FRANKENSTEIN));
    let suggested = get_json("/users/peter_curley/suggested");
    get_problem("/users/peter_curley/bookings", 404);
    // Not in the order of the data file, but in that of booking.
    for path in [&second, &first] {
        assert_eq!(send(request(Method::PUT, path)).status, 201);
    }
    let expected = json!({"20151201": [FRANKENSTEIN, CREED]});
    assert_eq!(get_json("/bookings/peter_curley"), expected);
    assert_eq!(get_json("/bookings")["peter_curley"], expected);
    let described = get_json("/users/peter_curley/bookings");
    assert_eq!(described["20151201"][1]["title"], "Creed");
    assert_eq!(suggested[0]["title"], "Creed");
    assert_ne!(get_json("/users/peter_curley/suggested")[0]["title"], "Creed");
    assert_eq!(send(request(Method::DELETE, &second)).status, 204);
    assert_eq!(get_json("/bookings/peter_curley"), json!({"20151201": [CREED]}));
    assert_eq!(send(request(Method::DELETE, &first)).status, 204);
    get_problem("/bookings/peter_curley", 404);
    get_problem("/users/peter_curley/bookings", 404);
    assert_eq!(get_json("/users/peter_curley/suggested"), suggested);
    assert_eq!(get_json("/bookings"), data("cinema/bookings.json"));
}

#[test]
fn only_a_known_user_books_and_only_what_is_shown() {
    for (path, status, part) in [
        (uri("nobody", CREED), 404, "`nobody`"),
        (uri("nobody", "none"), 404, "`nobody`"),
        (uri("peter_curley", "none"), 409, "`none`"),
        (format!("/bookings/peter_curley/20151130/{CREED}"), 409, "`20151130`"),
        (format!("/bookings/peter_curley/never/{CREED}"), 409, "`never`"),
    ] {
        let reply = send(request(Method::PUT, &path));
        let detail = expect_problem(&reply, status, &path);
        assert!(detail.contains(part), "{path}: {detail}");
        if status == 409 {
            assert_eq!(reply.json()["type"], "/openapi.json#/components/responses/NotShown");
        }
    }
}

#[test]
fn a_write_succeeds_only_if_its_conditions_are_met() {
    write_alone();
    let path = uri("peter_curley", CREED);
    for (name, tags) in [("if-match", "*"), ("if-match", "\"x\"")] {
        expect_problem(&send_with(Method::PUT, &path, name, tags), 412, &path);
        expect_problem(&send_with(Method::DELETE, &path, name, tags), 404, &path);
    }
    assert_eq!(send_with(Method::PUT, &path, "if-none-match", "*").status, 201);
    let etag = get(&path).header("etag").to_owned();
    let weak = format!("W/{etag}");
    for (name, tags) in [
        ("if-none-match", "*"),
        ("if-none-match", &weak),
        ("if-match", &weak),
        ("if-match", "\"x\""),
    ] {
        expect_problem(&send_with(Method::PUT, &path, name, tags), 412, &path);
        expect_problem(&send_with(Method::DELETE, &path, name, tags), 412, &path);
    }
    for tags in ["*", &etag, &format!("\"x\", {etag}")] {
        assert_eq!(send_with(Method::PUT, &path, "if-match", tags).status, 200, "{tags}");
    }
    assert_eq!(send_with(Method::DELETE, &path, "if-match", &etag).status, 204);
}

#[test]
fn a_show_has_as_many_seats_as_the_variable_says_and_bookings_of_the_data_file_count() {
    let seats = |app: &App| get_from(app, "/seats/20151201").json()[CREED].clone();
    // Four users have booked it.
    let app = loader().variable("seats", "5").load().unwrap();
    assert_eq!(seats(&app), json!({"left": 1, "seats": 5}));
    let put = |username| send_to(&app, request(Method::PUT, &uri(username, CREED)));
    assert_eq!(put("peter_curley").status, 201);
    assert_eq!(seats(&app)["left"], 0);
    let refused = put("michael_scott");
    let detail = expect_problem(&refused, 409, &uri("michael_scott", CREED));
    assert!(detail.contains("All 5 seats"), "{detail}");
    assert_eq!(refused.json()["type"], "/openapi.json#/components/responses/SoldOut");
    assert_eq!(put("peter_curley").status, 200, "who has a seat keeps it");
    assert_eq!(send_to(&app, request(Method::DELETE, &uri("peter_curley", CREED))).status, 204);
    assert_eq!(put("michael_scott").status, 201);
    let fewer = loader().variable("seats", "2").load().unwrap();
    assert_eq!(seats(&fewer), json!({"left": 0, "seats": 2}));
}

#[test]
fn seats_are_listed_for_the_movies_with_bookings_on_a_date() {
    let seats = get_json("/seats/20151204");
    assert_eq!(seats["591fa0b8-bf21-4d90-ae95-6dfb98bbfb49"], json!({"left": 98, "seats": 100}));
    assert_eq!(seats.as_object().unwrap().len(), 5);
    assert_eq!(get_json("/seats/20990101"), json!({}));
}

#[test]
fn a_number_of_seats_that_is_none_is_500_and_logged() {
    let lines = Lines::default();
    let app = loader().log(lines.log()).variable("seats", "many").load().unwrap();
    expect_problem(&get_from(&app, "/seats/20151201"), 500, "/seats/20151201");
    assert!(lines.text().contains("the variable `seats` must be"), "{}", lines.text());
    assert_eq!(get_from(&app, "/bookings").status, 200);
}

#[test]
fn seats_of_a_date_that_has_not_eight_digits_are_404() {
    for date in ["2015120", "201512011", "2015-12-01", "yesterday", "%D9%A2%D9%A0151201"] {
        assert!(get_problem(&format!("/seats/{date}"), 404).contains("YYYYMMDD"), "{date}");
    }
    assert_eq!(get_json("/seats/20151231"), json!({}));
}

#[test]
fn a_booking_can_be_repeated_whatever_has_become_of_its_user_and_its_show() {
    let state = support::state_dir();
    let start = |loader: Loader| loader.state_dir(&state).load().expect("an application");
    assert_eq!(send_to(&start(loader()), request(Method::PUT, BOOKING)).status, 201);
    let failing = || |_| async { Response::builder().status(500).body(host::empty()).unwrap() };
    let gone = || {
        |_| async {
            let problem = Response::builder().status(404);
            problem.header("content-type", "application/problem+json").body(full("{}")).unwrap()
        }
    };
    for app in [
        loader().replace("users", failing()),
        loader().replace("users", gone()),
        loader().replace("showtimes", failing()),
        loader().replace("showtimes", gone()),
        loader().replace("showtimes", |_| std::future::pending()),
    ] {
        let app = start(app.variable("sibling_deadline_ms", "300"));
        let reply = send_to(&app, request(Method::PUT, BOOKING));
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("content-location"), BOOKING);
        let mut create_only = request(Method::PUT, BOOKING);
        create_only.headers_mut().insert("if-none-match", "*".parse().unwrap());
        assert_eq!(send_to(&app, create_only).status, 412);
        let other = BOOKING.replace("peter_curley", "michael_scott");
        let status = send_to(&app, request(Method::PUT, &other)).status.as_u16();
        assert!([404, 409, 503, 504].contains(&status), "{status}: no booking to repeat");
    }
}
