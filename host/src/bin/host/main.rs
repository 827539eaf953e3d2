//! `cargo run`: builds the application, then serves it.

mod apart;
mod output;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use anyhow::{Result, bail};
use clap::Parser;
use host::{App, Builder, Loader, Server, Traces, Watch};
use mimalloc::MiMalloc;
use rustix::process;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::apart::Apart;

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

    /// Serve each component in a process of its own, at a free port, or at this one and the
    /// following; all of them together where --listen says
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "0")]
    apart: Option<u16>,

    /// If the port is in use, take the next one that is free
    #[arg(long)]
    find_free_port: bool,

    /// Set a variable of the application, to a value or to the content of a file; can be
    /// repeated
    #[arg(long = "variable", value_name = "NAME=VALUE | NAME=@FILE", value_parser = name_and_value)]
    variables: Vec<(String, String)>,

    /// Where the database is kept, instead of `.spin` beside the manifest; with an empty
    /// path, nowhere
    // clap takes no empty `PathBuf`.
    #[arg(long, value_name = "PATH")]
    state_dir: Option<OsString>,

    /// Do not show what the components write
    #[arg(short, long)]
    quiet: bool,

    /// Write a line to standard output for each request: the combined log format, then
    /// the duration in seconds, the component, and the request's id
    #[arg(long)]
    access_log: bool,

    /// Serve the components as they are, without building them
    #[arg(long)]
    no_build: bool,

    /// Build and load again what changes
    #[arg(long)]
    watch: bool,

    /// Stop as by Ctrl-C once standard input is closed, for whoever starts this process
    #[arg(long, hide = true)]
    stop_with_stdin: bool,
}

fn name_and_value(text: &str) -> std::result::Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE or NAME=@FILE")?;
    let value = match value.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| format!("can't read the file {path:?}: {error}"))?,
        None => value.to_owned(),
    };
    Ok((name.to_owned(), value))
}

fn main() -> ExitCode {
    let options = Options::parse();
    host::raise_open_files();
    let ended = runtime::Builder::new_current_thread().enable_all().build().map(|runtime| {
        let ended = runtime.block_on(run(options));
        // Nobody waits for a build, or for a collector, once the server has ended.
        runtime.shutdown_background();
        ended
    });
    let code = match ended.unwrap_or_else(|error| Err(error.into())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::stderr(format!("Error: {error:#}"));
            ExitCode::FAILURE
        }
    };
    output::flush();
    code
}

async fn run(options: Options) -> Result<()> {
    if options.stop_with_stdin {
        stop_with_stdin();
    }
    let builder = (!options.no_build).then(|| Builder::with_cargo(toolchain::environment));
    let log = output::log(options.quiet);
    let (traces, exporter) = Traces::from_environment(&log)?;
    let mut loader = Loader::new(&options.from).log(log.clone()).traces(traces);
    for (name, value) in &options.variables {
        loader = loader.variable(name, value);
    }
    for id in &options.component {
        loader = loader.select(id);
    }
    if let Some(path) = &options.state_dir {
        loader = loader.state_dir(path);
    }
    let apart = options.apart.map(|first| Apart::new(&options, &loader, first)).transpose()?;
    let mut apart = apart.unwrap_or_default();
    loader = apart.forward_from(loader);
    let (app, watch) = if options.watch {
        let mut watch = Watch::new(loader, builder)?;
        (watch.first_version().await?, Some(watch))
    } else {
        if let Some(builder) = builder {
            output::stderr("Building the components, which takes about a minute the first time");
            builder.build_all(&options.from)?;
        }
        output::stderr("Loading the components");
        (loader.load()?, None)
    };
    let mut server = if options.find_free_port {
        Server::bind_near(app, &options.listen).await?
    } else {
        Server::bind(app, &options.listen).await?
    };
    if options.access_log {
        server = server.log_access(output::stdout);
    }
    let mut signals = Signals::new()?;
    tokio::select! {
        started = apart.start() => started?,
        () = signals.next() => bail!("stopped before it served anything"),
    }
    // Whoever started this may have closed its output.
    _ = print_routes(&server.served().app(), &format!("http://{}", server.address()));
    if let Some(watch) = watch {
        tokio::spawn(watch.run(server.served().clone()));
    }
    let (stop, stopped) = oneshot::channel::<()>();
    let twice = async {
        signals.next().await;
        drop(stop);
        signals.next().await;
    };
    let end = async {
        apart.keep_while(server.serve(async { _ = stopped.await })).await;
        if let Some(exporter) = exporter {
            exporter.shut_down().await;
        }
    };
    tokio::select! {
        () = end => Ok(()),
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

/// Sends this process a SIGTERM once its standard input is closed.
fn stop_with_stdin() {
    thread::spawn(|| {
        _ = io::copy(&mut io::stdin(), &mut io::sink());
        _ = process::kill_process(process::getpid(), process::Signal::TERM);
    });
}

/// Prints the address and the routes, as `spin up` does.
fn print_routes(app: &App, url: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "Serving {url}\nAvailable Routes:")?;
    for (component, route, description) in app.routes() {
        writeln!(output, "  {component}: {url}{route}")?;
        if let Some(description) = description {
            writeln!(output, "    {description}")?;
        }
    }
    output.flush()
}
