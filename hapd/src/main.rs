//! `hapd`: any GStreamer pipeline becomes a HomeKit camera.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use hapd::cli::{Cli, Command};
use hapd::config::Config;
use hapd::control::{self, Request};
use hapd::pairing_info::PairingInfo;
use hapd::run::run;
use hapd::state::StateDir;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log();
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hapd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start_log() {
    let filter =
        EnvFilter::try_from_env("HAPD_LOG").unwrap_or_else(|_| EnvFilter::new("info,mdns_sd=warn"));
    let terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal)
        .with_target(false)
        .init();
}

fn execute(cli: Cli) -> anyhow::Result<()> {
    let state_dir = cli.state_dir.unwrap_or_else(StateDir::default_path);
    let state = || StateDir::open(&state_dir).map_err(anyhow::Error::from);
    match cli.command {
        Command::Run {
            config,
            stdin_triggers,
        } => serve(config.as_deref(), state()?, stdin_triggers),
        Command::Check { file } => check(&file),
        Command::PairingInfo { json } => pairing_info(&state()?, json),
        Command::Trigger {
            camera,
            kind,
            change,
        } => trigger(
            &state()?,
            &Request::Trigger {
                camera,
                kind,
                change,
            },
        ),
        Command::Unpair { camera } => unpair(&state()?, camera),
        Command::Reset { camera, yes } => reset(&state()?, camera.as_deref(), yes),
    }
}

fn serve(config: Option<&Path>, state: StateDir, stdin_triggers: bool) -> anyhow::Result<()> {
    let config = match config {
        Some(path) => Config::read(path)?,
        None => Config::test_pattern(),
    };
    gst::init().context("GStreamer cannot be started")?;
    runtime()?.block_on(run(&config, state, stdin_triggers))
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}

fn check(file: &Path) -> anyhow::Result<()> {
    let config = Config::read(file)?;
    println!(
        "{}: fine, {} camera(s)",
        file.display(),
        config.cameras.len()
    );
    for camera in &config.cameras {
        println!("  {:?}: {}", camera.name, camera.media.source);
    }
    Ok(())
}

fn pairing_info(state: &StateDir, json: bool) -> anyhow::Result<()> {
    let all = PairingInfo::all(state)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else if all.is_empty() {
        println!("There is no camera yet: \"hapd run\" makes one.");
    } else {
        all.iter().for_each(|info| println!("{}", info.card()));
    }
    Ok(())
}

/// Asks the running daemon and prints what it did; false when none runs.
fn ask(state: &StateDir, request: &Request) -> anyhow::Result<bool> {
    let Some(reply) = runtime()?.block_on(control::ask(state, request))? else {
        return Ok(false);
    };
    if let Some(error) = reply.error {
        bail!("{error}");
    }
    reply.done.iter().for_each(|line| println!("{line}"));
    Ok(true)
}

fn trigger(state: &StateDir, request: &Request) -> anyhow::Result<()> {
    if ask(state, request)? {
        return Ok(());
    }
    let path = state.control_socket();
    bail!(
        "no hapd runs with this state directory: nobody listens on {}",
        path.display()
    )
}

fn unpair(state: &StateDir, camera: Option<String>) -> anyhow::Result<()> {
    let request = Request::Unpair {
        camera: camera.clone(),
    };
    if ask(state, &request)? {
        return Ok(());
    }
    let _lock = state.lock()?;
    for id in chosen(state, camera.as_deref())? {
        let Some(mut record) = state.load(&id)? else {
            continue;
        };
        let count = record.pairings.pairings.len();
        record.pairings.pairings.clear();
        state.save(&id, &record)?;
        println!("{}: {count} pairing(s) removed", record.name);
    }
    Ok(())
}

fn reset(state: &StateDir, camera: Option<&str>, yes: bool) -> anyhow::Result<()> {
    let _lock = state.lock()?;
    let ids = chosen(state, camera)?;
    if ids.is_empty() {
        println!("There is nothing to forget.");
        return Ok(());
    }
    if !yes && !confirmed(&ids)? {
        bail!("nothing was changed");
    }
    for id in ids {
        state.remove(&id)?;
        println!("{id}: forgotten");
    }
    Ok(())
}

/// The ids that a command is for. A broken state file must not keep `reset` from naming its camera.
fn chosen(state: &StateDir, camera: Option<&str>) -> anyhow::Result<Vec<String>> {
    let ids = state.ids()?;
    let Some(wanted) = camera else { return Ok(ids) };
    let named = |id: &String| {
        id == wanted
            || state
                .load(id)
                .ok()
                .flatten()
                .is_some_and(|r| r.name == wanted)
    };
    match ids.iter().find(|id| named(id)) {
        Some(id) => Ok(vec![id.clone()]),
        None => bail!(
            "there is no camera {wanted:?}; there are: {}",
            ids.join(", ")
        ),
    }
}

fn confirmed(ids: &[String]) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!(
            "this forgets the identity and pairings of {}; say --yes to do it",
            ids.join(", ")
        );
    }
    print!(
        "Forget identity, setup code and pairings of {}? [y/N] ",
        ids.join(", ")
    );
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
