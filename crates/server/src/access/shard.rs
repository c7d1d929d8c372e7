//! The side of the shards: questions go out, verdicts that are there at once come in.

use std::mem;
use std::sync::Arc;

use dunlin_broker::{Guarded, Time, View};

use super::book::Book;
use crate::shard::Shard;

/// The rules of a turn, as the broker takes them.
pub(crate) fn guarded(book: Option<&Arc<Book>>) -> Option<Guarded<'_>> {
    book.map(|book| Guarded { rules: &**book, generation: book.generation })
}

impl Shard<'_> {
    /// From now on nobody comes in unasked.
    pub(crate) fn begin_asking(&mut self) {
        let mut settings = self.broker.settings().clone();
        settings.authenticate = true;
        self.broker.reconfigure(settings);
    }

    /// Asks who the clients are that want to come in, and lets those go on that are known at once.
    pub(crate) fn ask_about_clients(&mut self, now: Time, view: &View<'_>) {
        let mut questions = mem::take(&mut self.lists.questions);
        loop {
            self.broker.take_questions(&mut questions);
            if questions.is_empty() {
                break;
            }
            for question in questions.drain(..) {
                let id = question.connection;
                if let Some(verdict) = self.shared.accesses.ask(self.number, question) {
                    self.broker.answer(id, verdict);
                }
            }
            // Some say the next thing at once, and have to be asked about that.
            self.resume(now, view);
        }
        self.lists.questions = questions;
        let mut controls = mem::take(&mut self.lists.controls);
        self.broker.take_controls(&mut controls);
        for control in controls.drain(..) {
            self.shared.accesses.take_control(self.number, control);
        }
        self.lists.controls = controls;
    }
}
