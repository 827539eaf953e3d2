//! What the tests share: an application in this process, or one behind
//! `APP_URL`, and replies that are easy to look at.

#![allow(missing_docs, reason = "most names say it")]

pub mod process;
pub mod server;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures::future::join_all;
use host::{App, Body, Builder, Loader, Log, Server};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// One runtime for all tests, since instances outlive the request that they
/// were made for.
pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// A response that has arrived.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Reply {
    pub async fn of<B: hyper::body::Body<Error: std::fmt::Debug>>(response: Response<B>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Self {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).expect("a body in UTF-8"),
        }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A request for `path` without a body.
pub fn request(method: Method, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(host::empty()).expect("a request")
}

/// `request` with the JSON `body`.
pub fn with_json(mut request: Request<Body>, body: &str) -> Request<Body> {
    request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    *request.body_mut() = host::full(body.to_owned());
    request
}

/// `request`, to send it to two applications.
pub fn twice(request: Request<Body>) -> (Request<Body>, Request<Body>) {
    let (head, body) = request.into_parts();
    let body = RUNTIME.block_on(body.collect()).expect("a whole body").to_bytes();
    let again = Request::from_parts(head.clone(), host::full(body.clone()));
    (Request::from_parts(head, host::full(body)), again)
}

/// The folder of a manifest of this repository.
pub fn folder(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

/// A loader of the application at `manifest`, a file or a folder, whose components are
/// built. Its database is a new one.
pub fn loader(manifest: &Path) -> Loader {
    host::raise_open_files();
    Loader::new(manifest).state_dir(state_dir())
}

/// A path for the state of an application, where nothing is yet. What the tests of this
/// binary left there last time is removed.
pub fn state_dir() -> PathBuf {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let binary = std::env::current_exe().expect("a path");
        let root = folder("target/tmp/state").join(binary.file_name().expect("a name"));
        _ = std::fs::remove_dir_all(&root);
        root
    });
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    ROOT.join(COUNT.fetch_add(1, Ordering::Relaxed).to_string())
}

/// The folder of this repository's application, with its components built.
pub fn application() -> PathBuf {
    static BUILT: LazyLock<()> = LazyLock::new(|| prepare(&folder("")));
    LazyLock::force(&BUILT);
    folder("")
}

/// The manifest that composes some of its components, which are built.
pub fn composed() -> PathBuf {
    static BUILT: LazyLock<()> = LazyLock::new(|| prepare(&folder("spin.composed.toml")));
    LazyLock::force(&BUILT);
    folder("spin.composed.toml")
}

/// The content of one of its data files.
pub fn data(path: &str) -> Value {
    let text = std::fs::read_to_string(folder("data").join(path)).expect("a data file");
    serde_json::from_str(&text).expect("JSON")
}

/// Builds components as `cargo run` does.
pub fn builder() -> Builder {
    Builder::with_cargo(toolchain::environment)
}

/// Builds the components of the application at `manifest`, a file or a folder.
pub fn prepare(manifest: &Path) {
    builder().build_all(manifest).expect("the components can be built");
}

/// Sends a request to an application in this process.
pub fn send(app: &App, request: Request<Body>) -> Reply {
    let app = app.clone();
    RUNTIME.block_on(async move {
        // In a task of its own, as on a connection.
        tokio::spawn(async move { Reply::of(app.handle(request).await).await })
            .await
            .expect("a reply")
    })
}

/// Sends requests at the same time to an application in this process. Gives the replies in
/// their order.
pub fn send_at_once(app: &App, requests: impl IntoIterator<Item = Request<Body>>) -> Vec<Reply> {
    let replies = requests.into_iter().map(|request| {
        let app = app.clone();
        RUNTIME.spawn(async move { Reply::of(app.handle(request).await).await })
    });
    RUNTIME.block_on(join_all(replies)).into_iter().map(|reply| reply.expect("a reply")).collect()
}

/// An application that is served on a port by this process, until this is
/// dropped.
pub struct Served {
    pub address: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Serves `app` on a free port, on the server's own threads.
pub fn serve(app: App) -> Served {
    let (stop, stopped) = oneshot::channel::<()>();
    let (bound, address) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        Runtime::new().expect("a runtime").block_on(async {
            let server = Server::bind(app, "127.0.0.1:0").await.expect("a free port");
            bound.send(server.address().to_string()).expect("a test");
            server.serve(async { _ = stopped.await }).await;
        });
    });
    let address = address.recv().expect("an address");
    Served { address, stop: Some(stop), thread: Some(thread) }
}

impl Served {
    /// A connection whose reads fail after ten seconds.
    pub fn connect(&self) -> std::net::TcpStream {
        let stream = std::net::TcpStream::connect(&self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
        stream
    }

    /// Stops the server, and waits until it has finished its requests.
    pub fn stop(&mut self) {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else { return };
        let start = Instant::now();
        while !thread.is_finished() {
            assert!(start.elapsed() < Duration::from_secs(60), "the server has not ended");
            std::thread::sleep(Duration::from_millis(1));
        }
        thread.join().expect("a server that ends well");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // A test that fails shows why, and not what follows from it.
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

/// Sends a request to the server of `APP_URL`, if that is set, and else to
/// `app`.
pub fn send_anywhere(app: &LazyLock<App>, request: Request<Body>) -> Reply {
    match std::env::var("APP_URL") {
        Ok(url) => send_to(url.trim_start_matches("http://").trim_end_matches('/'), request),
        Err(_) => send(app, request),
    }
}

/// Sends a request to the server at `address`, over a connection of its own.
pub fn send_to(address: &str, request: Request<Body>) -> Reply {
    RUNTIME.block_on(async {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        let (mut head, body) = request.into_parts();
        head.headers.entry("host").or_insert(address.parse().expect("a host"));
        let response = sender.send_request(Request::from_parts(head, body)).await;
        Reply::of(response.expect("a response")).await
    })
}

/// What the components of an application have written.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    pub fn log(&self) -> Log {
        let lines = self.0.clone();
        Log::new(move |component, line| {
            let component = component.unwrap_or("the host");
            lines.lock().unwrap().push(format!("{component}: {line}"));
        })
    }

    pub fn text(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }
}

/// A copy of the application in `folder`, to change its manifest or its data:
/// of the binaries, only a link.
pub fn copy(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    copy_files(folder, copy.path(), &["spin.toml", "spin.composed.toml", "data"]);
    std::fs::create_dir_all(copy.path().join("components/home")).expect("a folder");
    copy_files(folder, copy.path(), &["components/home/openapi.json", "components/home/site"]);
    let target = self::folder("target");
    std::os::unix::fs::symlink(target, copy.path().join("target")).expect("a link");
    copy
}

fn copy_files(from: &Path, to: &Path, names: &[&str]) {
    for name in names {
        let (from, to) = (from.join(name), to.join(name));
        if from.is_dir() {
            std::fs::create_dir(&to).expect("a folder");
            let entries =
                from.read_dir().expect("a folder").map(|entry| entry.unwrap().file_name());
            let names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
            copy_files(&from, &to, &names.iter().map(String::as_str).collect::<Vec<_>>());
        } else if from.exists() {
            std::fs::copy(from, to).expect("a copy");
        }
    }
}

/// Changes the text `from` of the file at `path`, which must have it, to `to`.
pub fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).expect("a file");
    assert!(text.contains(from), "{} has no {from:?}", path.display());
    std::fs::write(path, text.replace(from, to)).expect("written");
}

/// Whether `value` conforms to `schema`.
///
/// # Errors
/// What is wrong, and where.
pub fn validate(schema: &Value, value: &Value) -> Result<(), String> {
    let validator = jsonschema::draft202012::new(schema).expect("a schema");
    validator.validate(value).map_err(|error| format!("{error} at {}", error.instance_path()))
}
