//! Lives here: reading Rust text for the layering test: tokens without comments and
//! literals, and the paths among them that lead to the crate's root.
//! Never here: a rule, a file system.

/// What a rule can be about: a name, or one mark (`::` counts as one).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Name(String),
    Mark(char),
    Path,
}

impl Token {
    /// Whether this is that name.
    pub(crate) fn is(&self, name: &str) -> bool {
        matches!(self, Self::Name(own) if own == name)
    }
}

/// The first name below the library's root of every path that leads there, in a file that
/// is the module `modules`. In a root (no modules) `crate` and `super` name its own items.
pub(crate) fn imports(modules: &[String], tokens: &[Token]) -> Vec<String> {
    let below = !modules.is_empty();
    let mut found = Vec::new();
    let mut braces = 0_usize;
    // The brace depth at which each inline module that is open began.
    let mut inline: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let starts_path = at == 0 || tokens[at - 1] != Token::Path;
        match &tokens[at] {
            Token::Mark('{') => braces += 1,
            Token::Mark('}') => {
                braces = braces.saturating_sub(1);
                if inline.last() == Some(&braces) {
                    inline.pop();
                }
            }
            Token::Name(name) if name == "mod" && tokens.get(at + 2) == Some(&Token::Mark('{')) => {
                inline.push(braces);
            }
            Token::Name(name) if starts_path && (name == "mnara" || (name == "crate" && below)) => {
                found.extend(names_after(tokens, at + 1));
            }
            Token::Name(name) if name == "super" && below => {
                let mut climbs = 1;
                while tokens.get(at + 1) == Some(&Token::Path)
                    && tokens.get(at + 2).is_some_and(|token| token.is("super"))
                {
                    climbs += 1;
                    at += 2;
                }
                if climbs == modules.len() + inline.len() {
                    found.extend(names_after(tokens, at + 1));
                }
            }
            Token::Name(_) | Token::Mark(_) | Token::Path => {}
        }
        at += 1;
    }
    found
}

/// The names one step below a root that stands just before `at`: one name after `::`, or
/// each of a group in braces. A `*` counts as a name, so that no glob slips through.
pub(crate) fn names_after(tokens: &[Token], at: usize) -> Vec<String> {
    if tokens.get(at) != Some(&Token::Path) {
        return Vec::new();
    }
    match tokens.get(at + 1) {
        Some(Token::Name(name)) => vec![name.clone()],
        Some(Token::Mark('*')) => vec!["*".to_owned()],
        Some(Token::Mark('{')) => grouped_names(&tokens[at + 2..]),
        Some(Token::Mark(_) | Token::Path) | None => Vec::new(),
    }
}

fn grouped_names(tokens: &[Token]) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 1_usize;
    let mut first = true;
    for token in tokens {
        match token {
            Token::Mark('{') => depth += 1,
            Token::Mark('}') => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            Token::Mark(',') if depth == 1 => {
                first = true;
                continue;
            }
            // `{self as x}` names the root itself and nothing below it.
            Token::Name(name) if first && depth == 1 && name != "self" => names.push(name.clone()),
            Token::Mark('*') if first && depth == 1 => names.push("*".to_owned()),
            Token::Name(_) | Token::Mark(_) | Token::Path => {}
        }
        first = false;
    }
    names
}

/// Splits Rust text into names and marks. Comments, literals and lifetimes leave nothing.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let next = chars.get(at + 1).copied();
        match chars[at] {
            '/' if next == Some('/') => at = end_of_line(&chars, at),
            '/' if next == Some('*') => at = end_of_block_comment(&chars, at),
            '"' => at = end_of_string(&chars, at),
            '\'' => at = end_of_quote(&chars, at),
            ':' if next == Some(':') => {
                out.push(Token::Path);
                at += 2;
            }
            first if first.is_alphabetic() || first == '_' => {
                let end = end_of_name(&chars, at);
                let name: String = chars[at..end].iter().collect();
                at = end;
                let raw = matches!(name.as_str(), "r" | "br" | "cr");
                match chars.get(end) {
                    Some('"' | '#') if raw => match end_of_raw_string(&chars, end) {
                        Some(end) => at = end,
                        // `r#name`: the prefix is no name of its own.
                        None => at = end + 1,
                    },
                    _ => out.push(Token::Name(name)),
                }
            }
            first if first.is_ascii_digit() => at = end_of_name(&chars, at),
            other => {
                if !other.is_whitespace() {
                    out.push(Token::Mark(other));
                }
                at += 1;
            }
        }
    }
    out
}

fn end_of_name(chars: &[char], start: usize) -> usize {
    let is_part = |c: &char| c.is_alphanumeric() || *c == '_';
    start + chars[start..].iter().take_while(|c| is_part(c)).count()
}

fn end_of_line(chars: &[char], start: usize) -> usize {
    start + chars[start..].iter().take_while(|&&c| c != '\n').count()
}

fn end_of_block_comment(chars: &[char], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    break;
                }
            }
            _ => at += 1,
        }
    }
    at
}

fn end_of_string(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// The end of `#*"…"#*` that starts at `start`; none when no string starts there.
fn end_of_raw_string(chars: &[char], start: usize) -> Option<usize> {
    let hashes = chars[start..].iter().take_while(|&&c| c == '#').count();
    if chars.get(start + hashes) != Some(&'"') {
        return None;
    }
    let mut at = start + hashes + 1;
    while at < chars.len() {
        let closes = chars[at] == '"'
            && chars[at + 1..]
                .iter()
                .take(hashes)
                .filter(|&&c| c == '#')
                .count()
                == hashes;
        if closes {
            return Some(at + 1 + hashes);
        }
        at += 1;
    }
    Some(at)
}

/// The end of a character literal, or of a lifetime's mark and name.
fn end_of_quote(chars: &[char], start: usize) -> usize {
    match (chars.get(start + 1), chars.get(start + 2)) {
        (Some('\\'), _) => {
            // What follows the backslash may itself be a quote.
            let rest = chars.get(start + 3..).unwrap_or_default();
            start + 4 + rest.iter().take_while(|&&c| c != '\'').count()
        }
        (Some(_), Some('\'')) => start + 3,
        (Some(_), _) => end_of_name(chars, start + 1),
        (None, _) => start + 1,
    }
}
