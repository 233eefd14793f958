//! `hapctl pair`.

use std::convert::Infallible;
use std::fmt;
use std::io::Read as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hap_crypto::ControllerKeypair;
use serde_json::json;
use zeroize::Zeroizing;

use crate::address;
use crate::cli::Global;
use crate::commands::discover::not_heard;
use crate::discovery;
use crate::failure::{Failure, Kind, Result};
use crate::output;
use crate::pairing;
use crate::session::Session;
use crate::setup_code::SetupCode;
use crate::store::{Record, Store};

const EXAMPLES: &str = "\
Examples:
  hapctl pair --address 192.168.1.20:51826 --code 123-45-678 --alias garden
  hapctl pair --address '[::1]:51826' --code X-HM://00GX24EO67OSX --alias garden
  hapctl pair --discover \"Garden cam\" --code - --alias garden < code.txt

The alias is how other commands name the accessory. Pairing makes this store the accessory's
administrator; `hapctl pairings NAME share DIR` lets a second one in.";

/// How long an announced accessory is looked for.
const SEARCH: Duration = Duration::from_secs(10);

/// Pair with an accessory and keep the pairing under an alias.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(group(clap::ArgGroup::new("where").required(true).args(["address", "discover"])))]
pub struct Pair {
    /// Address of the accessory.
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
    /// Find it by mDNS: its name or device ID.
    #[arg(long, value_name = "NAME|ID")]
    pub discover: Option<String>,
    /// Setup code XXX-XX-XXX, the QR code's text X-HM://…, or - to read it from standard input.
    #[arg(long, value_name = "CODE")]
    pub code: CodeArgument,
    /// Name for the pairing.
    #[arg(long, value_name = "NAME")]
    pub alias: String,
    /// Replace a pairing of the same alias.
    #[arg(long)]
    pub replace: bool,
}

/// What was given as `--code`: not shown by `Debug`, wiped on drop.
#[derive(Clone)]
pub struct CodeArgument(Zeroizing<String>);

impl std::str::FromStr for CodeArgument {
    type Err = Infallible;

    fn from_str(text: &str) -> std::result::Result<Self, Infallible> {
        Ok(Self(Zeroizing::new(text.into())))
    }
}

impl fmt::Debug for CodeArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeArgument(***)")
    }
}

impl CodeArgument {
    /// The code, read from standard input if it is `-`.
    fn read(&self) -> Result<SetupCode> {
        if *self.0 != "-" {
            return SetupCode::parse(&self.0);
        }
        let mut input = Zeroizing::new(String::with_capacity(256));
        std::io::stdin().take(256).read_to_string(&mut input)?;
        SetupCode::parse(&input)
    }
}

impl Pair {
    /// Runs it.
    ///
    /// # Errors
    /// When the accessory does not answer or does not accept the code.
    pub async fn run(self, global: &Global) -> Result<ExitCode> {
        let store = global.store()?;
        self.check_alias(&store)?;
        let code = self.code.read()?;
        let controller = store.controller()?;
        let addresses = self.addresses().await?;
        let record = self
            .setup(&addresses, &code, &controller, global.timeout)
            .await?;
        let saved = store.save(&record);
        let session = Session::open_at(&addresses, &record, &controller, global.timeout).await;
        if let Err(e) = saved {
            undo(session, &controller).await;
            return Err(e);
        }
        report(global, &record, &session?).await
    }

    fn check_alias(&self, store: &Store) -> Result<()> {
        if store.contains(&self.alias)? && !self.replace {
            return Err(Failure::new(
                Kind::Usage,
                format!("there is a pairing named {:?}", self.alias),
            )
            .hint("choose another --alias, `hapctl unpair` the old one, or add --replace"));
        }
        Ok(())
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>> {
        if let Some(text) = &self.address {
            return address::resolve(text).await;
        }
        let text = self.discover.as_deref().unwrap_or_default();
        let found = discovery::find(|a| a.is(text), SEARCH).await?;
        Ok(found.ok_or_else(|| not_heard(text))?.addresses())
    }

    async fn setup(
        &self,
        addresses: &[SocketAddr],
        code: &SetupCode,
        controller: &ControllerKeypair,
        timeout: Duration,
    ) -> Result<Record> {
        let (mut connection, peer) = pairing::connect(addresses, timeout).await?;
        let pairing = pairing::pair_setup(&mut connection, code, controller, timeout);
        let pairing = pairing.await.map_err(|e| e.context("Pair Setup"))?;
        Ok(Record {
            alias: self.alias.clone(),
            // A name stays as it was given: its address may change.
            address: self.address.clone().unwrap_or_else(|| peer.to_string()),
            pairing,
        })
    }
}

/// The store did not take the pairing: the accessory should not keep it either.
async fn undo(session: Result<Session>, controller: &ControllerKeypair) {
    let removed = match session {
        Ok(session) => session.remove_pairing(&controller.id).await,
        Err(e) => Err(e),
    };
    if removed.is_err() {
        output::note("hapctl: the accessory still holds this pairing; reset it to pair again");
    }
}

async fn report(global: &Global, record: &Record, session: &Session) -> Result<ExitCode> {
    let database = session.accessories().await?;
    let name = database.information("23").unwrap_or_default();
    let found = json!({
        "alias": record.alias, "device_id": record.pairing.pairing_id, "name": name,
        "address": record.address, "peer": session.peer().to_string(),
        "manufacturer": database.information("20"), "model": database.information("21"),
        "serial_number": database.information("30"), "firmware": database.information("52"),
    });
    let text = || {
        let (alias, id) = (&record.alias, &record.pairing.pairing_id);
        format!("Paired with {name:?} ({id}) as {alias}.\nNext: hapctl accessories {alias}")
    };
    output::result(global.json, &found, text);
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use crate::cli::Cli;
    use clap::Parser as _;

    #[test]
    fn the_command_line_is_shown_without_the_code() {
        let cli = Cli::try_parse_from([
            "hapctl",
            "pair",
            "--address",
            "h:1",
            "--code",
            "518-08-582",
            "--alias",
            "a",
        ]);
        let shown = format!("{:?}", cli.unwrap());
        assert!(shown.contains("***") && !shown.contains("518"), "{shown}");
    }

    #[test]
    fn an_address_or_a_name_is_needed_but_not_both() {
        let parse = |more: &[&str]| {
            let base = ["hapctl", "pair", "--code", "1", "--alias", "a"];
            Cli::try_parse_from(base.iter().chain(more))
        };
        assert!(parse(&[]).is_err());
        assert!(parse(&["--address", "h:1", "--discover", "x"]).is_err());
        assert!(parse(&["--discover", "x"]).is_ok());
    }
}
