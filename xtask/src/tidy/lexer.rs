//! Splits a Rust source into code and comments, so that a rule about one is not misled by the other or by a string.
//!
//! Both halves keep every line and column: what belongs to the other half, and what stands inside a string or character
//! literal, is blank.

/// The two halves of a source.
pub(crate) struct Split {
    pub(crate) code: String,
    pub(crate) comments: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Code,
    LineComment,
    BlockComment { depth: usize },
    Text,
    RawText { hashes: usize },
}

/// Splits `source`.
pub(crate) fn split(source: &str) -> Split {
    let chars: Vec<char> = source.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut halves = Split { code: String::new(), comments: String::new() };
    let mut place = Place::Code;
    let mut index = 0;
    while index < chars.len() {
        let (length, next) = match place {
            Place::Code => token(&chars, index),
            Place::LineComment => (1, if at(index + 1) == '\n' { Place::Code } else { place }),
            Place::BlockComment { depth } => match (at(index), at(index + 1)) {
                ('/', '*') => (2, Place::BlockComment { depth: depth + 1 }),
                ('*', '/') if depth == 1 => (2, Place::Code),
                ('*', '/') => (2, Place::BlockComment { depth: depth - 1 }),
                _ => (1, place),
            },
            Place::Text => match at(index) {
                '\\' => (2, place),
                '"' => (1, Place::Code),
                _ => (1, place),
            },
            Place::RawText { hashes } => {
                let ends = at(index) == '"' && (1..=hashes).all(|offset| at(index + offset) == '#');
                if ends { (1 + hashes, Place::Code) } else { (1, place) }
            }
        };
        // A comment's marks belong to it, a string's to the code: `""` stays readable as an empty string.
        let comment = [place, next]
            .iter()
            .any(|place| matches!(place, Place::LineComment | Place::BlockComment { .. }));
        let literal = matches!(place, Place::Text | Place::RawText { .. }) && next == place;
        let character = place == Place::Code && at(index) == '\'' && length > 1;
        for &symbol in chars.iter().skip(index).take(length) {
            let newline = symbol == '\n';
            halves.code.push(if newline || !(comment || literal || character) { symbol } else { ' ' });
            halves.comments.push(if newline || comment { symbol } else { ' ' });
        }
        index += length;
        place = next;
    }
    halves
}

/// Returns the length of what starts at `index` in code, and the place behind it.
fn token(chars: &[char], index: usize) -> (usize, Place) {
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    match (at(index), at(index + 1)) {
        ('/', '/') if at(index + 2) == '\n' => (2, Place::Code),
        ('/', '/') => (2, Place::LineComment),
        ('/', '*') => (2, Place::BlockComment { depth: 1 }),
        ('"', _) => (1, Place::Text),
        ('r', '"' | '#') if index == 0 || starts_literal(chars, index) => {
            let hashes = chars.iter().skip(index + 1).take_while(|symbol| **symbol == '#').count();
            if at(index + 1 + hashes) == '"' {
                (2 + hashes, Place::RawText { hashes })
            } else {
                (1, Place::Code)
            }
        }
        ('\'', '\\') => {
            let rest = chars.iter().skip(index + 3).position(|symbol| *symbol == '\'');
            (rest.map_or(1, |rest| rest + 4), Place::Code)
        }
        ('\'', _) if at(index + 2) == '\'' => (3, Place::Code),
        _ => (1, Place::Code),
    }
}

/// Returns whether the `r` at `index` is the prefix of a raw string rather than the end of a name.
fn starts_literal(chars: &[char], index: usize) -> bool {
    let is_name = |symbol: char| symbol.is_alphanumeric() || symbol == '_';
    let before = chars[index - 1];
    if matches!(before, 'b' | 'c') { index < 2 || !is_name(chars[index - 2]) } else { !is_name(before) }
}

/// Returns `code` with every item under `#[cfg(test)]` blank.
pub(super) fn without_tests(code: &str) -> String {
    let mut bytes = code.as_bytes().to_vec();
    let mut from = 0;
    while let Some(found) = code[from..].find("#[cfg(test)]") {
        let start = from + found;
        let end = start + item_length(&code[start..]);
        bytes[start..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        from = end;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the length of the item at the start of `code`, up to its `;` or its closing brace.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (index, symbol) in code.char_indices() {
        match symbol {
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index + 1;
                }
            }
            ';' if depth == 0 => return index + 1,
            _ => {}
        }
    }
    code.len()
}

/// Returns the number of the line, from 1, that the byte at `index` is on.
pub(super) fn line_of(text: &str, index: usize) -> usize {
    text[..index].matches('\n').count() + 1
}

/// Returns the byte index of each place where `word` stands in `text` as a whole word.
pub(super) fn word_places<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_name = |symbol: char| symbol.is_alphanumeric() || symbol == '_';
    text.match_indices(word).map(|(index, _)| index).filter(move |&index| {
        !text[..index].ends_with(is_name) && !text[index + word.len()..].starts_with(is_name)
    })
}

#[cfg(test)]
mod tests;
