//! Commands: those that change users, groups and roles at run time (`$CONTROL/dynamic-security/v1`), and
//! the others below `$CONTROL`.

use std::sync::Arc;

use dunlin_access::dynsec::{COMMAND_TOPIC, Dynsec, Kick, RESPONSE_TOPIC};
use dunlin_broker::{Control, End, Identity, Present};
use serde_json::Value;

use super::connected::Connected;
use super::work::Task;
use super::{Accesses, Expulsion, endpoint, files, random};
use crate::shared::Parcel;

/// What is answered in place of success when a change cannot be kept.
const NOT_KEPT: &str = "The change could not be written to the disk";

impl Accesses {
    /// Takes a command; the answer comes as a parcel.
    pub(crate) fn take_control(self: &Arc<Self>, shard: u16, control: Control) {
        if *control.topic == *COMMAND_TOPIC {
            return self.send_to_desk(Task::Control { shard, control });
        }
        let world = &self.book().world;
        let (topic, payload) = match &world.endpoint {
            Some(endpoint) if *control.topic == *endpoint::COMMAND_TOPIC => {
                let payload = endpoint.answer(&control.payload).into_bytes();
                (endpoint::RESPONSE_TOPIC.into(), payload)
            }
            _ => {
                let client = &control.who.client_id;
                tracing::debug!("client {client:?}: nobody serves {}", control.topic);
                let topic = format!("{}/response", control.topic).into();
                (topic, endpoint::NOT_AVAILABLE.to_vec())
            }
        };
        self.post(shard, Parcel::Reply { connection: control.connection, topic, payload });
    }

    /// Runs commands. What they change is on the disk when they are answered.
    pub(super) fn control(&self, shard: u16, control: &Control) {
        let changing = self.changing.lock();
        let book = self.book();
        let gate = book.world.gate(control.who.listener);
        let place = gate.and_then(|gate| gate.dynamic).and_then(|index| {
            let (file, state) = book.world.dynamics.get(index).zip(book.dynamics.get(index))?;
            Some((index, file, state))
        });
        let Some((index, file, state)) = place else {
            let client = &control.who.client_id;
            return tracing::debug!("client {client:?}: this listener has no dynamic security");
        };
        let mut state = Dynsec::clone(state);
        let listeners = listeners_of(&book.world.gates, index);
        let mut connected = Connected::new(self, listeners.clone());
        let mut connections = |user: &str, id: Option<&str>| connected.addresses(user, id);
        let (payload, mut random) = (&control.payload, random::fill);
        let mut outcome = state.handle_with(payload, &mut random, &mut connections);
        for line in &outcome.log {
            tracing::info!("client {:?}: {line}", control.who.client_id);
        }
        if outcome.changed {
            match files::replace(&file.path, state.to_json().as_bytes()) {
                Ok(()) => {
                    let mut dynamics = book.dynamics.clone();
                    dynamics[index] = Arc::new(state);
                    self.turn_page(Arc::clone(&book.world), dynamics);
                }
                Err(cause) => {
                    tracing::error!("{} cannot be written: {cause}", file.path.display());
                    outcome.kicks.clear();
                    outcome.response = failed(&outcome.response);
                }
            }
        }
        drop(changing);
        // Whoever connects once the command is answered is none of those whom it ends; but who gave it is to hear
        // the answer before.
        let (kicks, own) = (Arc::new(outcome.kicks), control.who.client_id.clone());
        let kicked = |is_own: bool| -> Expulsion {
            let (kicks, listeners, own) = (Arc::clone(&kicks), listeners.clone(), own.clone());
            Arc::new(move |present: &Present<'_>| {
                let who = present.who;
                let here = listeners.contains(&who.listener) && (who.client_id == own) == is_own;
                (here && is_kicked(&kicks, who)).then_some(End::Administrative)
            })
        };
        if !kicks.is_empty() {
            self.expel(&kicked(false));
        }
        let (connection, payload) = (control.connection, outcome.response.into_bytes());
        self.post(shard, Parcel::Reply { connection, topic: RESPONSE_TOPIC.into(), payload });
        if is_kicked(&kicks, &control.who) {
            self.expel(&kicked(true));
        }
    }
}

/// The listeners that use this state.
fn listeners_of(gates: &[super::world::Gate], index: usize) -> Vec<u16> {
    let numbered = (0u16..).zip(gates);
    numbered.filter(|(_, gate)| gate.dynamic == Some(index)).map(|(number, _)| number).collect()
}

fn is_kicked(kicks: &[Kick], who: &Identity) -> bool {
    kicks.iter().any(|kick| match kick {
        Kick::User(user) => who.username.as_deref() == Some(user),
        Kick::Anonymous => who.username.is_none(),
    })
}

/// The answers, where no command has succeeded that changes something.
fn failed(response: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(response) else { return response.into() };
    let answers = value.get_mut("responses").and_then(Value::as_array_mut);
    for answer in answers.into_iter().flatten().filter_map(Value::as_object_mut) {
        if !answer.contains_key("error") && !answer.contains_key("data") {
            answer.insert("error".into(), NOT_KEPT.into());
        }
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_kept_has_not_succeeded() {
        let response = r#"{"responses":[{"command":"createRole"},{"command":"listRoles","data":{}},{"command":"x","error":"Unknown command"}]}"#;
        let answered = failed(response);
        assert_eq!(answered.matches(NOT_KEPT).count(), 1);
        assert_eq!(answered.matches("Unknown command").count(), 1);
    }
}
