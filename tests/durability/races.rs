//! Clients that write to the same resources at the same moment, through two servers
//! that share the database.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Barrier;
use std::thread::scope;
use std::time::Instant;

use serde_json::{Value, json};
use support::process::wait_until_closed;
use support::server::{Reply, Server, command};
use support::{application, data};

use crate::faults::lock;
use crate::{DATE, LOCK_WAIT, MOVIE, check_integrity};

/// Two servers of the application in `folder`, with the database in `state`.
fn two_servers(folder: &Path, state: &Path) -> [Server; 2] {
    [(); 2].map(|()| Server::start(command(folder, state)))
}

/// Does `act` for each number below `count`, all at the same moment, with one of the
/// servers. Gives the results in the order of the numbers.
fn at_once<T: Send>(
    count: usize,
    servers: &[Server],
    act: impl Fn(usize, &Server) -> T + Sync,
) -> Vec<T> {
    let (barrier, act) = (Barrier::new(count), &act);
    scope(|scope| {
        let threads = (0..count).map(|number| {
            let (barrier, server) = (&barrier, &servers[number % servers.len()]);
            scope.spawn(move || {
                barrier.wait();
                act(number, server)
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().expect("no complaint")).collect()
    })
}

/// Sends a request that competes with many others. On a busy machine it may have waited
/// in vain for as long as a statement waits for its turn, but not less. Then it is sent
/// again, as the answer demands.
fn patiently(send: impl Fn() -> Reply) -> Reply {
    for _ in 0..10 {
        let start = Instant::now();
        let reply = send();
        if reply.status != 503 || start.elapsed() < LOCK_WAIT {
            return reply;
        }
    }
    panic!("still no turn");
}

/// Changes the JSON object in the file at `path`.
fn change(path: &Path, change: impl FnOnce(&mut serde_json::Map<String, Value>)) {
    let text = std::fs::read_to_string(path).expect("a file");
    let mut content: Value = serde_json::from_str(&text).expect("JSON");
    change(content.as_object_mut().expect("an object"));
    std::fs::write(path, content.to_string()).expect("written");
}

#[test]
fn two_servers_never_sell_more_seats_than_there_are() {
    const SEATS: usize = 100;
    const CLIENTS: usize = 160;
    /// A date with a show for which nobody has booked.
    const DATE: &str = "20151224";
    let folder = support::copy(&application());
    change(&folder.path().join("data/cinema/users.json"), |users| {
        for number in 0..CLIENTS {
            let username = format!("user_{number}");
            let user = json!({"id": username, "name": "A User", "last_active": 1360031010});
            users.insert(username, user);
        }
    });
    change(&folder.path().join("data/cinema/showtimes.json"), |shows| {
        shows.insert(DATE.to_owned(), json!([MOVIE]));
    });
    let state = tempfile::tempdir().expect("a folder");
    let servers = [(); 2].map(|()| {
        let mut command = command(folder.path(), state.path());
        command.args(["--variable", &format!("seats={SEATS}")]);
        Server::start(command)
    });
    let path = |number| format!("/bookings/user_{number}/{DATE}/{MOVIE}");
    let book = |number, server: &Server| patiently(|| server.put(&path(number), None));
    let replies = at_once(CLIENTS, &servers, book);
    for reply in &replies {
        assert!([201, 409].contains(&reply.status), "{reply:?}\n{}", servers[0].process.log());
        if reply.status == 409 {
            let problem = reply.json();
            assert!(problem["type"].as_str().unwrap().ends_with("/SoldOut"), "{problem}");
        }
    }
    let has_booked = |number: usize| replies[number].status == 201;
    assert_eq!((0..CLIENTS).filter(|number| has_booked(*number)).count(), SEATS);
    for server in &servers {
        let seats = server.get_json(&format!("/seats/{DATE}"));
        assert_eq!(seats, json!({MOVIE: {"left": 0, "seats": SEATS}}));
        for number in 0..CLIENTS {
            let expected = if has_booked(number) { 200 } else { 404 };
            assert_eq!(server.get(&path(number)).status, expected, "{number}");
        }
    }
    // A seat that one server gives back, the other one sells, once.
    let first = (0..CLIENTS).find(|number| has_booked(*number)).unwrap();
    assert_eq!(servers[0].delete(&path(first)).status, 204);
    let others: Vec<_> = (0..CLIENTS).filter(|number| !has_booked(*number)).collect();
    let replies =
        at_once(others.len(), &servers, |number, server| book(others[number], server).status);
    assert_eq!(replies.iter().filter(|status| **status == 201).count(), 1, "{replies:?}");
    assert_eq!(replies.iter().filter(|status| **status == 409).count(), others.len() - 1);
    drop(servers);
    check_integrity(state.path());
}

#[test]
fn clients_that_add_to_the_same_list_lose_nothing() {
    const CLIENTS: usize = 64;
    const PATH: &str = "/todo/lists/luckas/party";
    let state = tempfile::tempdir().expect("a folder");
    let servers = two_servers(&application(), state.path());
    at_once(CLIENTS, &servers, |number, server| {
        // Each refusal means that somebody else has added an item in between.
        for _ in 0..CLIENTS {
            let list = patiently(|| server.get(PATH));
            let (condition, mut items) = match list.status {
                200 => (format!("if-match: {}\r\n", list.header("etag")), list.json()),
                404 => ("if-none-match: *\r\n".to_owned(), json!([])),
                _ => panic!("{list:?}\n{}", server.process.log()),
            };
            items.as_array_mut().expect("items").push(format!("item {number}").into());
            let reply =
                patiently(|| Reply::expect(&server.address, "PUT", PATH, &condition, Some(&items)));
            match reply.status {
                200 | 201 => return,
                412 => {}
                _ => panic!("{reply:?}\n{}", server.process.log()),
            }
        }
        panic!("client {number} was refused {CLIENTS} times");
    });
    let mut expected: Vec<_> = (0..CLIENTS).map(|number| format!("item {number}")).collect();
    expected.sort();
    for server in &servers {
        let list = server.get_json(PATH);
        let items = list.as_array().expect("items").iter();
        let mut items: Vec<_> = items.map(|item| item.as_str().expect("a text")).collect();
        items.sort_unstable();
        assert_eq!(items, expected);
    }
}

#[test]
fn a_database_that_many_start_at_once_has_the_data_files_once() {
    let lists = data("todo/lists.json");
    let mut expected = vec![("/bookings".to_owned(), data("cinema/bookings.json"))];
    for (username, lists) in lists.as_object().expect("users") {
        expected.push((format!("/todo/lists/{username}"), lists.clone()));
    }
    for _ in 0..4 {
        let state = tempfile::tempdir().expect("a folder");
        let servers = two_servers(&application(), state.path());
        at_once(32, &servers, |number, server| {
            let (path, content) = &expected[number / 2 % expected.len()];
            let reply = patiently(|| server.get(path));
            assert_eq!(reply.status, 200, "{path}: {reply:?}");
            assert_eq!(reply.json(), *content, "{path}");
        });
        for (path, content) in &expected {
            assert_eq!(servers[0].get_json(path), *content, "{path}");
        }
        drop(servers);
        check_integrity(state.path());
    }
}

#[test]
fn what_was_deleted_does_not_come_back_after_a_restart() {
    let state = tempfile::tempdir().expect("a folder");
    let booking = format!("/bookings/chris_rivers/{DATE}/{MOVIE}");
    let server = Server::start(command(&application(), state.path()));
    for path in [&booking, "/todo/lists/aniket/school"] {
        assert_eq!(server.delete(path).status, 204, "{path}");
    }
    drop(server);
    let server = Server::start(command(&application(), state.path()));
    for path in [&booking, "/bookings/chris_rivers", "/todo/lists/aniket/school"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    let mut expected = data("cinema/bookings.json");
    expected.as_object_mut().expect("users").remove("chris_rivers");
    assert_eq!(server.get_json("/bookings"), expected);
}

#[test]
fn a_server_that_is_stopped_while_writes_wait_for_their_turn_ends_well() {
    let state = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(command(&application(), state.path()));
    assert_eq!(server.get("/bookings").status, 200);
    let lock = lock(state.path());
    let cancel = format!("DELETE /bookings/nobody/{DATE}/{MOVIE} HTTP/1.1\r\nhost: a\r\n\r\n");
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let mut client = TcpStream::connect(&server.address).expect("a connection");
            client.write_all(cancel.as_bytes()).expect("sent");
            client
        })
        .collect();
    // By then, the writes wait.
    for _ in 0..16 {
        assert_eq!(server.get("/bookings").status, 200);
    }
    drop(clients);
    server.process.signal("-TERM");
    // The server has seen the signal when it no longer listens.
    wait_until_closed(&server.address);
    drop(lock);
    assert_eq!(server.process.wait(), Some(0));
    assert!(!server.process.log().contains("panicked"), "{}", server.process.log());
}
