use clap::CommandFactory as _;

use super::*;

#[test]
fn the_definition_is_consistent() {
    CommandLine::command().debug_assert();
}

#[test]
fn names_are_split_at_commas_and_added_up() {
    let line =
        CommandLine::try_parse_from(["forge-lab", "compare", "jq", "--with", "a,b", "--with", "c"]).unwrap();
    let Verb::Compare(compare) = line.verb else { panic!("another verb") };
    assert_eq!((compare.traces, compare.with), (vec!["jq".into()], vec!["a".into(), "b".into(), "c".into()]));
}

#[test]
fn exclusive_options_exclude_each_other() {
    for options in [["--json", "--markdown"], ["--quick", "--rounds=3"], ["--rounds=3", "--seconds=9"]] {
        let line = ["forge-lab", "compare"].into_iter().chain(options);
        assert!(CommandLine::try_parse_from(line).is_err(), "{options:?}");
    }
    assert!(CommandLine::try_parse_from(["forge-lab", "compare", "--rounds=0"]).is_err());
}
