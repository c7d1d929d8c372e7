//! Which clients belong to which worker thread: those whose index leaves its remainder.

use super::plan::{Audience, Layout, Plan};

/// One worker's part of the clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Split {
    /// This worker.
    pub(super) worker: u32,
    /// All workers.
    pub(super) workers: u32,
}

impl Split {
    /// Workers a plan can use of those wished for. Each needs a publisher and, to open windows by
    /// arrival, a subscriber; a shared group is checked in one place.
    pub(super) fn workers(plan: &Plan, wished: u16) -> u32 {
        let most = match plan.layout {
            Layout::Shared => 1,
            // The four receivers of a message are neighbours: up to four workers each have one.
            Layout::Groups { .. } => 4,
            Layout::Pairs | Layout::OneTopic | Layout::OwnTopics => u32::MAX,
        };
        let subscribers = match plan.audience {
            Audience::Present => plan.subscribers,
            Audience::Away => u32::MAX,
        };
        u32::from(wished).min(most).min(plan.publishers).min(subscribers).max(1)
    }

    /// Indices of this worker among `count` clients.
    pub(super) fn members(self, count: u32) -> impl Iterator<Item = u32> {
        (self.worker..count).step_by(self.workers as usize)
    }

    /// Whether a client belongs to this worker.
    pub(super) fn has(self, index: u32) -> bool {
        index % self.workers == self.worker
    }

    /// The local publisher whose window opens when a message of `publisher` arrives at
    /// `subscriber`; none for publishers that another subscriber, or an acknowledgement, serves.
    pub(super) fn opens(self, plan: &Plan, subscriber: u32, publisher: u32) -> Option<usize> {
        if !plan.window_by_arrival() || !self.has(publisher) {
            return None;
        }
        let local = publisher / self.workers;
        let serves = match plan.layout {
            Layout::Pairs => publisher == subscriber,
            Layout::OneTopic | Layout::OwnTopics => {
                let mine = self.members(plan.subscribers).count() as u32;
                subscriber == self.worker + self.workers * (local % mine.max(1))
            }
            Layout::Shared | Layout::Groups { .. } => true,
        };
        serves.then_some(local as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::plan;
    use super::*;

    #[test]
    fn every_publisher_is_opened_by_one_subscriber_of_its_worker() {
        for (layout, publishers, subscribers) in
            [(Layout::Pairs, 9, 9), (Layout::OneTopic, 9, 4), (Layout::OwnTopics, 3, 100)]
        {
            let plan = plan(layout, publishers, subscribers);
            let workers = Split::workers(&plan, 3);
            for publisher in 0..publishers {
                let split = Split { worker: publisher % workers, workers };
                let opened = split
                    .members(subscribers)
                    .filter(|subscriber| split.opens(&plan, *subscriber, publisher).is_some());
                assert_eq!(opened.count(), 1, "{layout:?} publisher {publisher}");
            }
        }
    }

    #[test]
    fn workers_are_limited_by_the_plan() {
        assert_eq!(Split::workers(&plan(Layout::OwnTopics, 500, 1), 4), 1);
        assert_eq!(Split::workers(&plan(Layout::Pairs, 10, 10), 4), 4);
        assert_eq!(Split::workers(&plan(Layout::Shared, 10, 10), 4), 1);
    }
}
