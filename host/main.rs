//! `cargo run`: builds the application, then serves it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use host::server::Server;
use host::{Loader, Log, prepare};
use tokio::signal::unix::{SignalKind, signal};

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
    listen: SocketAddr,

    /// Do not show what the components write
    #[arg(short, long)]
    quiet: bool,

    /// Serve the binaries that are there, without building them
    #[arg(long)]
    no_build: bool,
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

#[tokio::main]
async fn run(options: Options) -> Result<()> {
    if !options.no_build {
        prepare::prepare(&options.from)?;
    }
    let log = if options.quiet { Log::quiet() } else { Log::stderr() };
    let app = Loader::new(&options.from).log(log).load()?;
    let server = Server::bind(app.clone(), options.listen).await?;
    let url = format!("http://{}", server.address());
    println!("Serving {url}\nAvailable Routes:");
    for (component, route, description) in app.routes() {
        println!("  {component}: {url}{route}");
        if let Some(description) = description {
            println!("    {description}");
        }
    }
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    server
        .serve(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
        .await;
    Ok(())
}
