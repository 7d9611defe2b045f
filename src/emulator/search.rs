//! The search syntax of `q`: a subset of Lucene's query strings, as Auth0 documents it for users.
//! A field holds a value if any of its values does, without regard to case.

use serde_json::Value;

use super::rules::Fields;

/// A parsed query.
#[derive(Clone, Debug)]
pub(super) enum Query {
    All(Vec<Query>),
    Any(Vec<Query>),
    Not(Box<Query>),
    /// A field, or any field at all, holds a matching value.
    Field(Option<String>, Test),
}

/// What a value is compared with.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Exists,
    /// A text or number in lower case, with `*` and `?`.
    Like(regex::Regex),
    /// Between two bounds; `*` is open.
    Range {
        low: String,
        high: String,
        closed_low: bool,
        closed_high: bool,
    },
}

/// Parses a query; refuses what does not come out even.
pub(super) fn parse(text: &str) -> Result<Query, ()> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0 };
    let query = parser.any()?;
    if parser.at == parser.tokens.len() { Ok(query) } else { Err(()) }
}

/// Orders rows by `field:1` or `field:-1`; without a sort they keep their order.
pub(super) fn sort(order: Option<&str>, rows: &mut [(u64, Fields)]) {
    let Some((field, direction)) = order.and_then(|order| order.rsplit_once(':')) else { return };
    rows.sort_by(|(_, a), (_, b)| {
        let order = texts(a, field).cmp(&texts(b, field));
        if direction == "-1" { order.reverse() } else { order }
    });
}

/// Whether a dotted field holds this text.
pub(super) fn has_text(row: &Fields, field: &str, text: &str) -> bool {
    texts(row, field).iter().any(|found| found == text)
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Open,
    Close,
    Word(String),
    Quoted(String),
    Range(String),
}

fn tokens(text: &str) -> Result<Vec<Token>, ()> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            c if c.is_whitespace() => {}
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            '"' => {
                let mut quoted = String::new();
                loop {
                    match rest.next().ok_or(())? {
                        '"' => break,
                        '\\' => quoted.push(rest.next().ok_or(())?),
                        c => quoted.push(c),
                    }
                }
                tokens.push(Token::Quoted(quoted));
            }
            '[' | '{' => {
                let mut range = String::from(c);
                loop {
                    let c = rest.next().ok_or(())?;
                    range.push(c);
                    if c == ']' || c == '}' {
                        break;
                    }
                }
                tokens.push(Token::Range(range));
            }
            c => {
                let mut word = String::from(c);
                if c == '\\' {
                    word = rest.next().ok_or(())?.to_string();
                }
                while let Some(next) = rest.peek().copied() {
                    let field_ends = word.ends_with(':') && !word.starts_with(':');
                    if next.is_whitespace() || "()".contains(next) || field_ends && "\"[{".contains(next) {
                        break;
                    }
                    rest.next();
                    word.push(if next == '\\' { rest.next().ok_or(())? } else { next });
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn take_word(&mut self, word: &str) -> bool {
        let here = matches!(self.peek(), Some(Token::Word(found)) if found == word);
        self.at += usize::from(here);
        here
    }

    fn any(&mut self) -> Result<Query, ()> {
        let mut parts = vec![self.all()?];
        while self.peek().is_some_and(|token| *token != Token::Close) {
            self.take_word("OR");
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Query::Any(parts) })
    }

    fn all(&mut self) -> Result<Query, ()> {
        let mut parts = vec![self.one()?];
        while self.take_word("AND") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Query::All(parts) })
    }

    fn one(&mut self) -> Result<Query, ()> {
        if self.take_word("NOT") {
            return Ok(Query::Not(Box::new(self.one()?)));
        }
        match self.next().ok_or(())? {
            Token::Open => {
                let inner = self.any()?;
                if self.next() == Some(Token::Close) { Ok(inner) } else { Err(()) }
            }
            Token::Quoted(text) => Ok(Query::Field(None, exact(&text)?)),
            Token::Word(word) => self.word(&word),
            Token::Close | Token::Range(_) => Err(()),
        }
    }

    fn word(&mut self, word: &str) -> Result<Query, ()> {
        if let Some(rest) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) {
            return Ok(Query::Not(Box::new(self.word(rest)?)));
        }
        let Some((field, value)) = word.split_once(':') else { return Ok(Query::Field(None, wild(word)?)) };
        if field == "_exists_" {
            return Ok(Query::Field(Some(value.to_owned()), Test::Exists));
        }
        let field = Some(field.to_owned());
        if !value.is_empty() {
            return Ok(Query::Field(field, bounded(value).map_or_else(|| wild(value), Ok)?));
        }
        match self.next().ok_or(())? {
            Token::Quoted(text) => Ok(Query::Field(field, exact(&text)?)),
            Token::Range(range) => Ok(Query::Field(field, between(&range)?)),
            Token::Open => {
                let mut parts = Vec::new();
                loop {
                    match self.next().ok_or(())? {
                        Token::Close => return Ok(Query::Any(parts)),
                        Token::Word(word) if word == "OR" => {}
                        Token::Word(word) => parts.push(Query::Field(field.clone(), wild(&word)?)),
                        Token::Quoted(text) => parts.push(Query::Field(field.clone(), exact(&text)?)),
                        Token::Open | Token::Range(_) => return Err(()),
                    }
                }
            }
            Token::Word(_) | Token::Close => Err(()),
        }
    }
}

fn exact(text: &str) -> Result<Test, ()> {
    like(&regex::escape(text))
}

fn wild(text: &str) -> Result<Test, ()> {
    like(&regex::escape(text).replace(r"\*", ".*").replace(r"\?", "."))
}

fn like(pattern: &str) -> Result<Test, ()> {
    regex::Regex::new(&format!("^(?s:{})$", pattern.to_lowercase())).map(Test::Like).map_err(|_| ())
}

/// `>5`, `>=5`, `<5`, `<=5`.
fn bounded(text: &str) -> Option<Test> {
    let open = || "*".to_owned();
    let (operator, value) = text.split_at(text.find(|c| c != '<' && c != '>' && c != '=')?);
    let value = value.to_owned();
    let (low, high) = match operator {
        ">" | ">=" => (value, open()),
        "<" | "<=" => (open(), value),
        _ => return None,
    };
    let closed = operator.ends_with('=');
    Some(Test::Range { low, high, closed_low: closed, closed_high: closed })
}

/// `[a TO b]`, `{a TO b}` and mixtures.
fn between(range: &str) -> Result<Test, ()> {
    let inner = &range[1..range.len() - 1];
    let (low, high) = inner.split_once(" TO ").ok_or(())?;
    let bound = |text: &str| text.trim().trim_matches('"').to_owned();
    Ok(Test::Range {
        low: bound(low),
        high: bound(high),
        closed_low: range.starts_with('['),
        closed_high: range.ends_with(']'),
    })
}

impl Query {
    /// Whether a row answers the query.
    pub(super) fn matches(&self, row: &Fields) -> bool {
        match self {
            Query::All(parts) => parts.iter().all(|part| part.matches(row)),
            Query::Any(parts) => parts.iter().any(|part| part.matches(row)),
            Query::Not(part) => !part.matches(row),
            Query::Field(Some(field), test) => texts(row, field).iter().any(|text| test.holds(text)),
            Query::Field(None, test) => {
                row.keys().any(|field| texts(row, field).iter().any(|text| test.holds(text)))
            }
        }
    }
}

impl Test {
    fn holds(&self, text: &str) -> bool {
        match self {
            Test::Exists => true,
            Test::Like(pattern) => pattern.is_match(&text.to_lowercase()),
            Test::Range { low, high, closed_low, closed_high } => {
                let order = |bound: &str| match (text.parse::<f64>(), bound.parse::<f64>()) {
                    (Ok(value), Ok(bound)) => value.total_cmp(&bound),
                    // A date bound covers the whole of what it names.
                    _ => text.get(..bound.len().min(text.len())).unwrap_or(text).cmp(bound),
                };
                (low == "*" || order(low).is_gt() || *closed_low && order(low).is_eq())
                    && (high == "*" || order(high).is_lt() || *closed_high && order(high).is_eq())
            }
        }
    }
}

/// The values in a dotted field, as texts; arrays give each of theirs.
fn texts(row: &Fields, field: &str) -> Vec<String> {
    fn collect(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect(item, path, found)),
            Value::Object(fields) if !path.is_empty() => from(fields, path, found),
            Value::Null | Value::Object(_) => {}
            Value::String(text) if path.is_empty() => found.push(text.clone()),
            other if path.is_empty() => found.push(other.to_string()),
            _ => {}
        }
    }
    fn from(fields: &Fields, path: &str, found: &mut Vec<String>) {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        if let Some(value) = fields.get(first) {
            collect(value, rest, found);
        }
    }
    let mut found = Vec::new();
    from(row, field, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holds(query: &str) -> bool {
        let row = json!({
            "email": "Ada@example.com", "name": "Ada Lovelace", "logins_count": 12, "blocked": true,
            "created_at": "2024-03-01T10:00:00.000Z",
            "identities": [{"connection": "db", "provider": "auth0"}],
            "app_metadata": {"plan": "gold"},
        });
        parse(query).unwrap().matches(row.as_object().unwrap())
    }

    #[test]
    fn queries_find_what_they_name() {
        for query in [
            "email:\"ada@example.com\"",
            "email:ada@example.com",
            "name:ada*",
            "name:\"Ada Lovelace\"",
            "identities.connection:db AND blocked:true",
            "app_metadata.plan:(silver OR gold)",
            "logins_count:[10 TO 20]",
            "logins_count:>5",
            "created_at:[2024-01-01 TO 2024-03-01]",
            "NOT name:bob",
            "-name:bob",
            "_exists_:email",
            "(name:bob OR name:ada*) AND blocked:true",
        ] {
            assert!(holds(query), "{query}");
        }
        for query in
            ["email:bob*", "_exists_:username", "logins_count:{12 TO *]", "name:Ada AND blocked:false"]
        {
            assert!(!holds(query), "{query}");
        }
        assert!(parse("name:(").is_err() && parse("\"open").is_err());
    }
}
