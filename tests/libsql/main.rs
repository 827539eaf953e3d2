//! The application on three real Spins that share one real libSQL server:
//! `SPIN=<path> SQLD=<path> cargo test --test libsql`. `deploy/README.md` has what this
//! takes, and the rates that it prints with `--nocapture`.

mod servers;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Barrier, Mutex};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::data;
use support::server::Reply;

use servers::{Database, installed, start};
use support::process::Spin;

const DATE: &str = "20151201";
const MOVIE: &str = "267eedb8-0f5d-42d5-8f43-72426b9fb3e6";

/// How long sqld lets a writer wait.
const LOCK_WAIT: Duration = Duration::from_millis(4900);

/// Tests take turns: their servers need the whole machine.
static TURN: Mutex<()> = Mutex::new(());

/// Runs `test` with three Spins on a new database, if both are installed.
fn with_three_spins(variables: &[&str], test: impl FnOnce(Database, [Spin; 3])) {
    with_database(|spin, database| {
        let spins = [(); 3].map(|()| start(spin, &database, variables));
        test(database, spins);
    });
}

fn with_database(test: impl FnOnce(&PathBuf, Database)) {
    let Some((spin, sqld)) = installed() else { return };
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    test(&spin, Database::start(sqld));
}

/// Sends a request, and sends it again if it has waited in vain for its turn to write: with
/// many writers, sqld now and then lets all of them wait for five seconds
/// (`deploy/README.md`). Whatever takes less time is an answer.
fn send(spin: &Spin, method: &str, path: &str, headers: &str, body: Option<&Value>) -> Reply {
    for _ in 0..5 {
        let start = Instant::now();
        let reply = Reply::expect(&spin.address, method, path, headers, body);
        if reply.status != 503 || start.elapsed() < LOCK_WAIT {
            return reply;
        }
    }
    panic!("{method} {path}: still no turn");
}

fn get(spin: &Spin, path: &str) -> Reply {
    send(spin, "GET", path, "", None)
}

/// Does `act` for each number below `count`, all at the same moment, with one of `spins`.
fn at_once<T: Send>(
    count: usize,
    spins: &[Spin],
    act: impl Fn(usize, &Spin) -> T + Sync,
) -> Vec<T> {
    let (barrier, act) = (Barrier::new(count), &act);
    scope(|scope| {
        let threads = (0..count).map(|number| {
            let (barrier, spin) = (&barrier, &spins[number % spins.len()]);
            scope.spawn(move || {
                barrier.wait();
                act(number, spin)
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().expect("no complaint")).collect()
    })
}

/// Checks that the counters of booked seats are as many as the bookings.
fn check_counters(database: &Database) {
    let counted = "SELECT date, movie, count(*) FROM bookings GROUP BY date, movie";
    let counters = "SELECT date, movie, booked FROM booked_seats WHERE booked <> 0";
    for (these, those) in [(counted, counters), (counters, counted)] {
        assert_eq!(database.execute(&format!("{these} EXCEPT {those}")), json!([]));
    }
}

#[test]
fn many_clients_of_a_new_database_read_at_the_same_time() {
    with_three_spins(&[], |database, spins| {
        let paths = [
            ("/bookings", data("cinema/bookings.json")),
            ("/todo/lists/meera", data("todo/lists.json")["meera"].clone()),
            ("/bookings/dwight_schrute", data("cinema/bookings.json")["dwight_schrute"].clone()),
        ];
        let start = Instant::now();
        at_once(24, &spins, |number, spin| {
            for round in 0..30 {
                let (path, expected) = &paths[(number + round) % paths.len()];
                let reply = get(spin, path);
                assert_eq!(reply.status, 200, "{reply:?}\n{}", spin.log());
                assert_eq!(reply.json(), *expected, "{path}");
            }
        });
        println!("720 reads: {:.0}/s", 720.0 / start.elapsed().as_secs_f64());
        check_counters(&database);
    });
}

#[test]
fn no_seat_is_sold_twice() {
    with_three_spins(&["seats=3"], |database, spins| {
        let users = ["michael_scott", "peter_curley", "dwight_schrute", "chris_rivers"];
        let shows = data("cinema/showtimes.json");
        let (date, movies) = shows.as_object().expect("dates").iter().next().expect("a date");
        let movie = movies[0].as_str().expect("an id");
        get(&spins[0], "/bookings");
        let check_booked = || {
            let booked = database.execute(&format!(
                "SELECT count(*) FROM bookings WHERE date = '{date}' AND movie = '{movie}'"
            ));
            let booked: u32 =
                booked[0][0].as_str().and_then(|text| text.parse().ok()).expect("a number");
            assert!(booked <= 3, "{booked} of 3 seats");
        };
        let start = Instant::now();
        at_once(24, &spins, |number, spin| {
            for round in 0..24 {
                let user = users[(number + round) % users.len()];
                let path = format!("/bookings/{user}/{date}/{movie}");
                let method = if (number / 4 + round) % 3 == 0 { "DELETE" } else { "PUT" };
                let reply = send(spin, method, &path, "", None);
                let expected: &[u16] = if method == "PUT" { &[200, 201, 409] } else { &[204, 404] };
                assert!(expected.contains(&reply.status), "{reply:?}\n{}", spin.log());
                let seats = get(spin, &format!("/seats/{date}"));
                assert_eq!(seats.status, 200, "{seats:?}\n{}", spin.log());
                check_booked();
            }
        });
        println!("576 racing bookings: {:.0}/s", 576.0 / start.elapsed().as_secs_f64());
        check_counters(&database);
    });
}

#[test]
fn of_racing_updates_of_a_list_none_is_lost_and_none_without_conditions_is_refused() {
    const PATH: &str = "/todo/lists/luckas/party";
    with_three_spins(&[], |_, spins| {
        get(&spins[0], "/todo/lists");
        let start = Instant::now();
        at_once(48, &spins, |number, spin| {
            for _ in 0..200 {
                let list = get(spin, PATH);
                let (condition, mut items) = match list.status {
                    200 => (format!("if-match: {}\r\n", list.header("etag")), list.json()),
                    404 => ("if-none-match: *\r\n".to_owned(), json!([])),
                    _ => panic!("{list:?}\n{}", spin.log()),
                };
                items.as_array_mut().expect("items").push(format!("item {number}").into());
                let reply = send(spin, "PUT", PATH, &condition, Some(&items));
                match reply.status {
                    200 | 201 => return,
                    412 => {}
                    _ => panic!("{reply:?}\n{}", spin.log()),
                }
            }
            panic!("client {number} was always refused");
        });
        println!("48 racing updates of a list: {:.1} s", start.elapsed().as_secs_f64());
        let list = get(&spins[0], PATH).json();
        let items = list.as_array().expect("items").iter().map(Value::to_string);
        assert_eq!(items.collect::<std::collections::BTreeSet<_>>().len(), 48, "{list}");
        at_once(24, &spins, |number, spin| {
            for round in 0..8 {
                let reply = match (number + round) % 4 {
                    0 => send(spin, "DELETE", PATH, "", None),
                    _ => send(spin, "PUT", PATH, "", Some(&json!([number.to_string()]))),
                };
                assert!([200, 201, 204, 404].contains(&reply.status), "{reply:?}\n{}", spin.log());
            }
        });
    });
}

/// What writers of lists were told, while something is killed.
#[derive(Default)]
struct Written {
    acknowledged: Mutex<BTreeMap<String, Value>>,
    count: AtomicUsize,
    unanswered: AtomicUsize,
    refused: AtomicUsize,
    stop: AtomicBool,
}

impl Written {
    /// Writes lists of its own, one after the other, until told to stop.
    fn write(&self, writer: usize, address: &str) {
        for round in 0.. {
            if self.stop.load(Relaxed) {
                return;
            }
            let path = format!("/todo/lists/luckas/{writer}-{}", round % 8);
            let items = json!([round.to_string()]);
            match Reply::to(address, "PUT", &path, "", Some(&items)) {
                Some(reply) if matches!(reply.status, 200 | 201) => {
                    self.acknowledged.lock().unwrap().insert(path, items);
                    self.count.fetch_add(1, Relaxed);
                }
                other => {
                    // Whether it was written is unknown.
                    self.acknowledged.lock().unwrap().remove(&path);
                    match other {
                        Some(reply) => {
                            assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
                            self.refused.fetch_add(1, Relaxed);
                        }
                        None => _ = self.unanswered.fetch_add(1, Relaxed),
                    }
                    sleep(Duration::from_millis(20));
                }
            }
        }
    }

    fn wait_for(&self, count: usize) {
        let start = Instant::now();
        while self.count.load(Relaxed) < count {
            assert!(start.elapsed() < Duration::from_secs(120), "only {:?}", self.count);
            sleep(Duration::from_millis(1));
        }
    }

    fn check(&self, spin: &Spin) {
        let lists = get(spin, "/todo/lists/luckas");
        assert_eq!(lists.status, 200, "{lists:?}");
        let lists = lists.json();
        for (path, items) in &*self.acknowledged.lock().unwrap() {
            let name = path.rsplit('/').next().expect("a name");
            assert_eq!(lists[name], *items, "{path}");
        }
        println!(
            "{} writes acknowledged, {} refused, {} unanswered",
            self.count.load(Relaxed),
            self.refused.load(Relaxed),
            self.unanswered.load(Relaxed)
        );
    }
}

#[test]
fn no_acknowledged_write_is_lost_when_the_database_server_is_killed() {
    with_three_spins(&[], |mut database, spins| {
        let written = Written::default();
        scope(|scope| {
            for writer in 0..8 {
                let (written, spin) = (&written, &spins[writer % 3]);
                scope.spawn(move || written.write(writer, &spin.address));
            }
            for kill in 1..=3 {
                written.wait_for(300 * kill);
                database.kill();
                let reply = get(&spins[0], "/bookings");
                assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "{reply:?}");
                database.restart();
                let back = Instant::now();
                for spin in &spins {
                    while get(spin, "/bookings").status != 200 {}
                    let late = back.elapsed();
                    assert!(late < Duration::from_secs(2), "{late:?}\n{}", spin.log());
                }
            }
            written.wait_for(1000);
            written.stop.store(true, Relaxed);
        });
        written.check(&spins[0]);
    });
}

#[test]
fn no_acknowledged_write_is_lost_when_a_spin_is_killed() {
    with_three_spins(&[], |database, [killed, second, third]| {
        get(&second, "/bookings");
        let written = Written::default();
        scope(|scope| {
            for (writer, spin) in [&killed, &second, &third].into_iter().cycle().take(9).enumerate()
            {
                let (written, address) = (&written, spin.address.clone());
                scope.spawn(move || written.write(writer, &address));
            }
            written.wait_for(200);
            drop(killed);
            let before = written.count.load(Relaxed);
            // The others go on.
            written.wait_for(before + 200);
            written.stop.store(true, Relaxed);
        });
        written.check(&second);
        check_counters(&database);
    });
}

#[test]
fn a_database_of_the_first_version_is_taken_over_once_by_three_spins() {
    with_database(|spin, database| {
        database.execute(include_str!("../durability/first_version.sql"));
        let spins = [(); 3].map(|()| start(spin, &database, &[]));
        at_once(24, &spins, |number, spin| {
            let path = ["/bookings/peter_curley", "/todo/lists/aniket"][number % 2];
            let expected = [json!({DATE: [MOVIE]}), json!({"school": ["Buy milk"]})];
            let reply = get(spin, path);
            assert_eq!(reply.status, 200, "{reply:?}\n{}", spin.log());
            assert_eq!(reply.json(), expected[number % 2]);
        });
        let versions =
            database.execute("SELECT table_name, version FROM schema_versions ORDER BY 1");
        assert_eq!(versions, json!([["bookings", "2"], ["todo_lists", "2"]]));
        check_counters(&database);
    });
}

#[test]
fn while_the_database_server_is_stopped_clients_wait_and_are_answered_when_it_goes_on() {
    with_three_spins(&[], |database, spins| {
        assert_eq!(get(&spins[0], "/bookings").status, 200);
        database.signal("-STOP");
        scope(|scope| {
            let waiting = scope.spawn(|| get(&spins[0], "/bookings"));
            sleep(Duration::from_secs(3));
            assert!(!waiting.is_finished());
            // What needs no database is answered.
            assert_eq!(get(&spins[0], "/movies").status, 200);
            database.signal("-CONT");
            assert_eq!(waiting.join().expect("an answer").status, 200);
        });
    });
}
