//! Medians, rounds that are thrown away because the machine itself was not the same, and targets.

use crate::Result;
use std::collections::BTreeMap;

/// How much the canary may move from its median before a round is thrown away.
const CANARY_MOVES: f64 = 0.3;
/// The canary's name among the variants.
pub const CANARY: &str = "fork + exec";

/// How much the canary's median may differ between the halves of a row before the whole row says nothing.
const HALVES_DIFFER: f64 = 0.3;
/// So many rounds instead of a row's own number: few show that a row works, and measure nothing.
const ROUNDS_VARIABLE: &str = "MESOLITH_BENCH_ROUNDS";
/// So many tasks instead of a row's own number.
const TASKS_VARIABLE: &str = "MESOLITH_BENCH_TASKS";

/// One round: each variant's time, in ms.
pub type Round = BTreeMap<&'static str, f64>;
/// Each variant's median, in ms, of the rounds that were kept.
pub type Medians = BTreeMap<&'static str, f64>;

/// How many rounds a row has, which are `usual` if nobody asks for another number.
pub fn rounds(usual: usize) -> Result<usize> {
    asked(ROUNDS_VARIABLE, usual)
}

/// How many tasks a row has, which are `usual` if nobody asks for another number.
pub fn tasks(usual: usize) -> Result<usize> {
    asked(TASKS_VARIABLE, usual)
}

fn asked(variable: &str, usual: usize) -> Result<usize> {
    let Ok(text) = std::env::var(variable) else { return Ok(usual) };
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{variable}={text}: a number above 0 is needed").into()),
    }
}

/// The machine's load averages over 1, 5 and 15 minutes.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// Says whether a target is reached: at most so much.
pub fn at_most(what: &str, value: f64, most: f64, unit: &str) {
    told(what, value, ("<=", most), unit, value <= most);
}

/// Says whether a target is reached: at least so much.
pub fn at_least(what: &str, value: f64, least: f64, unit: &str) {
    told(what, value, (">=", least), unit, value >= least);
}

/// Says how one variant's median stands to a peer's, which shall be at most `most` times it.
pub fn beside(medians: &Medians, ours: &str, peer: &str, most: f64) {
    match (medians.get(ours), medians.get(peer)) {
        (Some(own), Some(other)) => at_most(&format!("{ours} / {peer}"), own / other, most, ""),
        _ => println!("  target {ours} / {peer} <= {most}: not measured"),
    }
}

fn told(what: &str, value: f64, (sign, limit): (&str, f64), unit: &str, reached: bool) {
    let word = if reached { "reached" } else { "MISSED" };
    println!("  target {what} {sign} {limit}{unit}: {value:.2}{unit}, {word}");
}

/// Prints a row: each variant's median, 95th percentile, count, and ratio to the canary and to `peer`. Answers the medians.
pub fn print(title: &str, rounds: &[Round], peer: Option<&str>) -> Medians {
    let usual = median(&mut times(rounds, CANARY));
    let held = |round: &&Round| match round.get(CANARY) {
        Some(canary) => (canary - usual).abs() <= usual * CANARY_MOVES,
        None => true,
    };
    let (early, late) = rounds.split_at(rounds.len() / 2);
    let [early, late] = [early, late].map(|half| median(&mut times(half, CANARY)));
    let kept: Vec<Round> = rounds.iter().filter(held).cloned().collect();
    let thrown = rounds.len() - kept.len();
    println!("\n{title} ({} rounds, {thrown} thrown away; load {})", rounds.len(), load());
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
    let mut names: Vec<&'static str> = Vec::new();
    for name in rounds.iter().flat_map(BTreeMap::keys) {
        if !names.contains(name) {
            names.push(*name);
        }
    }
    let canary = median(&mut times(&kept, CANARY));
    let beside = peer.map(|peer| median(&mut times(&kept, peer)));
    let mut medians = Medians::new();
    for name in names {
        let mut all = times(&kept, name);
        let middle = median(&mut all);
        medians.insert(name, middle);
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
    if (late - early).abs() > early * HALVES_DIFFER {
        println!(
            "  {CANARY} went from {early:.2} to {late:.2} ms: the machine changed, measure again"
        );
    }
    medians
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
