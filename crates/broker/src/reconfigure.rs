//! New settings for a broker that runs.

use std::sync::Arc;

use dunlin_proto::Time;

use crate::broker::Broker;
use crate::pace::is_paced;
use crate::settings::Settings;

impl Broker {
    /// Goes on with other settings. What CONNACK has told a client holds until it connects again; all else
    /// holds from now on, and what is beyond a new limit already stays. Whether anything is kept does not change
    /// while a broker runs, and once CONNECT waits for answers, it goes on to.
    pub fn reconfigure(&mut self, settings: impl Into<Arc<Settings>>) {
        let mut settings = settings.into();
        let Settings { keep, authenticate, .. } = *self.hub.settings;
        // A configuration does not know who asks: nobody comes in unasked because of a reload.
        let authenticate = authenticate || settings.authenticate;
        if (settings.keep, settings.authenticate) != (keep, authenticate) {
            let settings = Arc::make_mut(&mut settings);
            (settings.keep, settings.authenticate) = (keep, authenticate);
        }
        self.hub.paced = is_paced(&settings);
        self.routes.set_overlapping(settings.overlapping);
        self.hub.settings = settings;
        self.hub.told_retained_full = false;
        // Whoever waits under the old rates looks at the new ones.
        self.release_held(Time::MAX);
        debug_assert!(self.held.next().is_none(), "nobody waits any longer than for ever");
    }

    /// The settings as they are now.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.hub.settings
    }
}
