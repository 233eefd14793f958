//! Answers to requests.

use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::guard::{Denied, Guard};
use super::route::{self, Route, Wrong};
use crate::events::cameras::{Cameras, Refused};
use crate::events::signal::Kind;
use crate::media::Secret;

/// Bytes of a body.
const MAX_BODY: usize = 4096;
/// Time for a body.
const BODY: Duration = Duration::from_secs(5);

/// What is served.
pub(super) struct Site {
    cameras: Cameras,
    guard: Guard,
}

/// Status, one more header, and the JSON of the body.
type Answer = (StatusCode, Option<(HeaderName, &'static str)>, Value);

impl Site {
    pub(super) fn new(cameras: Cameras, token: Option<Secret>, unix: bool) -> Self {
        Self {
            cameras,
            guard: Guard::new(token, unix),
        }
    }

    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (status, header, body) = self.consider(request).await;
        let mut response = Response::new(Full::from(format!("{body}\n")));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            "application/json".parse().expect("a constant"),
        );
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().expect("only constants are given"));
        }
        response
    }

    async fn consider(&self, request: Request<Incoming>) -> Answer {
        if let Err(denied) = self.guard.check(request.headers()) {
            return turned_away(denied);
        }
        match route::route(request.method(), request.uri().path()) {
            Ok(Route::List) => (StatusCode::OK, None, json!({ "cameras": self.list() })),
            Ok(Route::Tell(camera, kind)) => self.tell(&camera, kind, request).await,
            Err(Wrong::Path(reason)) => self.not_found(&reason),
            Err(Wrong::Method(names)) => {
                let text = format!("{} is not known here; {names} are", request.method());
                let allow = Some((ALLOW, names));
                (
                    StatusCode::METHOD_NOT_ALLOWED,
                    allow,
                    json!({ "error": text }),
                )
            }
        }
    }

    async fn tell(&self, camera: &str, kind: Kind, request: Request<Incoming>) -> Answer {
        let target = match self.cameras.find(camera) {
            Ok(target) => target,
            Err(refused) => return self.not_found(&refused.to_string()),
        };
        let query = request.uri().query().map(str::to_owned);
        let body = match body(request).await {
            Ok(body) => body,
            Err(answer) => return answer,
        };
        let signal = match route::signal(kind, query.as_deref(), &body) {
            Ok(signal) => signal,
            Err(reason) => return (StatusCode::BAD_REQUEST, None, json!({ "error": reason })),
        };
        match target.tell(signal, "http") {
            Ok(()) => {
                let done = json!({ "camera": target.name(), "done": signal.to_string() });
                (StatusCode::OK, None, done)
            }
            Err(refused @ Refused::Kind(..)) => (
                StatusCode::CONFLICT,
                None,
                json!({ "error": refused.to_string() }),
            ),
            Err(refused) => self.not_found(&refused.to_string()),
        }
    }

    fn not_found(&self, reason: &str) -> Answer {
        let body = json!({ "error": reason, "cameras": self.list() });
        (StatusCode::NOT_FOUND, None, body)
    }

    fn list(&self) -> Vec<Value> {
        let one = |t: &crate::events::Target| {
            let kinds: Vec<_> = t.kinds().iter().map(|k| k.name()).collect();
            json!({ "name": t.name(), "id": t.id(), "triggers": kinds })
        };
        self.cameras.list().iter().map(one).collect()
    }
}

fn turned_away(denied: Denied) -> Answer {
    match denied {
        Denied::Token => {
            let ask = Some((WWW_AUTHENTICATE, "Bearer, Basic realm=\"hapd\""));
            let text = "the token of the config is needed: Authorization: Bearer ...";
            (StatusCode::UNAUTHORIZED, ask, json!({ "error": text }))
        }
        Denied::Page => {
            let text = "web pages may not ask, nor may requests for another host, unless http_token is set";
            (StatusCode::FORBIDDEN, None, json!({ "error": text }))
        }
    }
}

/// The whole body; what is wrong with it ends the connection, since its rest would look like the next request.
async fn body(request: Request<Incoming>) -> Result<Bytes, Answer> {
    if request.method() == Method::GET && request.uri().query().is_some() {
        return Ok(Bytes::new());
    }
    let close = Some((CONNECTION, "close"));
    let wrong = |status, text: &str| (status, close.clone(), json!({ "error": text }));
    let body = Limited::new(request.into_body(), MAX_BODY).collect();
    match tokio::time::timeout(BODY, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let text = format!("the body has more than {MAX_BODY} bytes");
            Err(wrong(StatusCode::PAYLOAD_TOO_LARGE, &text))
        }
        Ok(Err(_)) => Err(wrong(StatusCode::BAD_REQUEST, "the body is broken")),
        Err(_) => Err(wrong(StatusCode::REQUEST_TIMEOUT, "the body did not come")),
    }
}
