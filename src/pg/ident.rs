//! Names and literals in generated SQL.

/// A name, quoted where Postgres needs it or not.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text literal; backslashes are ordinary characters under standard_conforming_strings.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(ident("us\"er"), "\"us\"\"er\"");
        assert_eq!(literal("it's"), "'it''s'");
    }
}
