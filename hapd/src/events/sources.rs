//! Everything that triggers may come from while the daemon runs.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use super::cameras::Cameras;
use super::{http, mqtt, onvif, stdin};
use crate::config::Config;

/// Time for sources to say goodbye to their peers.
const GOODBYE: Duration = Duration::from_secs(2);

/// Sources whose sockets are bound and which nobody serves yet, so that a daemon that cannot have them does not start.
pub struct Sources {
    http: Option<http::Listener>,
    stdin: bool,
}

impl Sources {
    /// Binds what the config asks for; with `stdin`, lines on standard input count too.
    ///
    /// # Errors
    /// When a socket cannot be had.
    pub fn bind(config: &Config, stdin: bool) -> anyhow::Result<Self> {
        let http = config.events.http.as_ref().map(http::Listener::bind);
        Ok(Self {
            http: http.transpose()?,
            stdin,
        })
    }

    /// Starts to listen.
    #[must_use]
    pub fn start(self, config: &Config, cameras: &Cameras) -> Running {
        let (stop, _) = watch::channel(false);
        let mut running = Running {
            stop,
            tasks: Vec::new(),
            endless: Vec::new(),
        };
        if let Some(http) = self.http {
            let task = tokio::spawn(http.serve(cameras.clone()));
            running.endless.push(task);
        }
        running.mqtt(config, cameras);
        running.onvif(config, cameras);
        let stdin = self.stdin.then(|| stdin::start(cameras.clone()));
        if let Some(Err(error)) = stdin {
            warn!(%error, "no triggers by standard input");
        }
        running
    }
}

/// Sources that run; they end with this.
pub struct Running {
    stop: watch::Sender<bool>,
    /// Those that end by themselves when told to.
    tasks: Vec<JoinHandle<()>>,
    /// Those that are simply ended.
    endless: Vec<JoinHandle<()>>,
}

impl Running {
    fn mqtt(&mut self, config: &Config, cameras: &Cameras) {
        let subscriptions = mqtt::Subscriptions::new(config, cameras);
        if let (Some(broker), false) = (&config.events.mqtt, subscriptions.is_empty()) {
            let task = tokio::spawn(mqtt::run(broker.clone(), subscriptions));
            self.endless.push(task);
        }
    }

    fn onvif(&mut self, config: &Config, cameras: &Cameras) {
        for camera in &config.cameras {
            let target = cameras.find(&camera.id).cloned();
            if let (Some(onvif), Ok(target)) = (camera.events.onvif.clone(), target) {
                let task = onvif::run(onvif, target, self.stop.subscribe());
                self.tasks.push(tokio::spawn(task));
            }
        }
    }

    /// Ends all, and lets those who have one end their business with their peer.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        let deadline = tokio::time::Instant::now() + GOODBYE;
        for task in &mut self.tasks {
            let _ = tokio::time::timeout_at(deadline, task).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let all = self.tasks.iter().chain(&self.endless);
        all.for_each(JoinHandle::abort);
    }
}
