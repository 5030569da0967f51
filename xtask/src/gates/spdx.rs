//! SPDX licence expressions: `MIT OR Apache-2.0`, `(A OR B) AND C WITH exception`, and the old form `MIT/Apache-2.0`.
//! Operators may be written in lower case.

/// Returns whether the licences that `allowed` accepts satisfy the expression. An identifier `A WITH E` is asked for as a
/// whole; `A+` is asked for as written.
///
/// # Errors
///
/// A message if the expression does not follow the grammar.
pub(crate) fn is_satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ")
        .replace(" or ", " OR ")
        .replace(" and ", " AND ");
    let mut words = spaced.split_whitespace().peekable();
    let satisfied = either(&mut words, allowed)?;
    match words.next() {
        None => Ok(satisfied),
        Some(word) => Err(format!("`{word}` is out of place in licence expression `{expression}`")),
    }
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    let mut satisfied = both(words, allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        satisfied |= both(words, allowed)?;
    }
    Ok(satisfied)
}

fn both(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    let mut satisfied = one(words, allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        satisfied &= one(words, allowed)?;
    }
    Ok(satisfied)
}

fn one(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    match words.next() {
        Some("(") => {
            let satisfied = either(words, allowed)?;
            if words.next() == Some(")") { Ok(satisfied) } else { Err("a parenthesis is not closed".into()) }
        }
        None | Some(")" | "OR" | "AND" | "WITH") => Err("a licence identifier is missing".into()),
        Some(licence) if words.next_if_eq(&"WITH").is_some() => {
            let exception = words.next().ok_or("an exception is missing after WITH")?;
            Ok(allowed(&format!("{licence} WITH {exception}")))
        }
        Some(licence) => Ok(allowed(licence)),
    }
}

#[cfg(test)]
mod tests;
