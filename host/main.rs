//! `cargo run`: builds the application, then serves it.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use host::server::Server;
use host::{App, Loader, Log, prepare};
use mimalloc::MiMalloc;
use tokio::signal::unix::{SignalKind, signal};

/// Much of a request's time goes into small allocations.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Builds and serves a Spin HTTP application, where there is no Spin.
#[derive(Parser)]
#[command(name = "cargo run --")]
struct Options {
    /// The manifest, or the folder of a spin.toml
    #[arg(short, long, value_name = "PATH", default_value = "spin.toml")]
    from: PathBuf,

    /// Where to listen
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "SPIN_HTTP_LISTEN_ADDR",
        default_value = "127.0.0.1:3000"
    )]
    listen: String,

    /// Give a variable of the application a value; can be repeated
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = name_and_value)]
    variables: Vec<(String, String)>,

    /// Do not show what the components write
    #[arg(short, long)]
    quiet: bool,

    /// Serve the binaries that are there, without building them
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
        prepare::prepare(&options.from)?;
    }
    let log = if options.quiet { Log::quiet() } else { Log::stderr() };
    let mut loader = Loader::new(&options.from).log(log);
    for (name, value) in &options.variables {
        loader = loader.variable(name, value);
    }
    eprintln!("Loading the components");
    let app = loader.load()?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let server = Server::bind(app, &options.listen).await?;
    // Whoever started this may not want to read it.
    _ = print_routes(server.app(), &format!("http://{}", server.address()));
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    server.serve(stop).await;
    Ok(())
}

/// Prints what is served where, as `spin up` does.
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
