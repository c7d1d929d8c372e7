//! Tables for people, JSON for programs.

use std::io::{self, Write};

use super::compare::{Comparison, Row};
use super::outcome::{Measure, Outcome};

/// Width of the longest label and a gap.
const LABEL_WIDTH: usize = 30;

/// Width of one broker's column.
const VALUE_WIDTH: usize = 18;

/// Prints one scenario, a measure a line.
pub(super) fn print_outcome(out: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    for (measure, value) in &outcome.values {
        let value = with_unit(*measure, *value);
        writeln!(out, "{:LABEL_WIDTH$}{value}", measure.label())?;
    }
    Ok(())
}

/// Prints a comparison as blocks of aligned columns.
pub(super) fn print_comparison(out: &mut impl Write, comparison: &Comparison) -> io::Result<()> {
    for row in &comparison.rows {
        writeln!(out, "{}    [{}]", row.title, row.command)?;
        write!(out, "  {:LABEL_WIDTH$}", "")?;
        for header in headers(comparison) {
            write!(out, "{header:>VALUE_WIDTH$}")?;
        }
        writeln!(out)?;
        for measure in measures(row) {
            write!(out, "  {:LABEL_WIDTH$}", measure.label())?;
            for cell in cells(row, measure) {
                // Counted in letters: `µ` has two bytes.
                let gap = VALUE_WIDTH.saturating_sub(cell.chars().count());
                write!(out, "{:gap$}{cell}", "")?;
            }
            writeln!(out)?;
        }
        for (name, error) in errors(comparison, row) {
            writeln!(out, "  {name} failed: {error}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Prints a comparison as one Markdown table.
pub(super) fn print_markdown(out: &mut impl Write, comparison: &Comparison) -> io::Result<()> {
    let headers = headers(comparison);
    writeln!(out, "| scenario | measure | {} |", headers.join(" | "))?;
    writeln!(out, "|---|---|{}", "---:|".repeat(headers.len()))?;
    for row in &comparison.rows {
        for (measure, title) in measures(row).into_iter().zip(titles(row)) {
            let cells = cells(row, measure).join(" | ");
            writeln!(out, "| {title} | {} | {cells} |", measure.label())?;
        }
        for (name, error) in errors(comparison, row) {
            writeln!(out, "| {} | {name} failed | {} |", row.title, error.replace('|', "/"))?;
        }
    }
    writeln!(out, "\nMedians of {} rounds; of faults the worst.", comparison.rounds)
}

/// The title in the first line of a row only.
fn titles(row: &Row) -> impl Iterator<Item = &str> {
    std::iter::once(row.title.as_str()).chain(std::iter::repeat(""))
}

/// Columns: each broker, then the ratio of the first to each other.
fn headers(comparison: &Comparison) -> Vec<String> {
    let Some((first, others)) = comparison.brokers.split_first() else { return Vec::new() };
    let ratios = others.iter().map(|other| format!("{first}/{other}"));
    comparison.brokers.iter().cloned().chain(ratios).collect()
}

fn cells(row: &Row, measure: Measure) -> Vec<String> {
    let values: Vec<Option<f64>> =
        row.results.iter().map(|results| results.medians.values.get(&measure).copied()).collect();
    let shown = values.iter().map(|value| match value {
        Some(value) => with_unit(measure, *value),
        None => "-".to_owned(),
    });
    let first = values.first().copied().flatten();
    let ratios = values.iter().skip(1).map(|other| match (first, *other) {
        (Some(first), Some(other)) if other != 0.0 => format!("{:.3}", first / other),
        _ => "-".to_owned(),
    });
    shown.chain(ratios).collect()
}

/// The measures of a row worth a line: faults only where there are some.
fn measures(row: &Row) -> Vec<Measure> {
    let mut measures: Vec<Measure> = row
        .results
        .iter()
        .flat_map(|results| &results.medians.values)
        .filter(|(measure, value)| !measure.is_own() && (!measure.is_fault() || **value > 0.0))
        .map(|(measure, _)| *measure)
        .collect();
    measures.sort_unstable();
    measures.dedup();
    measures
}

fn errors<'a>(
    comparison: &'a Comparison,
    row: &'a Row,
) -> impl Iterator<Item = (&'a String, &'a String)> {
    comparison
        .brokers
        .iter()
        .zip(&row.results)
        .flat_map(|(name, results)| results.errors.iter().map(move |error| (name, error)))
}

/// A value with three to four digits that matter and its unit.
fn with_unit(measure: Measure, value: f64) -> String {
    let unit = measure.unit();
    let text = match value.abs() {
        size if size >= 100.0 || value == value.trunc() => grouped(value),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    };
    if unit.is_empty() { text } else { format!("{text} {unit}") }
}

/// A whole number with blanks between thousands.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_show_the_digits_that_matter() {
        let show = |value| with_unit(Measure::BrokerCpuUsPerDelivery, value);
        assert_eq!(show(0.04321), "0.0432 µs");
        assert_eq!(show(2.345), "2.35 µs");
        assert_eq!(show(1_234_567.8), "1 234 568 µs");
        assert_eq!(with_unit(Measure::Lost, 0.0), "0");
        assert_eq!(grouped(-1000.0), "-1 000");
    }
}
