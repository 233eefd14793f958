//! Accessories announced by mDNS, `_hap._tcp` (HAP R1 §5.4).
//!
//! `hap_transport::discover` keeps one address and part of the TXT record, and does not look at
//! the loopback interface, where tests and a `hapd` on the same machine are found.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use mdns_sd::{IfKind, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent};
use serde_json::{Value as Json, json};

use crate::failure::{Failure, Kind, Result};

const SERVICE: &str = "_hap._tcp.local.";

/// An accessory as announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Device ID, `AA:BB:CC:DD:EE:FF`.
    pub id: String,
    /// Instance name.
    pub name: String,
    /// TCP port.
    pub port: u16,
    /// Every address with its zone.
    addresses: BTreeSet<SocketAddr>,
    /// The TXT record.
    pub txt: BTreeMap<String, String>,
}

impl Announced {
    fn from_service(service: &ResolvedService) -> Option<Self> {
        let txt: BTreeMap<String, String> = service
            .get_properties()
            .iter()
            .map(|p| (p.key().to_ascii_lowercase(), p.val_str().to_owned()))
            .collect();
        let full = service.get_fullname();
        Some(Self {
            id: txt.get("id")?.clone(),
            name: full
                .strip_suffix(SERVICE)
                .unwrap_or(full)
                .trim_end_matches('.')
                .into(),
            port: service.get_port(),
            addresses: service
                .get_addresses()
                .iter()
                .map(|ip| socket_address(ip, service.get_port()))
                .collect(),
            txt,
        })
    }

    /// The addresses to try: IPv4 first, link-local IPv6 last.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut all: Vec<SocketAddr> = self.addresses.iter().copied().collect();
        all.sort_by_key(|a| (rank(a.ip()), *a));
        all
    }

    fn number(&self, key: &str) -> u64 {
        self.txt.get(key).and_then(|v| v.parse().ok()).unwrap_or(0)
    }

    /// True unless bit 0 of `sf` says "not paired".
    #[must_use]
    pub fn paired(&self) -> bool {
        self.number("sf") & 1 == 0
    }

    /// The category, `ci`.
    #[must_use]
    pub fn category(&self) -> u64 {
        self.number("ci")
    }

    /// True when `text` is its name or device ID, in any case.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        self.name.eq_ignore_ascii_case(text) || self.id.eq_ignore_ascii_case(text)
    }

    /// Everything as JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({
            "id": self.id, "name": self.name, "port": self.port, "paired": self.paired(),
            "addresses": self.addresses().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "model": self.txt.get("md"), "category": self.category(),
            "category_name": category_name(self.category()),
            "config_number": self.number("c#"), "state_number": self.number("s#"),
            "protocol": self.txt.get("pv"), "feature_flags": self.number("ff"),
            "status_flags": self.number("sf"), "setup_hash": self.txt.get("sh"),
            "txt": self.txt,
        })
    }
}

fn rank(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 0,
        IpAddr::V6(v6) if v6.is_unicast_link_local() => 2,
        IpAddr::V6(_) => 1,
    }
}

fn socket_address(ip: &ScopedIp, port: u16) -> SocketAddr {
    match ip {
        ScopedIp::V6(v6) if v6.addr().is_unicast_link_local() => {
            SocketAddrV6::new(*v6.addr(), port, 0, v6.scope_id().index).into()
        }
        other => SocketAddr::new(other.to_ip_addr(), port),
    }
}

/// Name of an accessory category (HAP R1 table 12-3).
#[must_use]
pub fn category_name(category: u64) -> &'static str {
    match category {
        1 => "other",
        2 => "bridge",
        3 => "fan",
        4 => "garage",
        5 => "lightbulb",
        6 => "door-lock",
        7 => "outlet",
        8 => "switch",
        9 => "thermostat",
        10 => "sensor",
        11 => "security-system",
        12 => "door",
        13 => "window",
        14 => "window-covering",
        15 => "programmable-switch",
        17 => "ip-camera",
        18 => "video-doorbell",
        _ => "unknown",
    }
}

/// Looks for `wanted` for at most `time`; the first match ends the search.
///
/// # Errors
/// [`Kind::Other`] when mDNS cannot be used at all.
pub async fn find(
    wanted: impl Fn(&Announced) -> bool,
    time: Duration,
) -> Result<Option<Announced>> {
    let mut found = None;
    browse(time, |accessory| {
        let matches = wanted(accessory) && !accessory.addresses.is_empty();
        if matches {
            found = Some(accessory.clone());
        }
        matches
    })
    .await?;
    Ok(found)
}

/// All accessories heard within `time`, by name.
///
/// # Errors
/// [`Kind::Other`] when mDNS cannot be used at all.
pub async fn all(time: Duration) -> Result<Vec<Announced>> {
    let mut found: BTreeMap<String, Announced> = BTreeMap::new();
    browse(time, |accessory| {
        found.insert(accessory.id.clone(), accessory.clone());
        false
    })
    .await?;
    let mut list: Vec<Announced> = found.into_values().collect();
    list.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(list)
}

/// Calls `each` for every announcement until it returns true or `time` is up.
async fn browse(time: Duration, mut each: impl FnMut(&Announced) -> bool) -> Result<()> {
    let daemon = start().map_err(|e| mdns_failure(&e))?;
    let answers = daemon.browse(SERVICE).map_err(|e| mdns_failure(&e))?;
    let deadline = tokio::time::Instant::now() + time;
    while let Ok(Ok(event)) = tokio::time::timeout_at(deadline, answers.recv_async()).await {
        let ServiceEvent::ServiceResolved(service) = event else {
            continue;
        };
        if Announced::from_service(&service).is_some_and(|a| each(&a)) {
            break;
        }
    }
    // It ends with the process in any case.
    let _ = daemon.shutdown();
    Ok(())
}

fn start() -> mdns_sd::Result<ServiceDaemon> {
    let daemon = ServiceDaemon::new()?;
    daemon.enable_interface(IfKind::LoopbackV4)?;
    daemon.enable_interface(IfKind::LoopbackV6)?;
    Ok(daemon)
}

fn mdns_failure(e: &mdns_sd::Error) -> Failure {
    Failure::new(Kind::Other, format!("mDNS cannot be used: {e}"))
        .hint("give the address instead: --address HOST:PORT")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdns_sd::ServiceInfo;

    fn announced(txt: &[(&str, &str)]) -> Option<Announced> {
        let info = ServiceInfo::new(
            SERVICE,
            "Garden cam",
            "cam.local.",
            "192.0.2.1,fe80::1,2001:db8::1",
            51826,
            txt,
        )
        .unwrap();
        Announced::from_service(&info.as_resolved_service())
    }

    #[test]
    fn the_txt_record_is_read() {
        let a = announced(&[
            ("id", "AA:BB:CC:DD:EE:FF"),
            ("sf", "1"),
            ("ci", "17"),
            ("c#", "4"),
        ])
        .unwrap();
        assert_eq!(a.name, "Garden cam");
        assert!(!a.paired());
        assert!(a.is("garden CAM") && a.is("aa:bb:cc:dd:ee:ff"));
        assert_eq!(a.to_json()["config_number"], 4);
        assert_eq!(a.to_json()["category_name"], "ip-camera");
    }

    #[test]
    fn addresses_come_in_the_order_to_try() {
        let a = announced(&[("id", "AA:BB:CC:DD:EE:FF")]).unwrap();
        let shown: Vec<String> = a.addresses().iter().map(ToString::to_string).collect();
        assert_eq!(shown[0], "192.0.2.1:51826");
        assert_eq!(shown[1], "[2001:db8::1]:51826");
        assert!(shown[2].starts_with("[fe80::1"));
    }

    #[test]
    fn without_a_device_id_it_is_no_accessory() {
        assert_eq!(announced(&[("sf", "1")]), None);
    }
}
