//! RTSP URLs, and why a camera cannot be reached by one.

use std::io::ErrorKind;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Time for an attempt to find out why there is no connection.
const PROBE: Duration = Duration::from_secs(2);

/// An RTSP URL without its credentials, and these.
#[derive(PartialEq, Eq)]
pub(crate) struct RtspUrl {
    pub(crate) clean: String,
    user: Option<String>,
    password: Option<String>,
}

impl RtspUrl {
    /// The last `@` of the authority divides, so that a password may hold that sign unescaped.
    pub(crate) fn split(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("rtsp", url));
        let Some((user_info, host)) = rest
            .rsplit_once('@')
            .filter(|(info, host)| plausible(info, host))
        else {
            return Self {
                clean: url.to_owned(),
                user: None,
                password: None,
            };
        };
        let (user, password) = match user_info.split_once(':') {
            Some((user, password)) => (user, Some(password.to_owned())),
            None => (user_info, None),
        };
        Self {
            clean: format!("{scheme}://{host}"),
            user: Some(user.to_owned()),
            password,
        }
    }

    /// User name and password, unescaped.
    pub(crate) fn credentials(&self) -> (Option<String>, Option<String>) {
        (
            self.user.as_deref().map(unescaped),
            self.password.as_deref().map(unescaped),
        )
    }

    /// User name and password in every form in which they might be told.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let both = [&self.user, &self.password].into_iter().flatten();
        both.flat_map(|secret| [secret.clone(), unescaped(secret)])
            .collect()
    }

    /// Tries to connect, to learn why GStreamer could not: it does not say. `None` if the connection can be made.
    pub(super) fn connection_failure(&self) -> Option<&'static str> {
        let (host, port) = self.host_and_port();
        let Some(address) = (host, port)
            .to_socket_addrs()
            .ok()
            .and_then(|mut found| found.next())
        else {
            return Some("host name unknown");
        };
        let error = TcpStream::connect_timeout(&address, PROBE).err()?;
        Some(match error.kind() {
            ErrorKind::ConnectionRefused => "connection refused",
            ErrorKind::TimedOut | ErrorKind::WouldBlock => "no answer in time",
            ErrorKind::NetworkUnreachable => "network not reachable",
            _ => "host not reachable",
        })
    }

    fn host_and_port(&self) -> (&str, u16) {
        let (scheme, rest) = self
            .clean
            .split_once("://")
            .unwrap_or(("rtsp", &self.clean));
        let usual = if scheme.starts_with("rtsps") {
            322
        } else {
            554
        };
        let (host, port) = authority(rest);
        (host, port.unwrap_or(usual))
    }
}

/// Host and port of what follows `scheme://` in a URL without credentials; an IPv6 address without its brackets.
pub(crate) fn authority(rest: &str) -> (&str, Option<u16>) {
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    let bracketed = authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'));
    match (bracketed, authority.rsplit_once(':')) {
        (Some((host, port)), _) => (host, port.strip_prefix(':').and_then(|p| p.parse().ok())),
        (None, Some((host, port))) => (host, port.parse().ok()),
        (None, None) => (authority, None),
    }
}

/// An `@` in a path is none of credentials: there is no `:` before the first `/` then, or only that of a port.
fn plausible(info: &str, host: &str) -> bool {
    let authority = info.split('/').next().unwrap_or(info);
    let is_port = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let in_path = info.contains('/')
        && authority
            .split_once(':')
            .is_none_or(|(_, port)| is_port(port));
    !host.is_empty() && !in_path
}

/// `%40` and the like made what they stand for; anything malformed stays.
pub(crate) fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes
            .get(at + 1..at + 3)
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match hex
            .filter(|_| byte == b'%')
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_out_of_the_url() {
        let some = |text: &str| Some(text.to_owned());
        for (url, clean, user, password) in [
            ("rtsp://h/p", "rtsp://h/p", None, None),
            (
                "rtsp://u:p@h:554/p?x=1",
                "rtsp://h:554/p?x=1",
                some("u"),
                some("p"),
            ),
            ("rtsps://u@h/p", "rtsps://h/p", some("u"), None),
            (
                "rtsp://u:p@ss/word@h/p",
                "rtsp://h/p",
                some("u"),
                some("p@ss/word"),
            ),
            ("rtsp://u:p%40ss@h/p", "rtsp://h/p", some("u"), some("p@ss")),
            (
                "rtsp://h:554/user@home/p",
                "rtsp://h:554/user@home/p",
                None,
                None,
            ),
            ("rtsp://h/user@home", "rtsp://h/user@home", None, None),
        ] {
            let split = RtspUrl::split(url);
            assert_eq!(
                (split.clean.as_str(), split.credentials()),
                (clean, (user, password)),
                "{url}"
            );
        }
    }

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(unescaped("p%40s%2Fs"), "p@s/s");
        assert_eq!(unescaped("100%"), "100%");
        assert_eq!(unescaped("%zz%4%+1"), "%zz%4%+1");
    }

    #[test]
    fn both_forms_of_a_password_are_secret() {
        assert_eq!(
            RtspUrl::split("rtsp://bob:p%40ss@h/p").secrets(),
            ["bob", "bob", "p%40ss", "p@ss"]
        );
    }

    #[test]
    fn host_and_port_are_found() {
        for (url, expected) in [
            ("rtsp://h/p", ("h", 554)),
            ("rtsp://u:p@h:8554/p", ("h", 8554)),
            ("rtsps://h?x", ("h", 322)),
            ("rtsp://[fe80::1]:99/p", ("fe80::1", 99)),
            ("rtsp://[::1]/p", ("::1", 554)),
        ] {
            assert_eq!(RtspUrl::split(url).host_and_port(), expected, "{url}");
        }
    }

    #[test]
    fn a_closed_port_is_refused_and_an_open_one_is_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = RtspUrl::split(&format!(
            "rtsp://127.0.0.1:{}/x",
            listener.local_addr().unwrap().port()
        ));
        assert_eq!(url.connection_failure(), None);
        drop(listener);
        assert_eq!(url.connection_failure(), Some("connection refused"));
        assert_eq!(
            RtspUrl::split("rtsp://nowhere.invalid/x").connection_failure(),
            Some("host name unknown")
        );
    }
}
