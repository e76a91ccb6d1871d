//! The table of the README.

use crate::measures::Measure;

/// What was measured, by measure and server.
pub struct Table<'a> {
    measures: Vec<&'a Measure>,
    values: Vec<Vec<Vec<f64>>>,
}

impl<'a> Table<'a> {
    /// No values yet.
    pub fn new(measures: &[&'a Measure], servers: usize) -> Self {
        Self { measures: measures.to_vec(), values: vec![vec![Vec::new(); servers]; measures.len()] }
    }

    /// Adds a round's value.
    pub fn add(&mut self, row: usize, server: usize, value: f64) {
        self.values[row][server].push(value);
    }

    /// Prints the medians of the rounds; and how many times as good ours is as the better of the others, in each round,
    /// with the lowest and the highest: above 1 is better, whatever the unit.
    pub fn print(&self, names: &[&str]) {
        print!("| |");
        names.iter().for_each(|name| print!(" {name} |"));
        println!(" times as good as the better (lowest to highest) |");
        println!("|---|{}---:|", "---:|".repeat(names.len()));
        for (measure, values) in self.measures.iter().zip(&self.values) {
            print!("| {} |", measure.name);
            values.iter().for_each(|values| print!(" {} |", shown(median(values.clone()), measure.unit)));
            let ratios: Vec<f64> = (0..values[0].len()).filter_map(|round| ratio(measure, values, round)).collect();
            if ratios.is_empty() {
                println!(" – |");
                continue;
            }
            let lowest = ratios.iter().copied().fold(f64::INFINITY, f64::min);
            let highest = ratios.iter().copied().fold(0.0, f64::max);
            println!(" {:.1} ({lowest:.1} to {highest:.1}) |", median(ratios));
        }
    }
}

fn ratio(measure: &Measure, values: &[Vec<f64>], round: usize) -> Option<f64> {
    let (ours, others) = values.split_first()?;
    let others = others.iter().map(|values| values[round]);
    if measure.more_is_better {
        Some(ours[round] / others.reduce(f64::max)?)
    } else {
        Some(others.reduce(f64::min)? / ours[round])
    }
}

fn shown(value: f64, unit: &str) -> String {
    match value {
        value if value.is_nan() => "–".to_owned(),
        value if value < 1.0 => format!("{value:.2} {unit}"),
        value if value < 100.0 => format!("{value:.1} {unit}"),
        value => format!("{value:.0} {unit}"),
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
