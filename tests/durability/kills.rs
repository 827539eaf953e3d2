//! Servers that are killed (SIGKILL), and what a restarted one finds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::server::{Reply, Server, command};
use support::{application, data};

use crate::{Random, check_integrity, count_rows, kills, writes};

/// At most, whatever `DURABILITY_WRITES` says.
const MAX_TIME: Duration = Duration::from_secs(1800);

/// Whose bookings are written, by one client for each of them.
const BOOKERS: [&str; 4] = ["michael_scott", "peter_curley", "dwight_schrute", "oscar_martinez"];

/// How many lists of a user are written.
const LISTS: usize = 20;

/// What a GET of a resource shows, `true` for a booking; `None` if there is no such
/// resource.
type State = Option<Value>;

/// By path, the states that a resource may have. There is more than one if the answer
/// to a write got lost.
type States = BTreeMap<String, Vec<State>>;

/// What the clients of a test share.
struct Shared {
    /// The address of the server; none from before it is killed until the next one serves.
    address: RwLock<Option<String>>,
    acknowledged: AtomicUsize,
    unanswered: AtomicUsize,
    /// Whether the clients must stop.
    stop: AtomicBool,
}

impl Shared {
    fn address(&self) -> Option<String> {
        self.address.read().unwrap().clone()
    }
}

/// Writes to resources that nobody else writes to.
struct Client<'a> {
    random: Random,
    paths: Vec<String>,
    states: States,
    shared: &'a Shared,
}

impl Client<'_> {
    /// Writes until it is told to stop, and gives what must be there then.
    fn run(mut self) -> States {
        while !self.shared.stop.load(Relaxed) {
            self.write();
        }
        self.states
    }

    fn write(&mut self) {
        let path = self.paths[self.random.below(self.paths.len())].clone();
        let old = self.states.entry(path.clone()).or_insert_with(|| vec![None]);
        let may_exist = old.iter().any(Option::is_some);
        let new = if path.starts_with("/bookings/") {
            (!may_exist).then_some(json!(true))
        } else if may_exist && self.random.below(8) == 0 {
            None
        } else {
            Some(items(&mut self.random))
        };
        let body = if path.starts_with("/bookings/") { None } else { new.as_ref() };
        let method = if new.is_some() { "PUT" } else { "DELETE" };
        let Some(address) = self.shared.address() else {
            sleep(Duration::from_millis(1));
            return;
        };
        if let Some(reply) = Reply::to(&address, method, &path, "", body) {
            let expected: Vec<_> = old.iter().map(|old| status(old, &new)).collect();
            assert!(expected.contains(&reply.status), "{method} {path}: {expected:?}, {reply:?}");
            *old = vec![new];
            self.shared.acknowledged.fetch_add(1, Relaxed);
            return;
        }
        old.push(new);
        self.shared.unanswered.fetch_add(1, Relaxed);
        assert_ne!(self.shared.address(), Some(address), "no answer to {method} {path}");
    }
}

/// The status that says that a resource was `old` and is `new`.
fn status(old: &State, new: &State) -> u16 {
    match (old, new) {
        (None, Some(_)) => 201,
        (Some(_), Some(_)) => 200,
        (Some(_), None) => 204,
        (None, None) => 404,
    }
}

/// A list that nobody has sent before, from a few bytes to several pages of the
/// database.
fn items(random: &mut Random) -> Value {
    let number = random.next();
    let items = (0..random.below(12))
        .map(|item| format!("{number} {item} {}", "ä".repeat(random.below(900))));
    json!([vec![number.to_string()], items.collect()].concat())
}

/// What the data files contain.
fn initial() -> States {
    let found = found(data("cinema/bookings.json"), data("todo/lists.json"));
    found.into_iter().map(|(path, state)| (path, vec![Some(state)])).collect()
}

/// The resources in the answers that show all bookings, and all lists of all users.
fn found(bookings: Value, lists: Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (username, dates) in bookings.as_object().expect("users") {
        for (date, movies) in dates.as_object().expect("dates") {
            for movie in movies.as_array().expect("movies") {
                let movie = movie.as_str().expect("an id");
                let path = format!("/bookings/{username}/{date}/{movie}");
                assert_eq!(found.insert(path.clone(), json!(true)), None, "twice: {path}");
            }
        }
    }
    for (username, lists) in lists.as_object().expect("users") {
        for (name, items) in lists.as_object().expect("lists") {
            found.insert(format!("/todo/lists/{username}/{name}"), items.clone());
        }
    }
    found
}

/// What a server shows of the bookings and lists of all users.
fn shown(server: &Server) -> BTreeMap<String, Value> {
    let users = data("todo/users.json");
    let lists = users.as_object().expect("users").keys().filter_map(|username| {
        let reply = server.get(&format!("/todo/lists/{username}"));
        assert!([200, 404].contains(&reply.status), "{reply:?}");
        (reply.status == 200).then(|| (username.clone(), reply.json()))
    });
    let lists = lists.collect();
    found(server.get_json("/bookings"), Value::Object(lists))
}

/// The clients of a test, each with the resources that only it writes to.
fn clients<'a>(random: &mut Random, shared: &'a Shared) -> Vec<Client<'a>> {
    let shows = data("cinema/showtimes.json");
    let shows = shows.as_object().expect("dates").iter().flat_map(|(date, movies)| {
        let movies = movies.as_array().expect("movies").iter();
        movies.map(move |movie| format!("{date}/{}", movie.as_str().expect("an id")))
    });
    let shows: Vec<_> = shows.collect();
    let booked = BOOKERS.map(|username| {
        shows.iter().map(|show| format!("/bookings/{username}/{show}")).collect::<Vec<_>>()
    });
    let users = data("todo/users.json");
    let listed = users.as_object().expect("users").keys().map(|username| {
        let names = (0..LISTS).map(|number| format!("list-{number}"));
        let names = ["home", "school"].map(str::to_owned).into_iter().chain(names);
        names.map(|name| format!("/todo/lists/{username}/{name}")).collect()
    });
    let initial = initial();
    let paths = booked.into_iter().chain(listed);
    let clients = paths.map(|paths: Vec<_>| Client {
        random: random.fork(),
        states: initial.clone().into_iter().filter(|(path, _)| paths.contains(path)).collect(),
        paths,
        shared,
    });
    clients.collect()
}

/// Kills and restarts `server` at each of `moments`, counted in acknowledged writes,
/// until there are as many of them as there shall be. Gives the last server.
fn kill_at(
    moments: &[usize],
    mut server: Server,
    state: &Path,
    random: &mut Random,
    shared: &Shared,
    is_over: impl Fn() -> bool,
) -> Server {
    let wait_for = |count| {
        while shared.acknowledged.load(Relaxed) < count && !is_over() {
            sleep(Duration::from_millis(1));
        }
    };
    for moment in moments {
        wait_for(*moment);
        sleep(Duration::from_micros(random.below(5000) as u64));
        *shared.address.write().unwrap() = None;
        drop(server);
        server = Server::start(command(&application(), state));
        *shared.address.write().unwrap() = Some(server.address.clone());
    }
    wait_for(writes());
    server
}

#[test]
fn no_acknowledged_write_is_lost_when_the_server_is_killed() {
    let mut random = Random::from_seed();
    let state = tempfile::tempdir().expect("a folder");
    let start = Instant::now();
    let server = Server::start(command(&application(), state.path()));
    let shared = Shared {
        address: RwLock::new(Some(server.address.clone())),
        acknowledged: AtomicUsize::new(0),
        unanswered: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
    };
    let mut moments: Vec<_> = (0..kills()).map(|_| random.below(writes())).collect();
    moments.sort_unstable();
    let mut states = initial();
    let server = scope(|scope| {
        let clients = clients(&mut random, &shared).into_iter();
        let clients: Vec<_> = clients.map(|client| scope.spawn(|| client.run())).collect();
        // No client ends by itself, unless a check of its fails.
        let is_over = || clients.iter().any(|client| client.is_finished());
        let is_over = || is_over() || start.elapsed() > MAX_TIME;
        let server = kill_at(&moments, server, state.path(), &mut random, &shared, is_over);
        shared.stop.store(true, Relaxed);
        for client in clients {
            states.extend(client.join().expect("a client without a complaint"));
        }
        server
    });
    let acknowledged = shared.acknowledged.into_inner();
    println!(
        "{acknowledged} writes acknowledged, {} unanswered, {} kills, {:.1} s",
        shared.unanswered.into_inner(),
        moments.len(),
        start.elapsed().as_secs_f32()
    );
    assert!(acknowledged >= writes(), "only {acknowledged} writes within {MAX_TIME:?}");

    // The last one has no clients any more, but has not been able to tidy up either.
    drop(server);
    let server = Server::start(command(&application(), state.path()));
    let shown = shown(&server);
    for (path, state) in &shown {
        let allowed = states.get(path).is_some_and(|states| states.contains(&Some(state.clone())));
        assert!(allowed, "{path} is {state}, not one of {:?}", states.get(path));
    }
    for (path, states) in &states {
        let allowed = shown.contains_key(path) || states.contains(&None);
        assert!(allowed, "{path} is gone, and not one of {states:?}");
    }
    drop(server);
    check_integrity(state.path());
    let rows = count_rows(state.path(), "bookings") + count_rows(state.path(), "todo_lists");
    assert_eq!(rows as usize, shown.len(), "rows that nobody sees");
}

#[test]
fn a_database_is_complete_although_the_server_was_killed_when_it_was_new() {
    let mut random = Random::from_seed();
    let expected = found(data("cinema/bookings.json"), data("todo/lists.json"));
    for _ in 0..2 * kills() {
        let state = tempfile::tempdir().expect("a folder");
        let server = Server::start(command(&application(), state.path()));
        let address = server.address.clone();
        let delay = Duration::from_micros(random.below(30_000) as u64);
        scope(|scope| {
            for path in ["/bookings", "/todo/lists/meera", "/seats/20151201", "/todo/lists"] {
                scope.spawn(|| Reply::to(&address, "GET", path, "", None));
            }
            sleep(delay);
            drop(server);
        });
        let server = Server::start(command(&application(), state.path()));
        assert_eq!(shown(&server), expected, "killed after {delay:?}");
        drop(server);
        check_integrity(state.path());
    }
}
