//! Who may tell the cameras something by HTTP.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue, ORIGIN};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::media::Secret;

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// 401: the token is wrong or missing.
    Token,
    /// 403: a web page in somebody's browser asks.
    Page,
}

/// The rules of one socket.
pub(super) struct Guard {
    token: Option<Secret>,
    unix: bool,
}

impl Guard {
    /// Without a token everybody on this machine may ask; on a Unix socket whoever may open it.
    pub(super) fn new(token: Option<Secret>, unix: bool) -> Self {
        Self { token, unix }
    }

    /// Judges one request's head.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Denied> {
        match &self.token {
            Some(token) if has_token(headers, token) => Ok(()),
            Some(_) => Err(Denied::Token),
            None if from_a_page(headers) || !(self.unix || names_this_machine(headers)) => {
                Err(Denied::Page)
            }
            None => Ok(()),
        }
    }
}

fn has_token(headers: &HeaderMap, token: &Secret) -> bool {
    let given = headers.get(AUTHORIZATION).and_then(given_token);
    // The length of a token is no secret.
    given.is_some_and(|given| given.as_bytes().ct_eq(token.expose().as_bytes()).into())
}

/// `Bearer TOKEN`, or the token as the password of `Basic`, which is what cameras make of `http://x:TOKEN@host/`.
fn given_token(value: &HeaderValue) -> Option<Zeroizing<String>> {
    let (scheme, given) = value.to_str().ok()?.split_once(' ')?;
    let given = given.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Zeroizing::new(given.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = Zeroizing::new(STANDARD.decode(given).ok()?);
    let (_, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some(Zeroizing::new(password.to_owned()))
}

/// Browsers say so; without this any web page could switch privacy off.
fn from_a_page(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    headers.contains_key(ORIGIN) || site.is_some_and(|site| site != "none")
}

/// A page may have its own name resolve to this machine: then the `Host` is that name.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|h| h.to_str().ok()) else {
        return true;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(token: Option<&str>, headers: &[(&'static str, &str)]) -> Result<(), Denied> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a header's value"));
        }
        Guard::new(token.map(Secret::new), false).check(&map)
    }

    #[test]
    fn the_token_is_asked_for() {
        let basic = format!("Basic {}", STANDARD.encode("camera:open sesame"));
        let other = format!("Basic {}", STANDARD.encode("open sesame:"));
        let token = Some("open sesame");
        for right in ["Bearer open sesame", "bearer open sesame", basic.as_str()] {
            assert_eq!(check(token, &[("authorization", right)]), Ok(()), "{right}");
        }
        for wrong in [
            "Bearer open",
            "Bearer open sesame!",
            "open sesame",
            "Bearer ",
            "Basic =",
            &other,
        ] {
            assert_eq!(
                check(token, &[("authorization", wrong)]),
                Err(Denied::Token),
                "{wrong}"
            );
        }
        assert_eq!(check(token, &[]), Err(Denied::Token));
    }

    #[test]
    fn web_pages_are_kept_out() {
        for right in ["localhost", "127.0.0.1:8087", "[::1]:8087", "LOCALHOST:1"] {
            assert_eq!(check(None, &[("host", right)]), Ok(()), "{right}");
        }
        assert_eq!(check(None, &[]), Ok(()));
        for wrong in [
            "evil.example",
            "evil.example:8087",
            "10.0.0.1",
            "localhost.evil.example",
        ] {
            assert_eq!(
                check(None, &[("host", wrong)]),
                Err(Denied::Page),
                "{wrong}"
            );
        }
        for header in [("origin", "null"), ("sec-fetch-site", "cross-site")] {
            let headers = [("host", "localhost"), header];
            assert_eq!(check(None, &headers), Err(Denied::Page), "{header:?}");
        }
        assert_eq!(
            check(None, &[("host", "localhost"), ("sec-fetch-site", "none")]),
            Ok(())
        );
    }
}
