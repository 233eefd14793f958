//! `HOST:PORT` as people type it.

use std::net::SocketAddr;

use crate::failure::{Failure, Kind, Result};

/// Splits `HOST:PORT`; IPv6 addresses stand in brackets: `[::1]:51826`.
fn split(text: &str) -> Result<(&str, u16)> {
    let (host, port) = text.rsplit_once(':').ok_or_else(|| malformed(text))?;
    let port = port.parse().map_err(|_| malformed(text))?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or_else(|| malformed(text))?,
        None if host.contains(':') => return Err(malformed(text)),
        None => host,
    };
    if host.is_empty() || port == 0 {
        return Err(malformed(text));
    }
    Ok((host, port))
}

fn malformed(text: &str) -> Failure {
    Failure::new(Kind::Usage, format!("{text:?} is not an address"))
        .hint("write HOST:PORT, for example 192.168.1.20:51826, camera.local:51826 or [::1]:51826")
}

/// Resolves `HOST:PORT` to the addresses to try, in the resolver's order.
///
/// # Errors
/// [`Kind::Usage`] for malformed text, [`Kind::Unreachable`] when the name does not resolve.
pub async fn resolve(text: &str) -> Result<Vec<SocketAddr>> {
    let (host, port) = split(text)?;
    let unresolved = |why: String| {
        Failure::new(Kind::Unreachable, format!("{host} does not resolve: {why}"))
            .hint("give the address in numbers, or look for the accessory with `hapctl discover`")
    };
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|e| unresolved(e.to_string()))?
        .collect();
    if found.is_empty() {
        return Err(unresolved("no address".into()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_and_names_are_split() {
        assert_eq!(split("10.0.0.1:80").unwrap(), ("10.0.0.1", 80));
        assert_eq!(split("[::1]:51826").unwrap(), ("::1", 51826));
        assert_eq!(split("[fe80::1%2]:9").unwrap(), ("fe80::1%2", 9));
        assert_eq!(split("cam.local:65535").unwrap(), ("cam.local", 65535));
    }

    #[test]
    fn everything_else_is_refused_with_advice() {
        for bad in [
            "",
            "cam",
            "cam:",
            ":80",
            "cam:0",
            "cam:65536",
            "::1:80",
            "[::1:80",
            "[]:80",
            "cam:x",
        ] {
            let e = split(bad).unwrap_err();
            assert_eq!(e.kind(), Kind::Usage, "{bad}");
            assert!(e.advice().is_some());
        }
    }

    #[tokio::test]
    async fn numeric_addresses_need_no_name_service() {
        let found = resolve("[::1]:51826").await.unwrap();
        assert_eq!(found, vec!["[::1]:51826".parse().unwrap()]);
    }
}
