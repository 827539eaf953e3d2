//! One service per process: the same components give the same answers, to clients and to
//! each other, and the same errors when a process fails.

mod processes;
mod services;
mod traces;

use std::collections::BTreeSet;
use std::env;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::server::Reply;

use services::Services;

/// How long services wait for siblings, in milliseconds, where a test lets one fail.
const DEADLINE: u32 = 1_000;

/// The modules of the black-box suite that do not ask the server at `APP_URL`.
const IN_PROCESS: [&str; 9] = [
    "architecture::",
    "calls::",
    "data::",
    "database::",
    "deadlines::",
    "failures::",
    "logs::",
    "numbers::",
    "siblings::",
];

/// Keeps a test that needs the whole machine from those whose services have a deadline.
static BUSY: RwLock<()> = RwLock::new(());

/// A request that makes a service ask a sibling.
struct Call {
    method: &'static str,
    path: &'static str,
    body: Option<Value>,
    service: &'static str,
    sibling: &'static str,
    success: u16,
}

/// Every pair of a service and a sibling.
fn calls() -> Vec<Call> {
    let booking = "/bookings/michael_scott/20151201/267eedb8-0f5d-42d5-8f43-72426b9fb3e6";
    let call = |method, path, service, sibling, success| {
        let body = (path == "/todo/lists/luckas/errands").then(|| json!(["Buy milk"]));
        Call { method, path, body, service, sibling, success }
    };
    vec![
        call("PUT", booking, "bookings", "users", 201),
        call("PUT", booking, "bookings", "showtimes", 201),
        call("GET", "/users/dwight_schrute/bookings", "users", "bookings", 200),
        call("GET", "/users/dwight_schrute/bookings", "users", "movies", 200),
        call("GET", "/users/dwight_schrute/suggested", "users", "bookings", 200),
        call("GET", "/users/dwight_schrute/suggested", "users", "movies", 200),
        call("GET", "/todo/users/aniket/lists", "todo-users", "todo-lists", 200),
        call("PUT", "/todo/lists/luckas/errands", "todo-lists", "todo-users", 201),
    ]
}

impl Call {
    /// Sends the request to the server at `address`.
    fn send(&self, address: &str) -> Reply {
        Reply::expect(address, self.method, self.path, "", self.body.as_ref())
    }

    /// Checks that `reply` tells which sibling failed, and that the log says why.
    fn expect_problem(&self, services: &Services, reply: &Reply, status: u16, failure: &str) {
        let Self { method, path, sibling, .. } = self;
        assert_eq!(reply.status, status, "{failure} {sibling} at {method} {path}: {reply:?}");
        let detail = reply.json()["detail"].as_str().expect("a detail").to_owned();
        assert!(detail.contains(&format!("`{sibling}`")), "{failure}: {detail}");
        services.front.process.wait_for_line(&[&format!("{method} {path}: {sibling}: /")]);
    }

    /// Checks that the sibling answers again, and undoes what the request did.
    fn expect_success(&self, services: &Services, failure: &str) {
        let reply = self.send(&services.address);
        assert_eq!(reply.status, self.success, "after {failure}: {}: {reply:?}", self.path);
        if self.method == "PUT" {
            let reply = Reply::expect(&services.address, "DELETE", self.path, "", None);
            assert_eq!(reply.status, 204, "{reply:?}");
        }
    }
}

/// Answers each connection of a new port in a thread, until the test ends.
fn listen(answer: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || answer(client));
        }
    });
    address
}

/// Runs the black-box suite against the server at `address`, with `threads` tests at a
/// time.
fn check_with_the_black_box_suite(address: &str, threads: &str) {
    let mut command = Command::new(env!("CARGO"));
    // What Cargo tells this test about its package, some build scripts take for a change.
    let own = |name: &String| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for name in env::vars().map(|(name, _)| name).filter(own) {
        command.env_remove(name);
    }
    let output = command
        .args(["test", "--quiet", "--test", "api", "--"])
        .args(IN_PROCESS.iter().flat_map(|module| ["--skip", module]))
        .current_dir(support::folder(""))
        .env("APP_URL", format!("http://{address}"))
        .env("RUST_TEST_THREADS", threads)
        .output()
        .expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    let passed = text.split(" passed").next().and_then(|text| text.rsplit(' ').next());
    let passed: usize = passed.and_then(|number| number.parse().ok()).expect("a number of tests");
    assert!(passed > 80, "only {passed} tests ran");
}

#[test]
fn the_black_box_suite_passes_with_each_service_in_a_process_of_its_own() {
    let services = Services::start(30_000);
    check_with_the_black_box_suite(&services.address, "2");
}

#[test]
fn the_black_box_suite_passes_where_a_connection_takes_one_statement_at_a_time() {
    let _alone = BUSY.write().unwrap_or_else(PoisonError::into_inner);
    let loader = support::loader(&support::application()).like_libsql();
    let loader = loader.variable("sibling_deadline_ms", "30000");
    let served = support::serve(loader.load().expect("an application"));
    check_with_the_black_box_suite(&served.address, "16");
}

#[test]
fn a_sibling_whose_process_is_killed_is_not_available_until_it_is_started_again() {
    let services = Services::start(DEADLINE);
    for call in calls() {
        call.expect_success(&services, "nothing");
        let (_, address) = services.process(call.service);
        let reply = services.killed(call.sibling, || call.send(&address));
        call.expect_problem(&services, &reply, 503, "killed");
        call.expect_success(&services, "a restart");
    }
}

#[test]
fn a_sibling_whose_process_is_stopped_is_late_until_it_continues() {
    let services = Services::start(DEADLINE);
    for call in calls() {
        services.stop(call.sibling);
        let start = Instant::now();
        let reply = call.send(&services.address);
        let deadline = Duration::from_millis(DEADLINE.into());
        assert!((deadline..4 * deadline).contains(&start.elapsed()), "{:?}", start.elapsed());
        call.expect_problem(&services, &reply, 504, "stopped");
        services.signal(call.sibling, "-CONT");
        call.expect_success(&services, "a pause");
    }
}

#[test]
fn a_sibling_that_is_replaced_by_nonsense_is_reported_as_what_it_is() {
    // A connection that may be used again must not be closed: the next request could be lost.
    let ok = "HTTP/1.1 200 OK\r\nconnection: close\r\n";
    let json = format!("{ok}content-type: application/json\r\ncontent-length: ");
    let responses = [
        (format!("{json}8\r\n\r\nnonsense"), 502),
        (format!("{json}9\r\n\r\nbroken"), 502),
        (format!("{ok}content-length: 0\r\n\r\n"), 502),
        ("HTTP/1.1 500 Oops\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".into(), 503),
        ("220 mail.example.com ESMTP\r\n".into(), 503),
        (String::new(), 503),
    ];
    let answer = Arc::new(RwLock::new(String::new()));
    let nonsense = answer.clone();
    let address = listen(move |mut client| {
        _ = client.read(&mut [0; 4096])?;
        client.write_all(nonsense.read().unwrap().as_bytes())
    });
    for sibling in BTreeSet::from_iter(calls().iter().map(|call| call.sibling)) {
        let variable = format!("{}_url=http://{address}", sibling.replace('-', "_"));
        let services = Services::start_with(DEADLINE, |command| {
            command.args(["--variable", &variable]);
        });
        for (response, status) in &responses {
            answer.write().unwrap().clone_from(response);
            for call in calls().iter().filter(|call| call.sibling == sibling) {
                let reply = call.send(&services.address);
                call.expect_problem(&services, &reply, *status, response);
            }
        }
    }
}

#[test]
fn a_service_whose_siblings_are_gone_answers_what_needs_none() {
    let services = Services::start_with(DEADLINE, |command| {
        command.args(["--component-id", "users"]);
    });
    assert_eq!(services.get("/users/dwight_schrute").status, 200);
    assert_eq!(services.get("/users/dwight_schrute/bookings").status, 503);
    assert_eq!(services.get("/movies").status, 404);
}
