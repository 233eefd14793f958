//! A camera's own events by ONVIF: a pull point is made at the camera and asked for messages again and again
//! (ONVIF Core Specification §9.2). Whatever goes wrong, it is tried again for ever.

mod client;
mod clock;
mod notice;
mod security;
mod soap;
mod xml;

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::backoff::Backoff;
use super::cameras::Target;
use crate::config::OnvifConfig;
use crate::media::Secret;
use client::{Client, Failure, Service};
use notice::Judge;
use security::Login;
use soap::Operation;
use xml::Element;

const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Cameras lock an account for minutes after a few wrong passwords.
const AFTER_WRONG_PASSWORD: Duration = Duration::from_secs(120);
/// Between two questions, also to a camera that answers at once.
const BETWEEN_PULLS: Duration = Duration::from_millis(100);
/// The same if it had nothing to tell.
const BETWEEN_EMPTY_PULLS: Duration = Duration::from_secs(1);
const RENEW_EVERY: Duration = Duration::from_secs(soap::LIFETIME_SECONDS / 2);
/// A clock that is further off is worth a word.
const CLOCK_OFF: u64 = 60;

/// Listens to the camera until told to stop.
pub(super) async fn run(config: OnvifConfig, target: Target, mut stop: watch::Receiver<bool>) {
    let mut watcher = Watcher {
        device: Service::at(&config.url),
        login: login(&config),
        judge: Judge::new(config.digital_input, config.source),
        target,
        told: false,
        backoff: Backoff::up_to(LONGEST_WAIT),
    };
    watcher.watch(&mut stop).await;
}

fn login(config: &OnvifConfig) -> Option<Login> {
    let user = config.user.clone()?;
    let password = config.password.clone().unwrap_or_else(|| Secret::new(""));
    Some(Login { user, password })
}

struct Watcher {
    device: Service,
    login: Option<Login>,
    judge: Judge,
    target: Target,
    /// The outage has been told of.
    told: bool,
    backoff: Backoff,
}

/// A pull point at the camera.
struct Subscription {
    client: Client,
    manager: Service,
    renewed: Instant,
}

impl Watcher {
    async fn watch(&mut self, stop: &mut watch::Receiver<bool>) {
        while !*stop.borrow() {
            let created = tokio::select! {
                created = Subscription::create(&self.device, self.login.clone()) => created,
                _ = stop.wait_for(|stopped| *stopped) => return,
            };
            let failure = match created {
                Ok(mut subscription) => {
                    self.subscribed(&subscription);
                    let Some(failure) = self.pull(&mut subscription, stop).await else {
                        return subscription.end().await;
                    };
                    failure
                }
                Err(failure) => failure,
            };
            if let Some(signal) = self.judge.release() {
                self.tell(signal);
            }
            let wait = self.failed(&failure);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stop.wait_for(|stopped| *stopped) => return,
            }
        }
    }

    /// Asks for messages until that fails, or, `None`, until the daemon stops.
    async fn pull(
        &mut self,
        at: &mut Subscription,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<Failure> {
        loop {
            let asked = Instant::now();
            let answer = tokio::select! {
                answer = at.messages() => answer,
                _ = stop.wait_for(|stopped| *stopped) => return None,
            };
            let notices = match answer {
                Ok(body) => notice::all(&body),
                Err(failure) => return Some(failure),
            };
            self.backoff.success();
            for notice in &notices {
                if let Some(signal) = self.judge.judge(notice) {
                    self.tell(signal);
                }
            }
            at.renew_in_time().await;
            let pause = if notices.is_empty() {
                BETWEEN_EMPTY_PULLS
            } else {
                BETWEEN_PULLS
            };
            tokio::time::sleep_until(asked + pause).await;
        }
    }

    /// What the camera's HomeKit side does not have is not for it: cameras tell of all their inputs.
    fn tell(&self, signal: super::Signal) {
        if let Err(error) = self.target.tell(signal, "onvif") {
            debug!(%error, "event of the camera");
        }
    }

    fn subscribed(&mut self, subscription: &Subscription) {
        let offset = subscription.client.clock_offset();
        if offset.unsigned_abs() > CLOCK_OFF {
            let camera = self.target.name();
            debug!(
                camera,
                seconds = offset,
                "the camera's clock is ahead of ours"
            );
        }
        self.told = false;
        info!(
            camera = self.target.name(),
            "listening to the camera's ONVIF events"
        );
    }

    /// Warns once per outage; returns the time to wait.
    fn failed(&mut self, failure: &Failure) -> Duration {
        let camera = self.target.name();
        let reason = failure.to_string();
        if std::mem::replace(&mut self.told, true) {
            debug!(camera, reason, "no ONVIF events");
        } else {
            warn!(
                camera,
                reason, "no ONVIF events of the camera; trying again until there are"
            );
        }
        let wait = self.backoff.after_failure();
        match failure {
            Failure::NotAuthorized => wait.max(AFTER_WRONG_PASSWORD),
            _ => wait,
        }
    }
}

impl Subscription {
    async fn create(device: &Service, login: Option<Login>) -> Result<Self, Failure> {
        let mut client = Client::new(login);
        client.learn_clock(device).await?;
        let events = event_service(&mut client, device).await?;
        let create = Operation::CreatePullPointSubscription;
        let body = client.call(&events, create, Duration::ZERO).await?;
        let reference = body.find("SubscriptionReference");
        let reference = reference.ok_or(Failure::Lacks("a SubscriptionReference"))?;
        let address = reference.child("Address").map_or("", Element::trimmed);
        let parameters = reference.child("ReferenceParameters");
        let parameters = parameters.map_or(&[][..], |p| &p.children).iter().take(4);
        let manager = match address {
            "" => events,
            address => events.named(address, parameters.cloned().collect()),
        };
        Ok(Self {
            client,
            manager,
            renewed: Instant::now(),
        })
    }

    async fn messages(&mut self) -> Result<Element, Failure> {
        let patience = Duration::from_secs(soap::PULL_SECONDS);
        self.client
            .call(&self.manager, Operation::PullMessages, patience)
            .await
    }

    /// Some cameras renew with every pull and know no `Renew`: what matters is whether the next pull works.
    async fn renew_in_time(&mut self) {
        if self.renewed.elapsed() < RENEW_EVERY {
            return;
        }
        self.renewed = Instant::now();
        let renewed = self
            .client
            .call(&self.manager, Operation::Renew, Duration::ZERO);
        if let Err(error) = renewed.await {
            debug!(%error, "the subscription could not be renewed");
        }
    }

    async fn end(mut self) {
        let end = self
            .client
            .call(&self.manager, Operation::Unsubscribe, Duration::ZERO);
        if let Err(error) = end.await {
            debug!(%error, "the subscription could not be ended");
        }
    }
}

/// Where the camera says its event service is; the configured service itself if it does not say, since that may be it.
async fn event_service(client: &mut Client, device: &Service) -> Result<Service, Failure> {
    let asked = client.call(device, Operation::GetCapabilities, Duration::ZERO);
    let body = match asked.await {
        Ok(body) => body,
        Err(Failure::Fault(_) | Failure::Status(_) | Failure::NotSoap) => return Ok(device.clone()),
        Err(failure) => return Err(failure),
    };
    let address = body.find("Events").and_then(|e| e.child("XAddr"));
    let address = address.map(Element::trimmed).filter(|a| !a.is_empty());
    Ok(address.map_or_else(|| device.clone(), |a| device.named(a, Vec::new())))
}
