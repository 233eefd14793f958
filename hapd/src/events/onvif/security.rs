//! How the daemon shows a camera who it is: a password digest in the SOAP header (WS-Security UsernameToken Profile 1.0)
//! or, where the camera's HTTP server asks, HTTP digest (RFC 7616). A password is never sent as it is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use quick_xml::escape::escape;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::clock;
use crate::media::Secret;
use crate::random;

/// Name and password.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pub(super) user: Secret,
    pub(super) password: Secret,
}

/// The SOAP header of one request, with a new nonce; `now` is the camera's time.
pub(super) fn username_token(login: &Login, now: i64) -> String {
    let mut nonce = [0; 16];
    random::fill(&mut nonce);
    token(login, &nonce, &clock::iso(now))
}

fn token(login: &Login, nonce: &[u8], created: &str) -> String {
    const WSS: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-";
    let digest = Sha1::new()
        .chain_update(nonce)
        .chain_update(created)
        .chain_update(login.password.expose())
        .finalize();
    format!(
        "<wsse:Security s:mustUnderstand=\"1\" xmlns:wsse=\"{WSS}wssecurity-secext-1.0.xsd\" \
         xmlns:wsu=\"{WSS}wssecurity-utility-1.0.xsd\"><wsse:UsernameToken><wsse:Username>{}</wsse:Username>\
         <wsse:Password Type=\"{WSS}username-token-profile-1.0#PasswordDigest\">{}</wsse:Password>\
         <wsse:Nonce EncodingType=\"{WSS}soap-message-security-1.0#Base64Binary\">{}</wsse:Nonce>\
         <wsu:Created>{created}</wsu:Created></wsse:UsernameToken></wsse:Security>",
        escape(login.user.expose()),
        STANDARD.encode(digest),
        STANDARD.encode(nonce),
    )
}

/// A camera's demand for HTTP digest, and how often it was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    sha256: bool,
    /// It knows `qop=auth`.
    qop: bool,
    uses: u32,
}

impl Challenge {
    /// The best of what the `WWW-Authenticate` headers demand; `None` without one that can be met.
    pub(super) fn best<'h>(headers: impl Iterator<Item = &'h str>) -> Option<Self> {
        headers.filter_map(Self::parse).max_by_key(|c| c.sha256)
    }

    /// Whether the camera says the same again: then the answer was wrong.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.nonce == other.nonce && self.realm == other.realm
    }

    fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let parameters = parameters(rest);
        let named = |name: &str| {
            parameters
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.clone())
        };
        let sha256 = match named("algorithm")
            .map(|a| a.to_ascii_uppercase())
            .as_deref()
        {
            None | Some("MD5") => false,
            Some("SHA-256") => true,
            Some(_) => return None,
        };
        let qop = named("qop");
        let offers_auth = |q: &String| q.split(',').any(|q| q.trim().eq_ignore_ascii_case("auth"));
        if qop.as_ref().is_some_and(|q| !offers_auth(q)) {
            return None;
        }
        Some(Self {
            realm: named("realm")?,
            nonce: named("nonce")?,
            opaque: named("opaque"),
            sha256,
            qop: qop.is_some(),
            uses: 0,
        })
    }

    /// The `Authorization` header of one POST to `path`.
    pub(super) fn answer(&mut self, login: &Login, path: &str) -> String {
        let mut bytes = [0; 8];
        random::fill(&mut bytes);
        let cnonce = hex(&bytes);
        self.uses += 1;
        self.authorization(login, "POST", path, &cnonce)
    }

    /// RFC 7616 §3.4.1.
    fn authorization(&self, login: &Login, method: &str, path: &str, cnonce: &str) -> String {
        let (user, password) = (login.user.expose(), login.password.expose());
        let secret = self.hash(&[user, &self.realm, password]);
        let request = self.hash(&[method, path]);
        let uses = format!("{:08x}", self.uses);
        let response = match self.qop {
            true => self.hash(&[&secret, &self.nonce, &uses, cnonce, "auth", &request]),
            false => self.hash(&[&secret, &self.nonce, &request]),
        };
        let mut out = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{path}\", response=\"{response}\"",
            quoted(user),
            quoted(&self.realm),
            quoted(&self.nonce)
        );
        out += if self.sha256 {
            ", algorithm=SHA-256"
        } else {
            ", algorithm=MD5"
        };
        if self.qop {
            out += &format!(", qop=auth, nc={uses}, cnonce=\"{cnonce}\"");
        }
        if let Some(opaque) = &self.opaque {
            out += &format!(", opaque=\"{}\"", quoted(opaque));
        }
        out
    }

    fn hash(&self, parts: &[&str]) -> String {
        let joined = zeroize::Zeroizing::new(parts.join(":"));
        match self.sha256 {
            true => hex(&Sha256::digest(joined.as_bytes())),
            false => hex(&Md5::digest(joined.as_bytes())),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// `a=b, c="d, e"`: names in lower case, values without quotes.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, left) = value(after.trim_start());
        let name = name.trim_matches([' ', ',', '\t']).to_ascii_lowercase();
        out.push((name, value));
        rest = left;
    }
    out
}

fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        return (text[..end].trim().to_owned(), &text[end..]);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return (value, &quoted[at + 1..]),
            c => {
                value.push(c);
                escaped = false;
            }
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn login(user: &str, password: &str) -> Login {
        Login {
            user: Secret::new(user),
            password: Secret::new(password),
        }
    }

    /// The example of ONVIF's Application Programmer's Guide §6.1.1.3.
    #[test]
    fn the_password_digest_of_the_guide() {
        let nonce = STANDARD.decode("LKqI6G/AikKCQrN0zqZFlg==").expect("base64");
        let token = token(
            &login("user<", "userpassword"),
            &nonce,
            "2010-09-16T07:50:45Z",
        );
        assert!(
            token.contains(">tuOSpGlFlIXsozq4HFNeeGeFLEI=</wsse:Password>"),
            "{token}"
        );
        assert!(token.contains("<wsse:Username>user&lt;</wsse:Username>"));
        assert!(!token.contains("userpassword"));
    }

    /// The example of RFC 2617 §3.5.
    #[test]
    fn http_digest_by_md5() {
        let header = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
                      nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let mut challenge = Challenge::best([header].into_iter()).expect("it can be met");
        challenge.uses = 1;
        let login = login("Mufasa", "Circle Of Life");
        let answer = challenge.authorization(&login, "GET", "/dir/index.html", "0a4f113b");
        assert!(
            answer.contains("response=\"6629fae49393a05397450978507c4ef1\""),
            "{answer}"
        );
        assert!(answer.contains("opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""));
        assert!(answer.contains("nc=00000001, cnonce=\"0a4f113b\""));
        assert!(!answer.contains("Circle"));
    }

    /// The example of RFC 7616 §3.9.1, which demands both algorithms.
    #[test]
    fn http_digest_by_sha_256_where_it_is_offered() {
        let demand = |algorithm: &str| {
            format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            )
        };
        let both = [demand("SHA-256"), demand("MD5")];
        let mut challenge =
            Challenge::best(both.iter().map(String::as_str)).expect("it can be met");
        challenge.uses = 1;
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let login = login("Mufasa", "Circle of Life");
        let answer = challenge.authorization(&login, "GET", "/dir/index.html", cnonce);
        let expected = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
        assert!(
            answer.contains(&format!("response=\"{expected}\"")),
            "{answer}"
        );
    }

    #[test]
    fn demands_that_cannot_be_met() {
        for header in [
            "Basic realm=\"x\"",
            "Digest realm=\"x\"",
            "Digest realm=\"x\", nonce=\"n\", qop=\"auth-int\"",
            "Digest realm=\"x\", nonce=\"n\", algorithm=SHA-512-256",
            "Digest",
            "",
        ] {
            assert_eq!(Challenge::best([header].into_iter()), None, "{header}");
        }
        let old = Challenge::best(["digest realm=x, nonce=n"].into_iter()).expect("RFC 2069");
        assert!(!old.qop);
    }

    proptest! {
        #[test]
        fn no_demand_is_too_strange(text in "\\PC{0,100}") {
            let demand = format!("Digest realm=\"a\", nonce=\"b\", {text}");
            let both = [text.as_str(), demand.as_str()];
            let _ = Challenge::best(both.into_iter()).map(|mut c| c.answer(&login("u", "p"), "/"));
        }
    }
}
