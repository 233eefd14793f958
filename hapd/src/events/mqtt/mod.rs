//! Triggers by MQTT, from Frigate, zigbee2mqtt, Home Assistant and the like. The broker may go and come back: the
//! connection is made again for ever, with one warning per outage.

mod payload;
mod topic;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, MqttOptions, Packet, Publish, QoS,
    SubscribeFilter, SubscribeReasonCode,
};
use tracing::{debug, info, warn};

use super::backoff::Backoff;
use super::cameras::{Cameras, Target};
use super::signal::{Kind, MOTION_OFF, Signal};
use crate::config::{BrokerConfig, Config, TopicRule};
use crate::random;

const KEEP_ALIVE: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A connection that lasted this long was all right: the next failure is a new outage.
const STABLE: Duration = Duration::from_secs(10);
/// Bytes of a message; a larger one ends the connection.
const MAX_MESSAGE: usize = 256 * 1024;
/// Requests on their way to the broker.
const QUEUE: usize = 16;

/// One camera's topic.
struct Rule {
    target: Target,
    rule: TopicRule,
    /// The last message said that something moves.
    moves: AtomicBool,
}

/// The topics of all cameras.
pub(super) struct Subscriptions {
    rules: Vec<Rule>,
}

impl Subscriptions {
    /// Those of the config; cameras that `cameras` does not hold have none.
    pub(super) fn new(config: &Config, cameras: &Cameras) -> Self {
        let of_camera = |camera: &crate::config::CameraConfig| {
            let target = cameras.find(&camera.id).ok().cloned();
            let rules = camera.events.mqtt.clone().into_iter();
            let rules = rules.filter_map(move |rule| {
                let target = target.clone()?;
                let moves = AtomicBool::new(false);
                Some(Rule {
                    target,
                    rule,
                    moves,
                })
            });
            rules.collect::<Vec<_>>()
        };
        let rules = config.cameras.iter().flat_map(of_camera).collect();
        Self { rules }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    fn filters(&self) -> Vec<SubscribeFilter> {
        let topics: BTreeSet<_> = self.rules.iter().map(|r| &r.rule.topic).collect();
        let filter = |topic: &String| SubscribeFilter::new(topic.clone(), QoS::AtLeastOnce);
        topics.into_iter().map(filter).collect()
    }

    fn received(&self, message: &Publish) {
        for rule in &self.rules {
            if topic::matches(&rule.rule.topic, &message.topic) {
                rule.received(message);
            }
        }
    }

    /// Nobody knows any more whether something moves: it must not move for ever.
    fn release(&self) {
        for rule in &self.rules {
            if rule.moves.swap(false, Relaxed) {
                rule.tell(MOTION_OFF);
            }
        }
    }
}

impl Rule {
    fn received(&self, message: &Publish) {
        let meaning = payload::meaning(&self.rule, &message.payload, message.retain);
        if let Some(signal) = meaning {
            let moves = signal.kind() == Kind::Motion && signal != MOTION_OFF;
            self.moves.store(moves, Relaxed);
            self.tell(signal);
        }
    }

    fn tell(&self, signal: Signal) {
        if let Err(error) = self.target.tell(signal, "mqtt") {
            debug!(%error, "MQTT message");
        }
    }
}

/// Connects and listens for ever.
pub(super) async fn run(broker: BrokerConfig, subscriptions: Subscriptions) {
    let mut link = Link {
        address: format!("{}:{}", broker.host, broker.port),
        up_since: None,
        told: false,
        backoff: Backoff::up_to(LONGEST_WAIT),
    };
    loop {
        let error = session(&broker, &subscriptions, &mut link).await;
        subscriptions.release();
        tokio::time::sleep(link.failed(&error)).await;
    }
}

/// One connection, with nothing left over from the one before.
async fn session(
    broker: &BrokerConfig,
    subscriptions: &Subscriptions,
    link: &mut Link,
) -> ConnectionError {
    let (client, mut events) = AsyncClient::new(options(broker), QUEUE);
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                link.connected();
                if let Err(error) = client.try_subscribe_many(subscriptions.filters()) {
                    warn!(broker = link.address, %error, "cannot subscribe");
                }
            }
            Ok(Event::Incoming(Packet::Publish(message))) => subscriptions.received(&message),
            Ok(Event::Incoming(Packet::SubAck(ack))) => link.subscribed(&ack.return_codes),
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}

fn options(broker: &BrokerConfig) -> MqttOptions {
    let id = broker.client_id.clone().unwrap_or_else(|| {
        let mut bytes = [0; 4];
        random::fill(&mut bytes);
        format!("hapd-{:08x}", u32::from_be_bytes(bytes))
    });
    let mut options = MqttOptions::new(id, &broker.host, broker.port);
    options.set_keep_alive(KEEP_ALIVE);
    options.set_max_packet_size(MAX_MESSAGE, MAX_MESSAGE);
    let exposed = |secret: &Option<crate::media::Secret>| {
        secret
            .as_ref()
            .map_or(String::new(), |s| s.expose().to_owned())
    };
    if broker.user.is_some() || broker.password.is_some() {
        options.set_credentials(exposed(&broker.user), exposed(&broker.password));
    }
    options
}

/// The connection, as the log is told of it.
struct Link {
    address: String,
    up_since: Option<Instant>,
    told: bool,
    backoff: Backoff,
}

impl Link {
    fn connected(&mut self) {
        self.up_since = Some(Instant::now());
        info!(broker = self.address, "MQTT broker connected");
    }

    fn subscribed(&self, codes: &[SubscribeReasonCode]) {
        let refused = codes.iter().filter(|c| **c == SubscribeReasonCode::Failure);
        match refused.count() {
            0 => debug!(broker = self.address, "subscribed"),
            count => warn!(
                broker = self.address,
                count, "the broker refuses topics: check its access list"
            ),
        }
    }

    /// Warns once per outage; returns the time to wait.
    fn failed(&mut self, error: &ConnectionError) -> Duration {
        // Two daemons with one client_id throw each other out again and again: that is one outage.
        if self
            .up_since
            .take()
            .is_some_and(|since| since.elapsed() >= STABLE)
        {
            self.told = false;
            self.backoff.success();
        }
        let wait = self.backoff.after_failure();
        let reason = reason(error);
        if std::mem::replace(&mut self.told, true) {
            debug!(broker = self.address, reason, "no MQTT broker");
        } else {
            warn!(
                broker = self.address,
                reason, "no MQTT broker; trying again until it is there"
            );
        }
        wait
    }
}

/// Never shows packets, which may hold anything.
fn reason(error: &ConnectionError) -> String {
    use ConnectReturnCode::{BadUserNamePassword, NotAuthorized};
    match error {
        ConnectionError::ConnectionRefused(BadUserNamePassword | NotAuthorized) => {
            "user or password are wrong, or may not connect".into()
        }
        ConnectionError::ConnectionRefused(code) => format!("refused: {code:?}"),
        ConnectionError::Io(error) => error.to_string(),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            "no answer in time".into()
        }
        ConnectionError::MqttState(rumqttc::StateError::Io(error)) => error.to_string(),
        ConnectionError::MqttState(rumqttc::StateError::AwaitPingResp) => {
            "no answer in time".into()
        }
        _ => "not an answer of MQTT 3.1.1".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Trigger;
    use crate::events::cameras::tests::{told, two_cameras};
    use crate::media::Secret;

    fn subscriptions(cameras: &Cameras, lines: &str) -> Subscriptions {
        let text = format!(
            "[mqtt]\nurl = \"mqtt://b\"\n[[camera]]\nname = \"Front Door\"\nid = \"front\"\nsource = \"test\"\n\
             doorbell = true\nmqtt = {lines}\n"
        );
        let config = crate::config::parse(&text).expect("the config is right");
        Subscriptions::new(&config, cameras)
    }

    fn publish(topic: &str, payload: &str) -> Publish {
        Publish::new(topic, QoS::AtMostOnce, payload)
    }

    #[test]
    fn messages_reach_the_cameras_of_their_topic() {
        let cameras = two_cameras();
        let subscriptions = subscriptions(&cameras, "{ motion = \"a/+\", ring = \"a/bell\" }");
        assert_eq!(subscriptions.filters().len(), 2);
        subscriptions.received(&publish("a/motion", "ON"));
        subscriptions.received(&publish("b/bell", "press"));
        assert_eq!(told(&cameras, "front"), [Trigger::Motion(true)]);
        subscriptions.received(&publish("a/bell", "press"));
        assert_eq!(
            told(&cameras, "front"),
            [Trigger::Ring],
            "press means nothing to motion"
        );
        assert_eq!(told(&cameras, "yard"), []);
    }

    #[test]
    fn motion_ends_with_the_connection() {
        let cameras = two_cameras();
        let subscriptions = subscriptions(&cameras, "{ motion = \"a\" }");
        subscriptions.received(&publish("a", "ON"));
        subscriptions.release();
        let both = [Trigger::Motion(true), Trigger::Motion(false)];
        assert_eq!(told(&cameras, "front"), both);
        subscriptions.release();
        assert_eq!(told(&cameras, "front"), []);
    }

    #[test]
    fn an_outage_is_told_once_and_a_new_one_again() {
        let mut link = Link {
            address: "b:1883".into(),
            up_since: None,
            told: false,
            backoff: Backoff::up_to(LONGEST_WAIT),
        };
        let error = ConnectionError::NetworkTimeout;
        let first = link.failed(&error);
        assert!(link.told && first <= Duration::from_secs(1));
        link.connected();
        for _ in 0..8 {
            link.failed(&error);
        }
        assert!(link.told && link.failed(&error) >= LONGEST_WAIT / 2);
        link.up_since = Instant::now().checked_sub(STABLE);
        assert!(link.failed(&error) <= Duration::from_secs(1));
    }

    #[test]
    fn credentials_are_given_and_not_shown() {
        let broker = BrokerConfig {
            host: "h".into(),
            port: 1,
            user: Some(Secret::new("bob")),
            password: Some(Secret::new("geheim")),
            client_id: None,
        };
        let login = options(&broker).credentials().expect("they are given");
        assert_eq!(
            (login.username.as_str(), login.password.as_str()),
            ("bob", "geheim")
        );
        assert!(!format!("{broker:?}").contains("geheim"));
        assert_ne!(options(&broker).client_id(), options(&broker).client_id());
    }
}
