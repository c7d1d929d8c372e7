//! What a scenario measured, in one shape for tables, JSON and comparisons.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Everything that can be measured, in the order of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Measure {
    DeliveredPerS,
    PublishedPerS,
    AcknowledgedPerS,
    ConnectionsPerS,
    BrokerCpuUsPerDelivery,
    BrokerCpuUsPerPublish,
    BrokerCpuUsPerAck,
    BrokerCpuUsPerConnection,
    BrokerCpuPercent,
    BrokerWaitPercent,
    LatencyP50Us,
    LatencyP90Us,
    LatencyP99Us,
    LatencyP999Us,
    LatencyMaxUs,
    AckP50Us,
    AckP99Us,
    AckMaxUs,
    DiskSyncP50Us,
    DiskSyncP99Us,
    AckPerDiskSync,
    WrittenPerAck,
    ReadyMs,
    DirectoryBytes,
    ConnectP50Us,
    ConnectP99Us,
    Lost,
    Duplicated,
    OutOfOrder,
    Foreign,
    Refused,
    Unacknowledged,
    BrokerRssBytes,
    RssBytesPerConnection,
    RssBytesPerFilter,
    FiltersPerS,
    OwnCpuUsPerDelivery,
    OwnCpuUsPerAck,
    OwnCpuUsPerConnection,
    OwnLagP99Us,
    OwnCpuPercent,
    OwnWaitPercent,
}

impl Measure {
    /// Words for a table.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::DeliveredPerS => "delivered",
            Self::PublishedPerS => "published",
            Self::AcknowledgedPerS => "acknowledged",
            Self::ConnectionsPerS => "connections",
            Self::BrokerCpuUsPerDelivery => "broker CPU per delivery",
            Self::BrokerCpuUsPerPublish => "broker CPU per publish",
            Self::BrokerCpuUsPerAck => "broker CPU per acknowledged",
            Self::BrokerCpuUsPerConnection => "broker CPU per connection",
            Self::BrokerCpuPercent => "broker CPU",
            Self::BrokerWaitPercent => "broker kept from CPU",
            Self::LatencyP50Us => "latency p50",
            Self::LatencyP90Us => "latency p90",
            Self::LatencyP99Us => "latency p99",
            Self::LatencyP999Us => "latency p99.9",
            Self::LatencyMaxUs => "latency max",
            Self::AckP50Us => "time to acknowledgement p50",
            Self::AckP99Us => "time to acknowledgement p99",
            Self::AckMaxUs => "time to acknowledgement max",
            Self::DiskSyncP50Us => "disk: 4 KiB and sync p50",
            Self::DiskSyncP99Us => "disk: 4 KiB and sync p99",
            Self::AckPerDiskSync => "acknowledgement / disk, p50",
            Self::WrittenPerAck => "written per acknowledged",
            Self::ReadyMs => "ready after",
            Self::DirectoryBytes => "data directory",
            Self::ConnectP50Us => "time to CONNACK p50",
            Self::ConnectP99Us => "time to CONNACK p99",
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::OutOfOrder => "out of order",
            Self::Foreign => "not ours",
            Self::Refused => "refused",
            Self::Unacknowledged => "not acknowledged",
            Self::BrokerRssBytes => "broker resident memory",
            Self::RssBytesPerConnection => "resident per connection",
            Self::RssBytesPerFilter => "resident per filter",
            Self::FiltersPerS => "filters subscribed",
            Self::OwnCpuUsPerDelivery => "generator CPU per delivery",
            Self::OwnCpuUsPerAck => "generator CPU per acknowledged",
            Self::OwnCpuUsPerConnection => "generator CPU per connection",
            Self::OwnLagP99Us => "generator late p99",
            Self::OwnCpuPercent => "generator CPU",
            Self::OwnWaitPercent => "generator kept from CPU",
        }
    }

    /// Unit of the value.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::DeliveredPerS | Self::PublishedPerS | Self::AcknowledgedPerS => "msg/s",
            Self::ConnectionsPerS | Self::FiltersPerS => "1/s",
            Self::BrokerCpuPercent
            | Self::BrokerWaitPercent
            | Self::OwnCpuPercent
            | Self::OwnWaitPercent => "%",
            Self::Lost
            | Self::Duplicated
            | Self::OutOfOrder
            | Self::Foreign
            | Self::Refused
            | Self::Unacknowledged
            | Self::AckPerDiskSync => "",
            Self::BrokerRssBytes
            | Self::RssBytesPerConnection
            | Self::RssBytesPerFilter
            | Self::WrittenPerAck
            | Self::DirectoryBytes => "B",
            Self::ReadyMs => "ms",
            Self::BrokerCpuUsPerDelivery
            | Self::BrokerCpuUsPerPublish
            | Self::BrokerCpuUsPerAck
            | Self::BrokerCpuUsPerConnection
            | Self::LatencyP50Us
            | Self::LatencyP90Us
            | Self::LatencyP99Us
            | Self::LatencyP999Us
            | Self::LatencyMaxUs
            | Self::AckP50Us
            | Self::AckP99Us
            | Self::AckMaxUs
            | Self::DiskSyncP50Us
            | Self::DiskSyncP99Us
            | Self::ConnectP50Us
            | Self::ConnectP99Us
            | Self::OwnCpuUsPerDelivery
            | Self::OwnCpuUsPerAck
            | Self::OwnCpuUsPerConnection
            | Self::OwnLagP99Us => "µs",
        }
    }

    /// Whether a value of 0 is the normal case and not worth a line in a comparison.
    pub(super) fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Lost
                | Self::Duplicated
                | Self::OutOfOrder
                | Self::Foreign
                | Self::Refused
                | Self::Unacknowledged
        )
    }

    /// Whether it says something about the generator that a comparison of brokers can do without;
    /// how busy it was stays, as a generator at its limit measures itself.
    pub(super) fn is_own(self) -> bool {
        matches!(
            self,
            Self::OwnCpuUsPerDelivery
                | Self::OwnCpuUsPerAck
                | Self::OwnCpuUsPerConnection
                | Self::OwnLagP99Us
        )
    }
}

/// Values by measure.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Outcome {
    pub(super) values: BTreeMap<Measure, f64>,
}

impl Outcome {
    /// Adds a value; what could not be computed (a division by nothing) is left out.
    pub(super) fn set(&mut self, measure: Measure, value: f64) {
        if value.is_finite() {
            self.values.insert(measure, value);
        }
    }

    /// Adds a value that may not be known.
    pub(super) fn set_known(&mut self, measure: Measure, value: Option<f64>) {
        if let Some(value) = value {
            self.set(measure, value);
        }
    }

    /// Adds percentiles of nanoseconds as microseconds; nothing if nothing was recorded.
    pub(super) fn set_percentiles(
        &mut self,
        histogram: &Histogram<u64>,
        percentiles: &[(Measure, f64)],
    ) {
        if histogram.is_empty() {
            return;
        }
        for (measure, quantile) in percentiles {
            self.set(*measure, histogram.value_at_quantile(*quantile) as f64 / 1000.0);
        }
    }
}

/// Median; of an even number the mean of the middle two. `None` of nothing.
pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(values[values.len() / 2 - 1], upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_no_values() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median([].into_iter()), None);
    }

    #[test]
    fn what_cannot_be_computed_is_left_out() {
        let mut outcome = Outcome::default();
        outcome.set(Measure::DeliveredPerS, 1.0 / 0.0);
        outcome.set(Measure::Lost, 0.0);
        assert_eq!(serde_json::to_string(&outcome).unwrap(), r#"{"lost":0.0}"#);
    }

    #[test]
    fn percentiles_are_microseconds() {
        let mut histogram = Histogram::new(3).unwrap();
        histogram.record_n(2_000, 99).unwrap();
        histogram.record(9_000).unwrap();
        let mut outcome = Outcome::default();
        outcome.set_percentiles(&histogram, &[(Measure::LatencyP50Us, 0.5)]);
        assert!((outcome.values[&Measure::LatencyP50Us] - 2.0).abs() < 0.01);
    }
}
