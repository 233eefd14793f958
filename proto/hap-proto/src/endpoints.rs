//! From a request to what answers it (HAP R1 §5.9).

use std::time::Instant;

use crate::accessories;
use crate::characteristics::query::Query;
use crate::characteristics::read::Reader;
use crate::characteristics::write::Writer;
use crate::connection::{Access, Connection, context};
use crate::core::{Core, Outcome, Then};
use crate::host::{Host, ResourceReply};
use crate::http::{ContentType, Method, Request, Response};
use crate::pair_setup::Exchange;
use crate::pairings;
use crate::resource;
use crate::status::Status;

/// One request and what it needs.
pub(crate) struct Call<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) connection: &'a mut Connection,
    pub(crate) request: &'a Request,
    pub(crate) now: Instant,
    pub(crate) host: &'a mut dyn Host,
}

impl Call<'_> {
    /// Answers the request.
    pub(crate) fn answer(&mut self) -> Outcome {
        let access = self.connection.access();
        match (self.request.path.as_str(), self.request.method) {
            _ if access == Access::Revoked => {
                Response::status(470, Status::InsufficientPrivileges).into()
            }
            ("/identify", method) => self.identify(method).into(),
            ("/pair-setup" | "/pair-verify", _) if access != Access::Unverified => {
                bad_request().into()
            }
            ("/pair-setup", Method::Post) => self.pair_setup(),
            ("/pair-verify", Method::Post) => self.pair_verify(),
            ("/pair-setup" | "/pair-verify", _) => wrong_method().into(),
            _ => match access {
                Access::Verified => self.verified(),
                Access::Transient => bad_request().into(),
                _ => Response::status(470, Status::InsufficientAuthorization).into(),
            },
        }
    }

    fn verified(&mut self) -> Outcome {
        match (self.request.path.as_str(), self.request.method) {
            ("/pairings", Method::Post) => self.pairings(),
            ("/accessories", Method::Get) => self.accessories().into(),
            ("/characteristics", Method::Get) => self.read().into(),
            ("/characteristics", Method::Put) => self.write().into(),
            ("/prepare", Method::Put) => self.prepare().into(),
            ("/resource", Method::Post) => self.resource(),
            // Says that Wi-Fi setup is done, which an accessory on the network has nothing to do for.
            ("/configured", Method::Post) => Response::no_content().into(),
            (
                "/pairings" | "/accessories" | "/characteristics" | "/prepare" | "/resource"
                | "/configured",
                _,
            ) => wrong_method().into(),
            _ => Response::status(404, Status::NotFound).into(),
        }
    }

    /// For unpaired accessories only (HAP R1 §5.7.6).
    fn identify(&mut self, method: Method) -> Response {
        if self.core.pairings.is_paired() {
            return Response::status(400, Status::InsufficientPrivileges);
        }
        if method != Method::Post {
            return wrong_method();
        }
        self.host.identify();
        Response::no_content()
    }

    fn pair_setup(&mut self) -> Outcome {
        let state = std::mem::take(&mut self.connection.pair_setup);
        let mut exchange = Exchange {
            core: &mut *self.core,
            conn: self.connection.id,
            now: self.now,
            host: &mut *self.host,
        };
        let (state, outcome) = state.handle(&self.request.body, &mut exchange);
        self.connection.pair_setup = state;
        outcome
    }

    fn pair_verify(&mut self) -> Outcome {
        let state = std::mem::take(&mut self.connection.pair_verify);
        let (state, outcome) = state.handle(&self.request.body, self.core, self.host);
        self.connection.pair_verify = state;
        outcome
    }

    fn pairings(&mut self) -> Outcome {
        let caller = self.connection.controller().unwrap_or_default();
        pairings::handle(&self.request.body, caller, self.core, self.host)
    }

    fn accessories(&mut self) -> Response {
        let mut reader = self.reader();
        let body = accessories::body(reader.database, &mut reader);
        Response::new(200, ContentType::Json, body)
    }

    fn read(&mut self) -> Response {
        match Query::parse(&self.request.query) {
            Some(query) => self.reader().read(&query),
            None => bad_request(),
        }
    }

    fn reader(&mut self) -> Reader<'_> {
        Reader {
            database: &self.core.database,
            events: &self.connection.events,
            context: self.connection.context(&self.core.pairings),
            host: &mut *self.host,
        }
    }

    fn write(&mut self) -> Response {
        let connection = &mut *self.connection;
        let mut writer = Writer {
            database: &self.core.database,
            events: &mut connection.events,
            timed_write: &mut connection.timed_write,
            context: context(
                connection.id,
                connection.session.as_ref(),
                &self.core.pairings,
            ),
            now: self.now,
            host: &mut *self.host,
        };
        writer.write(&self.request.body)
    }

    fn prepare(&mut self) -> Response {
        self.connection
            .timed_write
            .prepare(&self.request.body, self.now)
    }

    fn resource(&mut self) -> Outcome {
        let request = match resource::request(&self.request.body, &self.core.database) {
            Ok(request) => request,
            Err(refusal) => return refusal.into(),
        };
        let context = self.connection.context(&self.core.pairings);
        match self.host.resource(&context, request) {
            ResourceReply::Image(image) => resource::response(Ok(image)).into(),
            ResourceReply::Error(status) => resource::response(Err(status)).into(),
            ResourceReply::Later => Outcome {
                response: None,
                then: Then::GoOn,
            },
        }
    }
}

fn bad_request() -> Response {
    Response::status(400, Status::InvalidValue)
}

fn wrong_method() -> Response {
    Response::status(405, Status::InvalidValue)
}
