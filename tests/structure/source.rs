//! Rust source as these rules see it: code without comments and texts, and the texts with their places.

/// A text literal.
pub(crate) struct Literal {
    /// Line, from 1.
    pub(crate) line: usize,
    /// What stands between the quotes, escapes as written.
    pub(crate) text: String,
    /// Whether it stands in an inline module named `tests`.
    pub(crate) in_tests: bool,
}

/// One file.
pub(crate) struct Source {
    /// The code; comments and the insides of literals are blanks, so every offset and line stays.
    pub(crate) code: String,
    /// Text literals in order.
    pub(crate) literals: Vec<Literal>,
}

impl Source {
    /// Reads one file's text.
    pub(crate) fn read(text: &str) -> Source {
        let mut code = text.as_bytes().to_vec();
        let mut spans = Vec::new();
        let mut at = 0;
        while at < code.len() {
            let (inside, end, is_text) = token(text.as_bytes(), at);
            if is_text {
                spans.push(inside.clone());
            }
            code[inside].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
            at = end;
        }
        let code = String::from_utf8(code).unwrap();
        let mut source = Source { code, literals: Vec::new() };
        source.literals = spans
            .into_iter()
            .map(|span| Literal {
                line: source.line(span.start),
                in_tests: source.in_tests(span.start),
                text: text[span].to_owned(),
            })
            .collect();
        source
    }

    /// The line of an offset, from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.code[..offset].matches('\n').count() + 1
    }

    /// The inline modules around an offset, from the outermost.
    pub(crate) fn modules(&self, offset: usize) -> Vec<&str> {
        let mut open: Vec<Option<&str>> = Vec::new();
        for (at, byte) in self.code[..offset].bytes().enumerate() {
            match byte {
                b'{' => {
                    let mut words = self.code[..at].split_whitespace().rev();
                    let name = words.next();
                    open.push(name.filter(|_| words.next() == Some("mod")));
                }
                b'}' => {
                    open.pop();
                }
                _ => {}
            }
        }
        open.into_iter().flatten().collect()
    }

    /// Whether an offset stands in an inline module named `tests`.
    pub(crate) fn in_tests(&self, offset: usize) -> bool {
        self.modules(offset).contains(&"tests")
    }
}

/// What begins at `at`: the bytes to blank, where it ends, and whether it is a text literal.
fn token(text: &[u8], at: usize) -> (std::ops::Range<usize>, usize, bool) {
    let rest = &text[at..];
    let find = |from: usize, what: &[u8]| {
        text[from..]
            .windows(what.len())
            .position(|window| window == what)
            .map_or(text.len(), |found| from + found)
    };
    let after_name = at > 0 && (text[at - 1].is_ascii_alphanumeric() || text[at - 1] == b'_');
    if rest.starts_with(b"//") {
        let end = find(at, b"\n");
        return (at..end, end, false);
    }
    if rest.starts_with(b"/*") {
        let end = (find(at, b"*/") + 2).min(text.len());
        return (at..end, end, false);
    }
    if !after_name && (rest[0] == b'r' || rest.starts_with(b"br")) {
        let from = at + rest.iter().take_while(|byte| matches!(byte, b'b' | b'r')).count();
        let hashes = text[from..].iter().take_while(|byte| **byte == b'#').count();
        if text.get(from + hashes) == Some(&b'"') {
            let inside = from + hashes + 1;
            let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
            let end = find(inside, &close);
            return (inside..end, (end + close.len()).min(text.len()), true);
        }
    }
    if rest[0] == b'"' {
        let mut end = at + 1;
        while end < text.len() && text[end] != b'"' {
            end += if text[end] == b'\\' { 2 } else { 1 };
        }
        let end = end.min(text.len());
        return (at + 1..end, (end + 1).min(text.len()), true);
    }
    // A character: a quote, one character or an escape, a quote. A lifetime has no second quote.
    if rest[0] == b'\'' {
        let inside = std::str::from_utf8(&rest[1..]).unwrap();
        let length = match inside.strip_prefix('\\') {
            Some(escape) => 1 + escape[1..].find('\'').map_or(0, |found| found + 1),
            None => inside.chars().next().map_or(0, char::len_utf8),
        };
        if rest.get(1 + length) == Some(&b'\'') {
            return (at + 1..at + 1 + length, at + length + 2, false);
        }
    }
    (at..at, at + 1, false)
}
