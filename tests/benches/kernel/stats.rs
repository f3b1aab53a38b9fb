//! Medians, and rounds that are thrown away because the machine itself was not the same.

use std::collections::BTreeMap;

/// How much the canary may move from its median before a round is thrown away.
const CANARY_MOVES: f64 = 0.3;
/// The canary's name among the variants.
pub const CANARY: &str = "fork + exec";

/// One round: each variant's time, in ms.
pub type Round = BTreeMap<&'static str, f64>;

/// Prints a row: each variant's median, 95th percentile, count, and ratio to the canary and to `peer`.
pub fn print(title: &str, rounds: &[Round], peer: Option<&str>) {
    let usual = median(&mut times(rounds, CANARY));
    let held = |round: &&Round| match round.get(CANARY) {
        Some(canary) => (canary - usual).abs() <= usual * CANARY_MOVES,
        None => true,
    };
    let kept: Vec<Round> = rounds.iter().filter(held).cloned().collect();
    let thrown = rounds.len() - kept.len();
    println!("\n{title} ({} rounds, {thrown} thrown away)", rounds.len());
    println!(
        "  {:<34} {:>9} {:>9} {:>9} {:>5} {:>9} {:>9}",
        "",
        "p50 ms",
        "p95 ms",
        "min ms",
        "n",
        "/canary",
        peer.map_or(String::new(), |p| format!("/{p}"))
    );
    let mut names: Vec<&str> = Vec::new();
    for name in rounds.iter().flat_map(BTreeMap::keys) {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let canary = median(&mut times(&kept, CANARY));
    let beside = peer.map(|peer| median(&mut times(&kept, peer)));
    for name in names {
        let mut all = times(&kept, name);
        let middle = median(&mut all);
        let late = all.get(all.len() * 95 / 100).copied().unwrap_or(f64::NAN);
        let least = all.first().copied().unwrap_or(f64::NAN);
        let ratio = |of: f64| match of.is_nan() {
            true => String::new(),
            false => format!("{:.2}", middle / of),
        };
        println!(
            "  {name:<34} {middle:>9.2} {late:>9.2} {least:>9.2} {:>5} {:>9} {:>9}",
            all.len(),
            ratio(canary),
            beside.map_or(String::new(), ratio)
        );
    }
}

fn times(rounds: &[Round], name: &str) -> Vec<f64> {
    rounds.iter().filter_map(|round| round.get(name).copied()).collect()
}

/// The middle value; sorts.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// From one clock reading to another, in ms.
pub fn ms(from: u64, to: u64) -> f64 {
    (to as f64 - from as f64) / 1e6
}
