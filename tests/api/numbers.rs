//! The figures in bench/README.md, in its picture and in README.md are those of the
//! benchmark's last run.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

/// The cells of tables, by the table's first word, the row's and the column's.
type Cells = BTreeMap<[String; 3], String>;

#[test]
fn the_figures_in_the_tables_are_those_that_the_benchmark_wrote() {
    let read = |path| fs::read_to_string(support::folder(path)).expect("a file");
    let results = serde_json::from_str(&read("bench/results.json")).expect("results");
    let document = read("bench/README.md");
    let section = document.split("\n## ").find_map(|section| section.strip_prefix("Figures\n"));
    let mut found = cells(section.expect("a section"));
    for (cell, value) in expected(&results) {
        let figure = found.remove(&cell);
        assert_eq!(figure.as_ref(), Some(&value), "{cell:?} in bench/README.md");
    }
    assert!(found.is_empty(), "bench/README.md has more than bench/results.json: {found:?}");
}

/// The servers of the picture.
const PICTURED: [&str; 6] = ["Flask", "Spin", "apart", "together", "composed", "native"];

#[test]
fn the_picture_shows_what_the_benchmark_wrote() {
    let read = |path| fs::read_to_string(support::folder(path)).expect("a file");
    let picture = read("bench/comparison.svg");
    let results: Value = serde_json::from_str(&read("bench/results.json")).expect("results");
    for (figures, name) in [
        ("load", "/movies/<id>"),
        ("load", "/users/<username>/bookings"),
        ("load", "/users/<username>/suggested"),
        ("writes", "32 connections"),
    ] {
        for side in PICTURED {
            // Flask does not write.
            let Some(run) = results[figures][name].get(side) else { continue };
            let bar = format!("{side} {}", thousands(&run["per_second"]));
            assert!(picture.contains(&bar), "{name}: {bar}");
        }
    }
}

#[test]
fn the_ratios_in_the_readme_are_those_of_the_figures() {
    let read = |path| fs::read_to_string(support::folder(path)).expect("a file");
    let results: Value = serde_json::from_str(&read("bench/results.json")).expect("results");
    let ratios = |figure: &str, side: &str| {
        let ratio = |name: &str| {
            let runs = &results["load"][name];
            let value = |side: &str| runs[side][figure].as_f64().expect("a number");
            value(side) / value("together")
        };
        let [bookings, suggested] =
            ["bookings", "suggested"].map(|end| ratio(&format!("/users/<username>/{end}")));
        format!("{bookings:.2} and {suggested:.2}")
    };
    for (label, figure) in [
        ("requests/s of a user's bookings, and suggestions, relative to together", "per_second"),
        ("CPU for each of these requests, relative to together", "cpu_us"),
    ] {
        let (composed, apart) = (ratios(figure, "composed"), ratios(figure, "apart"));
        let row = format!("| {label} | 1 | {composed} | {apart} |");
        assert!(read("README.md").contains(&row), "README.md lacks {row}");
    }
}

/// Those that are not empty.
fn cells(section: &str) -> Cells {
    let mut cells = Cells::new();
    let mut head = Vec::new();
    for line in section.lines() {
        let row: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if !line.starts_with('|') {
            head.clear();
        } else if head.is_empty() {
            head = row;
        } else if row[0] != "---" {
            for (column, cell) in head.iter().zip(&row).skip(1).filter(|(_, cell)| !cell.is_empty())
            {
                cells.insert(
                    [head[0], row[0].trim_matches('`'), column].map(str::to_owned),
                    (*cell).to_owned(),
                );
            }
        }
    }
    cells
}

fn expected(results: &Value) -> Cells {
    let mut cells = Cells::new();
    let mut add = |table: &str, row: &str, column: &str, cell: String| {
        cells.insert([table, row, column].map(str::to_owned), cell);
    };
    let members = |value: &Value| value.as_object().expect("an object").clone();
    let times = |run: &Value| format!("{}, {}", run["p50_ms"], run["p99_ms"]);
    let rate = |run: &Value| run["per_second"].as_f64().expect("a number");
    for (figures, rates, waits) in [
        ("load", "requests/s", "p50, p99 in ms"),
        ("writes", "writes/s", "p50, p99 in ms of writes"),
    ] {
        for (name, sides) in members(&results[figures]) {
            let own = rate(&sides["together"]);
            for (side, run) in members(&sides) {
                let mut cell = thousands(&run["per_second"]);
                if side != "together" {
                    cell += &format!(" ({:.2})", rate(&run) / own);
                }
                if let Some(errors) = run.get("errors").filter(|errors| **errors != 0) {
                    cell += &format!(", {errors} failed");
                }
                add(rates, &name, &side, cell);
                add(waits, &name, &side, times(&run));
                if let Some(cpu) = run.get("cpu_us") {
                    add("CPU for each request in µs", &name, &side, cpu.to_string());
                }
            }
        }
    }
    for (name, sides) in members(&results["without_database"]) {
        for (side, run) in members(&sides) {
            let gain = rate(&run) / rate(&results["load"][&name][&side]);
            let cell = format!("{} ({gain:.2})", thousands(&run["per_second"]));
            add("requests/s without a database", &name, &side, cell);
        }
    }
    for (name, sides) in members(&results["fixed_rate"]) {
        let table = "p50, p99 in ms at a fixed rate";
        add(table, &name, "requests/s", thousands(&sides["together"]["per_second"]));
        for (side, run) in members(&sides) {
            add(table, &name, &side, times(&run));
        }
    }
    for (side, figures) in members(&results["processes"]) {
        for (figure, label) in [
            ("first_start_s", "first start, s"),
            ("next_start_s", "next start, s"),
            ("mb_at_rest", "at rest, MB"),
            ("mb_after_fan_outs", "after a minute of fan-outs, MB"),
        ] {
            if let Some(value) = figures.get(figure) {
                add("a server", label, &side, value.to_string());
            }
        }
    }
    cells
}

/// A whole number with a comma between thousands.
fn thousands(number: &Value) -> String {
    let digits = number.to_string();
    let (head, tail) = digits.split_at(digits.len().saturating_sub(3));
    if head.is_empty() { tail.to_owned() } else { format!("{head},{tail}") }
}
