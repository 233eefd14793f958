//! Announces the cameras as `_hap._tcp` (HAP R1 §5.4).

use std::collections::HashMap;
use std::net::IpAddr;

use hap_proto::{DeviceId, SetupId, setup_hash_text};
use mdns_sd::{IfKind, ServiceDaemon, ServiceInfo};

const SERVICE: &str = "_hap._tcp.local.";

/// What one camera announces.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// Instance name: the accessory's name.
    pub name: String,
    /// Device identifier.
    pub device_id: DeviceId,
    /// Setup identifier, for the setup hash.
    pub setup_id: SetupId,
    /// Model.
    pub model: String,
    /// Accessory category.
    pub category: u8,
    /// Configuration number.
    pub config_number: u16,
    /// TCP port.
    pub port: u16,
    /// Whether the accessory has a pairing.
    pub paired: bool,
}

impl Announcement {
    /// The TXT record: every key, always, as decimal text. `ff` is 0: with any authentication flag set,
    /// controllers use a Pair Setup method that needs Apple's coprocessor.
    fn txt(&self) -> Vec<(&'static str, String)> {
        vec![
            ("c#", self.config_number.to_string()),
            ("ff", "0".into()),
            ("id", self.device_id.as_str().to_owned()),
            ("md", self.model.clone()),
            ("pv", "1.1".into()),
            ("s#", "1".into()),
            ("sf", u8::from(!self.paired).to_string()),
            ("ci", self.category.to_string()),
            ("sh", setup_hash_text(&self.setup_id, &self.device_id)),
        ]
    }

    /// One host name per accessory, so that none depends on what else answers on this machine.
    fn hostname(&self) -> String {
        format!("{}.local.", self.device_id.as_str().replace(':', "-"))
    }
}

/// The mDNS responder of this process.
#[derive(Clone)]
pub struct Responder {
    daemon: ServiceDaemon,
    interfaces: Vec<String>,
}

impl Responder {
    /// Starts to answer on `interfaces`; none named means all, and loopback when there is nothing else.
    ///
    /// # Errors
    /// When the responder cannot be started.
    pub fn start(interfaces: &[String]) -> anyhow::Result<Self> {
        let daemon = ServiceDaemon::new()?;
        if !interfaces.is_empty() {
            daemon.disable_interface(IfKind::All)?;
            for name in interfaces {
                daemon.enable_interface(IfKind::Name(name.clone()))?;
            }
        }
        Ok(Self {
            daemon,
            interfaces: interfaces.to_vec(),
        })
    }

    /// Announces, or announces again with what has changed.
    ///
    /// # Errors
    /// When the responder is gone or the name is not possible.
    pub fn announce(&self, announcement: &Announcement) -> anyhow::Result<()> {
        let txt: HashMap<String, String> = announcement
            .txt()
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v))
            .collect();
        let addresses: &[IpAddr] = &[];
        let service = ServiceInfo::new(
            SERVICE,
            &announcement.name,
            &announcement.hostname(),
            addresses,
            announcement.port,
            txt,
        )?;
        let mut service = service.enable_addr_auto();
        if !self.interfaces.is_empty() {
            service.set_interfaces(self.interfaces.iter().cloned().map(IfKind::Name).collect());
        }
        Ok(self.daemon.register(service)?)
    }

    /// Says goodbye for all and stops.
    pub async fn shutdown(self) {
        if let Ok(done) = self.daemon.shutdown() {
            let _ =
                tokio::time::timeout(std::time::Duration::from_secs(2), done.recv_async()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_announced() {
        let announcement = Announcement {
            name: "Front".into(),
            device_id: "C8:D8:58:C6:63:F5".parse().unwrap(),
            setup_id: "7OSX".parse().unwrap(),
            model: "m".into(),
            category: 17,
            config_number: 3,
            port: 1,
            paired: false,
        };
        let txt: Vec<_> = announcement
            .txt()
            .into_iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let expected = [
            "c#=3",
            "ff=0",
            "id=C8:D8:58:C6:63:F5",
            "md=m",
            "pv=1.1",
            "s#=1",
            "sf=1",
            "ci=17",
            "sh=712Omw==",
        ];
        assert_eq!(txt, expected);
        assert_eq!(announcement.hostname(), "C8-D8-58-C6-63-F5.local.");
    }
}
