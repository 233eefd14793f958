//! One camera's ONVIF services: requests and answers, one TCP connection each.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::security::{Challenge, Login, username_token};
use super::soap::{self, Fault, Operation};
use super::xml::Element;
use super::{clock, xml};
use crate::media::authority;

/// Bytes of an answer.
const MAX_ANSWER: usize = 1 << 20;
/// Time for a connection and an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Why a request was in vain.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Unreachable(String),
    #[error("no answer in time")]
    Timeout,
    #[error("user or password are wrong, or may not see events")]
    NotAuthorized,
    #[error("it refuses: {0}")]
    Fault(String),
    #[error("HTTP status {0}")]
    Status(u16),
    #[error("its answer is {0}")]
    NotXml(#[from] xml::NotXml),
    #[error("its answer is not SOAP")]
    NotSoap,
    #[error("its answer lacks {0}")]
    Lacks(&'static str),
}

/// A service of the camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    /// Host and port to connect to.
    host: String,
    port: u16,
    path: String,
    /// As the camera tells it.
    to: String,
    reference: Vec<Element>,
}

impl Service {
    /// The service at `http://host[:port]/path`.
    pub(super) fn at(url: &str) -> Self {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let (host, port) = authority(rest);
        Self {
            host: host.to_owned(),
            port: port.unwrap_or(80),
            path: path(url).to_owned(),
            to: url.to_owned(),
            reference: Vec::new(),
        }
    }

    /// The service that the camera names by `url`. It is looked for on the same host, whatever host the camera believes
    /// to be: behind NAT it is wrong, and no answer makes this daemon talk to somebody else.
    pub(super) fn named(&self, url: &str, reference: Vec<Element>) -> Self {
        let named = Self::at(url);
        Self {
            host: self.host.clone(),
            port: if named.host == self.host {
                named.port
            } else {
                self.port
            },
            reference,
            ..named
        }
    }

    fn host_header(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    match rest.find('/') {
        Some(at) if rest[at..].bytes().all(|b| b.is_ascii_graphic()) => &rest[at..],
        _ => "/",
    }
}

/// Who asks, and what is known of the camera's demands.
pub(super) struct Client {
    login: Option<Login>,
    /// The camera's clock minus ours, in seconds.
    clock_offset: i64,
    challenge: Option<Challenge>,
}

struct Answer {
    status: StatusCode,
    challenges: Vec<String>,
    body: Bytes,
}

impl Client {
    pub(super) const fn new(login: Option<Login>) -> Self {
        Self {
            login,
            clock_offset: 0,
            challenge: None,
        }
    }

    /// Asks the camera for its time. One that does not tell is taken to have ours.
    pub(super) async fn learn_clock(&mut self, device: &Service) -> Result<(), Failure> {
        // It has to be answered without login (ONVIF Core Specification §5.9.4): a login needs the time.
        let asked = self.exchange(device, Operation::GetSystemDateAndTime, None, ANSWER);
        let answer = asked.await?;
        let envelope = Element::parse(&answer.body).ok();
        let theirs = envelope.and_then(|envelope| clock::utc(&envelope));
        self.clock_offset = theirs.map_or(0, |theirs| theirs - clock::now());
        Ok(())
    }

    /// Seconds by which the camera's clock is ahead.
    pub(super) const fn clock_offset(&self) -> i64 {
        self.clock_offset
    }

    /// Asks and returns the body's content. `patience` is how long the camera may think before it answers.
    pub(super) async fn call(
        &mut self,
        service: &Service,
        operation: Operation,
        patience: Duration,
    ) -> Result<Element, Failure> {
        let limit = ANSWER + patience;
        let mut answer = self.authenticated(service, operation, limit).await?;
        if answer.status == StatusCode::UNAUTHORIZED && self.accept_challenge(&answer) {
            answer = self.authenticated(service, operation, limit).await?;
        }
        understood(&answer)
    }

    async fn authenticated(
        &mut self,
        service: &Service,
        operation: Operation,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        let authorization = match (&mut self.challenge, &self.login) {
            (Some(challenge), Some(login)) => Some(challenge.answer(login, &service.path)),
            _ => None,
        };
        self.exchange(service, operation, authorization, limit)
            .await
    }

    /// Whether there is a demand that can be met by trying again. The second time in a row for the same nonce the
    /// password is wrong.
    fn accept_challenge(&mut self, answer: &Answer) -> bool {
        let new = Challenge::best(answer.challenges.iter().map(String::as_str));
        let again = new.as_ref().is_some_and(|new| {
            let known = self.challenge.as_ref();
            self.login.is_some() && known.is_none_or(|known| !known.is_same(new))
        });
        self.challenge = new;
        again
    }

    async fn exchange(
        &self,
        service: &Service,
        operation: Operation,
        authorization: Option<String>,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        // The password digest goes where the camera's HTTP server has not asked for its own.
        let login = self.login.as_ref().filter(|_| self.challenge.is_none());
        let login = login.filter(|_| operation != Operation::GetSystemDateAndTime);
        let token = login.map(|login| username_token(login, clock::now() + self.clock_offset));
        let body = soap::envelope(operation, &service.to, &service.reference, token.as_deref());
        let mut request = Request::post(&service.path)
            .header(HOST, service.host_header())
            .header(CONNECTION, "close")
            .header(
                CONTENT_TYPE,
                format!(
                    "application/soap+xml; charset=utf-8; action=\"{}\"",
                    operation.action()
                ),
            );
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(Bytes::from(body)));
        let request = request.map_err(|_| Failure::Lacks("a usable address"))?;
        let exchange = exchange(&service.host, service.port, request);
        tokio::time::timeout(limit, exchange)
            .await
            .map_err(|_| Failure::Timeout)?
    }
}

async fn exchange(host: &str, port: u16, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
    let unreachable = |error: std::io::Error| Failure::Unreachable(error.to_string());
    let broken = |_: hyper::Error| Failure::Unreachable("the connection was lost".into());
    let stream = TcpStream::connect((host, port))
        .await
        .map_err(unreachable)?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(broken)?;
    let connection = AbortOnDrop(tokio::spawn(connection));
    let answer = sender.send_request(request).await.map_err(broken)?;
    let status = answer.status();
    let demands = answer.headers().get_all(WWW_AUTHENTICATE).iter();
    let challenges = demands
        .filter_map(|v| v.to_str().ok().map(str::to_owned))
        .collect();
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    drop(connection);
    let body =
        body.map_err(|_| Failure::Unreachable("the answer is cut off or too large".into()))?;
    Ok(Answer {
        status,
        challenges,
        body: body.to_bytes(),
    })
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Faults come with statuses of all sorts, so the body is looked at first.
fn understood(answer: &Answer) -> Result<Element, Failure> {
    if answer.status == StatusCode::UNAUTHORIZED || answer.status == StatusCode::FORBIDDEN {
        return Err(Failure::NotAuthorized);
    }
    let bad_status = (!answer.status.is_success()).then(|| Failure::Status(answer.status.as_u16()));
    let envelope = match (Element::parse(&answer.body), bad_status) {
        (Ok(envelope), _) => envelope,
        (Err(_), Some(status)) => return Err(status),
        (Err(error), None) => return Err(error.into()),
    };
    match soap::body(&envelope) {
        Ok(body) => Ok(body.clone()),
        Err(Some(Fault {
            not_authorized: true,
            ..
        })) => Err(Failure::NotAuthorized),
        Err(Some(fault)) => Err(Failure::Fault(fault.text)),
        Err(None) => Err(Failure::NotSoap),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_stay_on_the_host_of_the_config() {
        let device = Service::at("http://192.0.2.7/onvif/device_service");
        assert_eq!(
            (device.port, device.path.as_str()),
            (80, "/onvif/device_service")
        );
        let same = device.named("http://192.0.2.7:8899/event?x=1", Vec::new());
        assert_eq!(
            (same.host.as_str(), same.port, same.path.as_str()),
            ("192.0.2.7", 8899, "/event?x=1")
        );
        let nat = Service::at("http://camera.example:8080/d")
            .named("http://10.0.0.2:80/event", Vec::new());
        assert_eq!(
            (nat.host.as_str(), nat.port, nat.path.as_str()),
            ("camera.example", 8080, "/event")
        );
        assert_eq!(nat.to, "http://10.0.0.2:80/event");
        let six = Service::at("http://[fe80::1]:81/x");
        assert_eq!(six.host_header(), "[fe80::1]:81");
        for odd in [
            "",
            "http://",
            "x y",
            "http://h/a b",
            "://",
            "http://h/\r\nX: y",
        ] {
            let service = device.named(odd, Vec::new());
            assert_eq!(
                (service.host.as_str(), service.path.as_str()),
                ("192.0.2.7", "/"),
                "{odd}"
            );
        }
    }
}
