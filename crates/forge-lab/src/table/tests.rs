use super::*;

fn example() -> Table {
    let mut table =
        Table::new(&[("rank", Align::Right), ("allocator", Align::Left), ("ns/op", Align::Right)]);
    table.push(["1".into(), "arena".into(), "12.5 ±0.3".into()]);
    table.push(["2=".into(), "a|b".into(), "n/a".into()]);
    table
}

#[test]
fn text_is_aligned_without_trailing_spaces() {
    let expected = "\
rank  allocator      ns/op
--------------------------
   1  arena      12.5 ±0.3
  2=  a|b              n/a
";
    assert_eq!(example().text(), expected);
}

#[test]
fn markdown_escapes_bars_and_marks_alignment() {
    let expected = "\
| rank | allocator |     ns/op |
|-----:|-----------|----------:|
|    1 | arena     | 12.5 ±0.3 |
|   2= | a\\|b      |       n/a |
";
    assert_eq!(example().markdown(), expected);
}

#[test]
fn a_row_has_as_many_cells_as_there_are_columns() {
    let mut table = Table::new(&[("a", Align::Left), ("b", Align::Left)]);
    table.push(["1".to_string()]);
    table.push(["1".to_string(), "2".to_string(), "3".to_string()]);
    assert_eq!(table.text(), "a  b\n----\n1\n1  2\n");
}
