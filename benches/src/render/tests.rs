use super::*;

fn summary(minimum: f64, median: f64) -> Result<Summary, String> {
    Ok(Summary { minimum, median, spread: 0.125, samples: 20, repeated: 0 })
}

fn outcome(statistic: Statistic) -> Outcome {
    let line = |name, side, outcome| Line { name, side, outcome };
    let lines = vec![
        line("ours", Side::Ours, summary(1.0, 5.0)),
        line("peer", Side::Peer, summary(2.0, 4.0)),
        line("broken", Side::Peer, Err("byte 3".to_string())),
        line("limit", Side::Limit, summary(0.5, 0.5)),
        line("other", Side::Context, summary(0.1, 0.1)),
    ];
    Outcome { id: "row", title: "a row", unit: "allocation", goal: 0.75, statistic, lines }
}

#[test]
fn the_overview_names_the_best_of_each_side_and_their_ratio() {
    assert_eq!(
        overview_line(&outcome(Statistic::Minimum)),
        "| a row | ours | 1.00 | peer | 2.00 | 0.50 | 0.75 |\n"
    );
    assert_eq!(
        overview_line(&outcome(Statistic::Median)),
        "| a row | ours | 5.00 | peer | 4.00 | 1.25 | 0.75 |\n"
    );
}

#[test]
fn what_a_layer_costs_is_a_difference_within_its_row() {
    let mut row = outcome(Statistic::Minimum);
    assert_eq!(layers(&[row.clone()]), "");
    row.id = "layer-canary";
    row.title = "layer over a slab: canary";
    row.lines[2] = Line { name: "ours: bare slab", side: Side::Context, outcome: summary(0.8, 1.0) };
    row.lines[4] = Line { name: "reference: bare slab", side: Side::Context, outcome: summary(1.0, 1.0) };
    let text = layers(&[row]);
    assert!(text.ends_with("| canary | 0.20 | 1.25 | 1.00 | 2.00 | 0.20 | 1.35 |\n"), "{text}");
}

#[test]
fn the_verdict_tells_goal_ahead_and_behind_apart() {
    let mut row = outcome(Statistic::Minimum);
    assert_eq!(verdict(&row), "goal reached: ours / peer = 0.50 (goal 0.75)");
    row.goal = 0.4;
    assert_eq!(verdict(&row), "ahead: ours / peer = 0.50 (goal 0.40)");
    assert!(verdict(&outcome(Statistic::Median)).starts_with("BEHIND"));
    row.lines[0].outcome = summary(2.02, 5.0);
    assert_eq!(verdict(&row), "level: ours / peer = 1.01 (goal 0.40)");
    row.lines.retain(|line| line.side == Side::Peer);
    assert_eq!(verdict(&row), "nothing to compare");
}

#[test]
fn the_document_holds_every_line_and_a_failed_check() {
    let setting = Setting { machine: "M".to_string(), compiler: "C".to_string(), command: "run".to_string() };
    let text = markdown(&[outcome(Statistic::Minimum)], &setting);
    assert!(text.contains("| ours | ours | 1.00 | 5.00 | 12.5 % | 0.50 |"));
    assert!(text.contains("| broken | peer | failed its check: byte 3 | - | - | - |"));
    assert!(text.contains("| other | context | 0.10 | 0.10 | 12.5 % |  |"));
    assert!(text.contains("written by `run`") && text.contains("Machine: M. Compiler: C."));
}

#[test]
fn the_terminal_table_lines_up_and_ends_with_the_verdict() {
    let text = terminal(&outcome(Statistic::Minimum));
    assert!(text.contains("FAILED its check: byte 3"));
    assert!(text.trim_end().ends_with("goal reached: ours / peer = 0.50 (goal 0.75)"));
}

#[test]
fn the_model_name_is_read_from_the_first_processor() {
    let text = "processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nmodel name\t: other\n";
    assert_eq!(model_name(text).as_deref(), Some("Some CPU @ 3 GHz"));
    assert_eq!(model_name("nothing"), None);
}

#[test]
fn times_keep_about_three_digits() {
    assert_eq!([0.5432, 12.345, 1234.5].map(nanoseconds), ["0.54", "12.3", "1234"]);
}
