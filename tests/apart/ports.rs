//! Ports that pass connections on, byte by byte.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use host::manifest::{Manifest, Route};

/// A port that leads to a server.
#[derive(Clone)]
pub struct Port {
    pub address: String,
    server: Arc<Mutex<Option<String>>>,
}

impl Port {
    /// Opens a port that leads nowhere: its connections are closed.
    pub fn open() -> Self {
        let server = Arc::new(Mutex::new(None::<String>));
        let leads = server.clone();
        let address = listen(move |client| {
            let server = leads.lock().unwrap().clone();
            connect(client, &server.ok_or(io::ErrorKind::ConnectionRefused)?)
        });
        Self { address, server }
    }

    /// Lets it lead to the server at `address`, or nowhere.
    pub fn lead_to(&self, address: Option<&str>) {
        *self.server.lock().unwrap() = address.map(str::to_owned);
    }
}

/// Opens a port that leads each connection to the service whose route its first request
/// names.
pub fn front(ports: BTreeMap<&'static str, Port>) -> String {
    let manifest = Manifest::read(&support::folder("")).expect("a manifest");
    listen(move |client| {
        // The router ignores slashes at both ends.
        let path = format!("/{}", path_of(&client)?.trim_start_matches('/'));
        let routes = manifest.triggers.iter().filter_map(|trigger| match &trigger.route {
            Route::Public(route) => Some((route.strip_suffix("/...")?, &trigger.component)),
            Route::Private(_) => None,
        });
        let is_below = |prefix: &str| {
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
        };
        let found =
            routes.filter(|(prefix, _)| is_below(prefix)).max_by_key(|(prefix, _)| prefix.len());
        let component = found.map_or("home", |(_, component)| component.as_str());
        connect(client, &ports[component].address)
    })
}

/// The path of the first request on a connection, whose bytes stay there.
fn path_of(client: &TcpStream) -> io::Result<String> {
    let mut bytes = vec![0; 128 * 1024];
    loop {
        let length = client.peek(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes[..length]);
        if length == 0 || length == bytes.len() || text.contains("\r\n") {
            return Ok(text.split(' ').nth(1).unwrap_or_default().to_owned());
        }
        thread::yield_now();
    }
}

/// Answers each connection of a new port in a thread, until the test ends.
pub fn listen(answer: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> String {
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

/// Passes on what comes from `client` to the server at `address`, and back.
fn connect(mut client: TcpStream, address: &str) -> io::Result<()> {
    let mut server = TcpStream::connect(address)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || pass_on(&mut from_client, &mut to_server));
    pass_on(&mut server, &mut client);
    Ok(())
}

fn pass_on(from: &mut TcpStream, to: &mut TcpStream) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    _ = to.shutdown(Shutdown::Write);
}
