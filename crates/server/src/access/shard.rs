//! The side of the shards: questions go out, verdicts that are there at once come in.

use std::mem;
use std::sync::Arc;

use dunlin_broker::{Guarded, Time, View};

use super::book::Book;
use crate::shard::Shard;
use crate::shared::Asked;

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

    /// Takes in the verdicts that have come. Whatever ends connections is counted before it is sent, so what it
    /// had to be asked about is asked again if there was any since; and if not, it comes after the verdict,
    /// and finds the client there.
    pub(crate) fn hear_verdicts(&mut self) {
        let mut answers = mem::take(&mut self.lists.answers);
        for (id, verdict, asked) in answers.drain(..) {
            let accesses = &self.shared.accesses;
            let is_old = |asked: &Asked| asked.expulsions != accesses.expulsions();
            let verdict = match asked.filter(|asked| is_old(asked)) {
                Some(asked) => accesses.ask_again(self.number, asked.question),
                None => Some(*verdict),
            };
            if let Some(verdict) = verdict {
                self.broker.answer(id, verdict);
            }
        }
        self.lists.answers = answers;
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

#[cfg(test)]
mod tests;
