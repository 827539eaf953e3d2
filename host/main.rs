//! `cargo run`: builds the application, then serves it.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use host::server::Server;
use host::{App, Loader, Log, prepare};
use mimalloc::MiMalloc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// A request takes many small allocations, for which mimalloc needs less time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Builds and serves a Spin HTTP application without Spin.
#[derive(Parser)]
#[command(name = "cargo run --")]
struct Options {
    /// The manifest, or the folder of one called spin.toml
    #[arg(short, long, value_name = "PATH", default_value = "spin.toml")]
    from: PathBuf,

    /// Serve only this component; can be repeated
    #[arg(short, long = "component-id", value_name = "ID")]
    component: Vec<String>,

    /// Where to listen
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "SPIN_HTTP_LISTEN_ADDR",
        default_value = "127.0.0.1:3000"
    )]
    listen: String,

    /// Set a variable of the application; can be repeated
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = name_and_value)]
    variables: Vec<(String, String)>,

    /// Where the database is kept, instead of `.spin` beside the manifest; with an empty
    /// path, nowhere
    // clap takes no empty `PathBuf`.
    #[arg(long, value_name = "PATH")]
    state_dir: Option<OsString>,

    /// Do not show what the components write
    #[arg(short, long)]
    quiet: bool,

    /// Serve the components as they are, without building them
    #[arg(long)]
    no_build: bool,
}

fn name_and_value(text: &str) -> std::result::Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(options: Options) -> Result<()> {
    if !options.no_build {
        prepare::build_components(&options.from)?;
    }
    let log = if options.quiet { Log::quiet() } else { Log::stderr() };
    let mut loader = Loader::new(&options.from).log(log);
    for (name, value) in &options.variables {
        loader = loader.variable(name, value);
    }
    for id in &options.component {
        loader = loader.select(id);
    }
    if let Some(path) = options.state_dir {
        loader = loader.state_dir(path);
    }
    eprintln!("Loading the components");
    let app = loader.load()?;
    let mut signals = Signals::new()?;
    let server = Server::bind(app, &options.listen).await?;
    // Whoever started this may have closed its output.
    _ = print_routes(server.app(), &format!("http://{}", server.address()));
    let (stop, stopped) = oneshot::channel::<()>();
    let twice = async {
        signals.next().await;
        drop(stop);
        signals.next().await;
    };
    tokio::select! {
        () = server.serve(async { _ = stopped.await }) => Ok(()),
        () = twice => bail!("stopped before all requests were answered"),
    }
}

/// SIGINT, which Ctrl-C sends, and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
        Ok(Self { interrupt: signal(interrupt)?, terminate: signal(terminate)? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Prints the address and the routes, as `spin up` does.
fn print_routes(app: &App, url: &str) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "Serving {url}\nAvailable Routes:")?;
    for (component, route, description) in app.routes() {
        writeln!(output, "  {component}: {url}{route}")?;
        if let Some(description) = description {
            writeln!(output, "    {description}")?;
        }
    }
    output.flush()
}
