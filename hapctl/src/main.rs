//! `hapctl`, the program.

use std::process::ExitCode;

use clap::Parser as _;
use hapctl::cli::Cli;
use tracing_subscriber::EnvFilter;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(cli.global.verbose);
    hapctl::run(cli).await
}

/// Logs go to standard error; `RUST_LOG` overrides `-v`.
fn start_log(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "hapctl=info,warn",
        2 => "hapctl=debug,warn",
        _ => "hapctl=trace,info",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
}
