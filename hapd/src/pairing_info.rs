//! Setup code, setup payload and QR code, for the terminal and as JSON.

use hap_proto::{SetupCode, setup_payload};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use serde::Serialize;

use crate::state::{CameraRecord, StateDir, StateError};

/// How one camera is paired.
#[derive(Serialize)]
pub struct PairingInfo {
    /// Name shown in Home.
    pub name: String,
    /// Device identifier.
    pub device_id: String,
    /// HAP port; 0 before the first run.
    pub port: u16,
    /// Accessory category.
    pub category: u8,
    /// `XXX-XX-XXX`; `null` when its file was deleted.
    pub setup_code: Option<String>,
    /// `X-HM://...`, the QR code's text; `null` without a setup code.
    pub setup_uri: Option<String>,
    /// Whether a controller is paired.
    pub paired: bool,
}

impl PairingInfo {
    /// Puts together what is known.
    #[must_use]
    pub fn new(record: &CameraRecord, code: Option<&SetupCode>) -> Self {
        Self {
            name: record.name.clone(),
            device_id: record.identity.device_id().as_str().to_owned(),
            port: record.port,
            category: record.category,
            setup_code: code.map(|c| c.as_str().to_owned()),
            setup_uri: code.map(|c| setup_payload(c, &record.setup_id, record.category, false)),
            paired: !record.pairings.pairings.is_empty(),
        }
    }

    /// All cameras of a state directory.
    ///
    /// # Errors
    /// [`StateError`] for a file that cannot be used.
    pub fn all(state: &StateDir) -> Result<Vec<Self>, StateError> {
        let mut all = Vec::new();
        for id in state.ids()? {
            if let Some(record) = state.load(&id)? {
                all.push(Self::new(&record, state.load_code(&id)?.as_ref()));
            }
        }
        Ok(all)
    }

    /// A card for the terminal: name, port, and what is needed to pair.
    #[must_use]
    pub fn card(&self) -> String {
        let mut card = format!(
            "\n  {}  ({}, port {})\n",
            self.name, self.device_id, self.port
        );
        match (&self.setup_code, &self.setup_uri) {
            _ if self.paired => card.push_str("  is paired. \"hapd unpair\" frees it.\n"),
            (Some(code), Some(uri)) => {
                card.push_str(&qr(uri));
                card.push_str(&format!("\n      setup code   {code}\n      setup URI    {uri}\n"));
            }
            _ => card.push_str("  is not paired, and its setup code was deleted. \"hapd reset\" makes a new one.\n"),
        }
        card
    }
}

/// The QR code in half-block characters, dark on light as scanners expect on any terminal theme.
fn qr(text: &str) -> String {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::Q) else {
        return String::new();
    };
    let picture = code
        .render::<Dense1x2>()
        .quiet_zone(true)
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    picture
        .lines()
        .map(|line| format!("      {line}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_camera_shows_code_and_qr_and_a_paired_one_does_not() {
        let (mut record, code) =
            CameraRecord::generate("Front", 17, |b| getrandom::fill(b).unwrap());
        let card = PairingInfo::new(&record, Some(&code)).card();
        assert!(
            card.contains(code.as_str()) && card.contains("X-HM://") && card.contains('█'),
            "{card}"
        );
        record.pairings.pairings.push(hap_proto::Pairing {
            id: "x".into(),
            ltpk: [0; 32],
            admin: true,
        });
        let card = PairingInfo::new(&record, Some(&code)).card();
        assert!(
            !card.contains(code.as_str()) && !card.contains("X-HM://"),
            "{card}"
        );
    }

    #[test]
    fn qr_codes_are_small_enough_for_any_terminal() {
        let text = qr("X-HM://00GX24EO67OSX");
        assert!(text.lines().all(|l| l.chars().count() <= 40), "{text}");
        assert!(text.lines().count() <= 20);
    }
}
