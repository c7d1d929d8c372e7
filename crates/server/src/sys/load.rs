//! Averages per minute over one, five and fifteen minutes, like the load of a Unix system.

use std::time::Duration;

use dunlin_broker::Time;

/// The spans and how they are named.
const SPANS: [(&str, Duration); 3] = [
    ("1min", Duration::from_secs(60)),
    ("5min", Duration::from_secs(300)),
    ("15min", Duration::from_secs(900)),
];

/// Changes smaller than what is shown are not published.
const SHOWN: f64 = 0.01;

/// The averages of one growing count.
pub(super) struct Averages {
    spans: [Average; 3],
    last: Option<(Time, u64)>,
}

struct Average {
    topic: String,
    span: Duration,
    /// Per minute.
    rate: f64,
    published: Option<f64>,
}

impl Averages {
    pub(super) fn new(name: &str) -> Self {
        let spans = SPANS.map(|(label, span)| Average {
            topic: format!("$SYS/broker/load/{name}/{label}"),
            span,
            rate: 0.0,
            published: None,
        });
        Self { spans, last: None }
    }

    /// Takes in the count as it is now. The past fades by e for each span that goes by.
    pub(super) fn update(&mut self, now: Time, count: u64, mut publish: impl FnMut(&str, &[u8])) {
        let Some((then, before)) = self.last.replace((now, count)) else { return };
        let passed = now.since(then).as_secs_f64();
        if passed <= 0.0 {
            return;
        }
        let latest = count.saturating_sub(before) as f64 * 60.0 / passed;
        for average in &mut self.spans {
            let keep = (-passed / average.span.as_secs_f64()).exp();
            average.rate = latest + keep * (average.rate - latest);
            if (average.rate - average.published.unwrap_or(0.0)).abs() >= SHOWN {
                average.published = Some(average.rate);
                publish(&average.topic, format!("{:.2}", average.rate).as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rates after `minutes` of `per_second`, refreshed every ten seconds.
    fn after(averages: &mut Averages, from: u64, minutes: u64, per_second: u64) -> [f64; 3] {
        let mut count = averages.last.map_or(0, |(_, count)| count);
        averages.update(Time::from_secs(from), count, |_, _| {});
        for step in 1..=minutes * 6 {
            count += per_second * 10;
            averages.update(Time::from_secs(from + step * 10), count, |_, _| {});
        }
        [averages.spans[0].rate, averages.spans[1].rate, averages.spans[2].rate]
    }

    #[test]
    fn a_steady_rate_is_reached_by_the_short_span_first() {
        let mut averages = Averages::new("messages/sent");
        let [one, five, fifteen] = after(&mut averages, 0, 5, 10);
        assert!((one - 600.0).abs() < 5.0, "{one}");
        // One span of a steady rate shows 1 - 1/e of it.
        assert!((five - 600.0 * 0.632).abs() < 1.0, "{five}");
        assert!(fifteen < five);
    }

    #[test]
    fn the_past_fades() {
        let mut averages = Averages::new("messages/sent");
        after(&mut averages, 0, 10, 10);
        let [one, ..] = after(&mut averages, 600, 10, 0);
        assert!(one < 0.1, "{one}");
    }

    #[test]
    fn an_idle_count_is_not_published() {
        let mut averages = Averages::new("messages/sent");
        let mut published = 0;
        for second in 0..100 {
            averages.update(Time::from_secs(second * 10), 7, |_, _| published += 1);
        }
        assert_eq!(published, 0);
    }
}
