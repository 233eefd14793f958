//! `hapctl view`.
use crate::cli::Global;
use crate::failure::Result;
use clap::Args;
use std::process::ExitCode;
/// Watch live.
#[derive(Debug, Args)]
pub struct View {}
impl View {
    /// Runs it.
    ///
    /// # Errors
    /// None yet.
    pub async fn run(self, _global: &Global) -> Result<ExitCode> {
        Ok(ExitCode::SUCCESS)
    }
}
