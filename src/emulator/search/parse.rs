//! From the text of a query to what it asks: Lucene's syntax as Auth0 documents it. Operators are
//! boolean and bind NOT before AND before OR; parts that stand side by side are joined by OR, of which
//! `+` and `-` (or NOT) make parts that must hold and must not. Fuzzy terms and regular expressions
//! are not understood; a boost (`^2`) has no meaning, as nothing is ranked.

use super::value::{Bound, Glyph, Term, Test};
use super::{Node, Refused};
use crate::emulator::rules::Search;

/// Parentheses and negations stand in each other at most so deep.
const DEEPEST: usize = 64;
/// A wildcard at the beginning needs so many other characters.
const LEAST_AFTER_WILDCARD: usize = 3;

/// Parses a query.
///
/// # Errors
/// What it does not understand, or what is not searched so.
pub(super) fn parse(text: &str, how: &Search) -> Result<Node, Refused> {
    let mut parser = Parser { text: text.chars().collect(), at: 0, depth: 0, how };
    let node = parser.parts(None)?;
    parser.space();
    if parser.at == parser.text.len() { Ok(node) } else { Err(Refused::syntax()) }
}

struct Parser<'h> {
    text: Vec<char>,
    at: usize,
    depth: usize,
    how: &'h Search,
}

/// Whether a part that stands beside others must hold by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    None,
    Must,
    MustNot,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Result<char, Refused> {
        let c = self.peek().ok_or_else(Refused::syntax)?;
        self.at += 1;
        Ok(c)
    }

    fn space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn take(&mut self, c: char) -> bool {
        let here = self.peek() == Some(c);
        self.at += usize::from(here);
        here
    }

    /// Takes an operator: a word that ends where the next part begins, or signs.
    fn operator(&mut self, word: &str, signs: &str) -> bool {
        self.space();
        let rest = &self.text[self.at..];
        let begins =
            |with: &str| with.chars().zip(rest).filter(|(one, other)| one == *other).count() == with.len();
        let ends = |after: usize| rest.get(after).is_none_or(|c| c.is_whitespace() || *c == '(' || *c == ')');
        let length = if begins(word) && ends(word.len()) {
            word.len()
        } else if begins(signs) {
            signs.len()
        } else {
            return false;
        };
        self.at += length;
        true
    }

    fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Refused>) -> Result<T, Refused> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Refused::syntax());
        }
        let done = work(self);
        self.depth -= 1;
        done
    }

    /// Parts up to a closing parenthesis or the end; `field` is the one that they are of.
    fn parts(&mut self, field: Option<&str>) -> Result<Node, Refused> {
        let (mut required, mut optional, mut must) = (Vec::new(), Vec::new(), false);
        loop {
            let (mark, node) = self.either(field)?;
            must |= mark == Mark::Must;
            if mark == Mark::None { &mut optional } else { &mut required }.push(node);
            self.space();
            if self.peek().is_none_or(|c| c == ')') {
                break;
            }
        }
        if required.is_empty() {
            return Ok(joined(optional, Node::Any));
        }
        // Beside a part that must hold the others say nothing; beside those that must not, one holds.
        if !must && !optional.is_empty() {
            required.push(joined(optional, Node::Any));
        }
        Ok(joined(required, Node::All))
    }

    /// Parts joined by OR.
    fn either(&mut self, field: Option<&str>) -> Result<(Mark, Node), Refused> {
        let (mark, first) = self.both(field)?;
        let mut nodes = vec![first];
        while self.operator("OR", "||") {
            nodes.push(self.both(field)?.1);
        }
        let mark = if nodes.len() == 1 { mark } else { Mark::None };
        Ok((mark, joined(nodes, Node::Any)))
    }

    /// Parts joined by AND.
    fn both(&mut self, field: Option<&str>) -> Result<(Mark, Node), Refused> {
        let (mark, first) = self.one(field)?;
        let mut nodes = vec![first];
        while self.operator("AND", "&&") {
            nodes.push(self.one(field)?.1);
        }
        let mark = if nodes.len() == 1 { mark } else { Mark::None };
        Ok((mark, joined(nodes, Node::All)))
    }

    fn one(&mut self, field: Option<&str>) -> Result<(Mark, Node), Refused> {
        if self.operator("NOT", "!") || self.take('-') {
            let (_, node) = self.deeper(|parser| parser.one(field))?;
            return Ok((Mark::MustNot, Node::Not(Box::new(node))));
        }
        if self.take('+') {
            return Ok((Mark::Must, self.deeper(|parser| parser.one(field))?.1));
        }
        let node = self.bare(field)?;
        self.boost()?;
        Ok((Mark::None, node))
    }

    /// A group, a value, or a field with either.
    fn bare(&mut self, field: Option<&str>) -> Result<Node, Refused> {
        self.space();
        match self.peek().ok_or_else(Refused::syntax)? {
            '(' => {
                self.at += 1;
                let node = self.deeper(|parser| parser.parts(field))?;
                if self.take(')') { Ok(node) } else { Err(Refused::syntax()) }
            }
            '"' => {
                let text = self.quoted()?;
                self.node(field, Test::Equal(Term::new(text)))
            }
            '[' | '{' => {
                let range = self.range()?;
                self.node(field, range)
            }
            _ => {
                let glyphs = self.term()?;
                if !self.take(':') {
                    if let Some(range) = field.and_then(|_| bounded(&glyphs)) {
                        return self.node(field, range);
                    }
                    let word: String = plain(&glyphs).unwrap_or_default();
                    if glyphs.is_empty() || ["AND", "OR", "NOT"].contains(&word.as_str()) {
                        return Err(Refused::syntax());
                    }
                    return self.node(field, Test::of(glyphs));
                }
                let name = plain(&glyphs).filter(|name| field.is_none() && !name.is_empty());
                let name = name.ok_or_else(Refused::syntax)?;
                self.space();
                if name == "_exists_" {
                    let named =
                        if self.peek() == Some('"') { Some(self.quoted()?) } else { plain(&self.term()?) };
                    let named = named.filter(|named| !named.is_empty()).ok_or_else(Refused::syntax)?;
                    return Ok(Node::Field(Some(named), Test::Exists));
                }
                self.deeper(|parser| parser.bare(Some(&name)))
            }
        }
    }

    /// A field that a test can be of.
    fn node(&self, field: Option<&str>, test: Test) -> Result<Node, Refused> {
        let exact = field.and_then(|field| {
            let top = field.split('.').next().unwrap_or(field);
            self.how.exact.iter().find(|name| *name == top)
        });
        let whole = matches!(test, Test::Equal(_));
        if let Some(name) = exact.filter(|_| !whole) {
            return Err(Refused(format!("Wildcard and range searches are not supported on {name} fields")));
        }
        if let Test::Like(glyphs, _) = &test {
            let others = glyphs.iter().filter(|glyph| matches!(glyph, Glyph::Is(_))).count();
            if !matches!(glyphs.first(), Some(Glyph::Is(_))) && others < LEAST_AFTER_WILDCARD {
                let what = "Terms that begin with a wildcard need 3 or more other characters";
                return Err(Refused(what.to_owned()));
            }
        }
        Ok(Node::Field(field.map(str::to_owned), test))
    }

    /// The characters of a term, up to one that ends it.
    fn term(&mut self) -> Result<Vec<Glyph>, Refused> {
        let mut glyphs = Vec::new();
        while let Some(c) = self.peek() {
            match c {
                c if c.is_whitespace() => break,
                '(' | ')' | ':' | '^' => break,
                '"' | '[' | ']' | '{' | '}' | '~' => return Err(Refused::syntax()),
                '\\' => {
                    self.at += 1;
                    glyphs.push(Glyph::Is(self.next()?));
                    continue;
                }
                '*' => glyphs.push(Glyph::Many),
                '?' => glyphs.push(Glyph::One),
                c => glyphs.push(Glyph::Is(c)),
            }
            self.at += 1;
        }
        Ok(glyphs)
    }

    /// `^2` behind a part.
    fn boost(&mut self) -> Result<(), Refused> {
        if !self.take('^') {
            return Ok(());
        }
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit() || c == '.') {
            self.at += 1;
        }
        if self.at == start { Err(Refused::syntax()) } else { Ok(()) }
    }

    fn quoted(&mut self) -> Result<String, Refused> {
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.next()? {
                '"' => return Ok(text),
                '\\' => text.push(self.next()?),
                c => text.push(c),
            }
        }
    }

    /// `[a TO b]`, `{a TO b}` and mixtures; `*` is open.
    fn range(&mut self) -> Result<Test, Refused> {
        let closed_low = self.next()? == '[';
        let low = self.end()?;
        let to = self.end()?;
        if to.as_deref() != Some("TO") {
            return Err(Refused::syntax());
        }
        let high = self.end()?;
        self.space();
        let closed_high = match self.next()? {
            ']' => true,
            '}' => false,
            _ => return Err(Refused::syntax()),
        };
        let bound = |text: Option<String>, closed| text.map(|text| Bound { term: Term::new(text), closed });
        Ok(Test::Range { low: bound(low, closed_low), high: bound(high, closed_high) })
    }

    /// One end of a range; none is open.
    fn end(&mut self) -> Result<Option<String>, Refused> {
        self.space();
        if self.peek() == Some('"') {
            return self.quoted().map(Some);
        }
        let (mut text, start) = (String::new(), self.at);
        while let Some(c) = self.peek().filter(|c| !c.is_whitespace() && *c != ']' && *c != '}') {
            self.at += 1;
            text.push(if c == '\\' { self.next()? } else { c });
        }
        match self.at - start {
            0 => Err(Refused::syntax()),
            1 if text == "*" => Ok(None),
            _ => Ok(Some(text)),
        }
    }
}

/// One node of several.
fn joined(mut nodes: Vec<Node>, several: fn(Vec<Node>) -> Node) -> Node {
    match (nodes.len(), nodes.pop()) {
        (1, Some(node)) => node,
        (_, last) => {
            nodes.extend(last);
            several(nodes)
        }
    }
}

/// A term without wildcards.
fn plain(glyphs: &[Glyph]) -> Option<String> {
    let text = glyphs.iter().map(|glyph| match glyph {
        Glyph::Is(c) => Some(*c),
        _ => None,
    });
    text.collect()
}

/// `>5`, `>=5`, `<5`, `<=5`.
fn bounded(glyphs: &[Glyph]) -> Option<Test> {
    let text = plain(glyphs)?;
    let (operator, value) = text.split_at(text.find(|c| c != '<' && c != '>' && c != '=')?);
    let bound = Bound { term: Term::new(value.to_owned()), closed: operator.ends_with('=') };
    match operator {
        ">" | ">=" => Some(Test::Range { low: Some(bound), high: None }),
        "<" | "<=" => Some(Test::Range { low: None, high: Some(bound) }),
        _ => None,
    }
}
