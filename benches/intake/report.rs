//! The tables of the README.

use crate::sender::{Cell, Measure};

/// A cell with the measures of all rounds.
pub struct Row {
    /// What was measured.
    pub cell: Cell,
    ours: Vec<Measure>,
    theirs: Vec<Measure>,
}

impl Row {
    /// No measures yet.
    pub fn new(cell: Cell) -> Self {
        Self { cell, ours: Vec::new(), theirs: Vec::new() }
    }

    /// Adds a round's measure.
    pub fn add(&mut self, is_peer: bool, measure: Measure) {
        if is_peer { &mut self.theirs } else { &mut self.ours }.push(measure);
    }
}

/// Prints all rows: medians of the rounds, with the ratio's smallest and largest.
pub fn print(rows: &[Row]) {
    let alone = rows.iter().any(|row| row.ours.is_empty() || row.theirs.is_empty());
    let of = |measures: &[Measure], value: fn(&Measure) -> f64| median(measures.iter().map(value).collect());
    if alone {
        println!("| size | connections | messages/s | CPU ms/message | other load |\n|---|---:|---:|---:|---:|");
    } else {
        println!(
            "| size | connections | Pillarbox messages/s | Postfix + Dovecot messages/s | ratio (lowest to highest) | \
             CPU ms/message | theirs | other load |\n|---|---:|---:|---:|---:|---:|---:|---:|"
        );
    }
    for row in rows {
        let all: Vec<Measure> = row.ours.iter().chain(&row.theirs).copied().collect();
        let head = format!("| {} KiB | {} |", row.cell.size_bytes / 1024, row.cell.connections);
        let others = of(&all, |measure| measure.others_percent);
        if alone {
            println!("{head} {:.0} | {:.2} | {others:.0} % |", of(&all, |m| m.per_second), of(&all, |m| m.cpu_ms));
            continue;
        }
        let ratios: Vec<f64> =
            row.ours.iter().zip(&row.theirs).map(|(ours, theirs)| ours.per_second / theirs.per_second).collect();
        let lowest = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = ratios.iter().copied().fold(0.0, f64::max);
        println!(
            "{head} {:.0} | {:.0} | {:.1} ({lowest:.1} to {highest:.1}) | {:.2} | {:.2} | {others:.0} % |",
            of(&row.ours, |m| m.per_second),
            of(&row.theirs, |m| m.per_second),
            median(ratios),
            of(&row.ours, |m| m.cpu_ms),
            of(&row.theirs, |m| m.cpu_ms),
        );
    }
}

/// The middle value; of an even number of values the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count.is_multiple_of(2) => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}
