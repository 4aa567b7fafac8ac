//! SQL as a list of statements, each a list of words in lower case: as much of it as the rules need.

/// The statements of a script. Comments are gone; a literal or a function's body is one word, `'...'`; a name in double
/// quotes is one word without them; punctuation is a word of its own.
pub fn split(sql: &str) -> Vec<Vec<String>> {
    let mut statements = vec![Vec::new()];
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let (word, length) = next(rest, first);
        match word {
            Some(word) if word == ";" => statements.push(Vec::new()),
            Some(word) => statements.last_mut().expect("never empty").push(word),
            None => {}
        }
        rest = &rest[length..];
    }
    statements.retain(|words| !words.is_empty());
    statements
}

/// The word that `rest` begins with, if it is one, and how many bytes it takes.
fn next(rest: &str, first: char) -> (Option<String>, usize) {
    let until = |from: usize, end: &str| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    if first.is_whitespace() {
        return (None, first.len_utf8());
    }
    if rest.starts_with("--") {
        return (None, until(2, "\n"));
    }
    if rest.starts_with("/*") {
        return (None, until(2, "*/"));
    }
    if first == '\'' {
        // A doubled quote reads as two literals side by side, which is good enough here.
        return (Some("'...'".to_owned()), until(1, "'"));
    }
    if first == '"' {
        let length = until(1, "\"");
        return (Some(rest[1..length].trim_end_matches('"').to_owned()), length);
    }
    if first == '$'
        && let Some(end) = rest[1..].find('$')
        && rest[1..=end].chars().all(|c| c.is_alphanumeric() || c == '_')
    {
        let tag = &rest[..end + 2];
        return (Some("'...'".to_owned()), until(tag.len(), tag));
    }
    let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
    let length = if length == 0 { first.len_utf8() } else { length };
    (Some(rest[..length].to_lowercase()), length)
}

/// The words of a list, at its commas: those inside of brackets do not count.
pub fn items(words: &[String]) -> Vec<&[String]> {
    let (mut items, mut start, mut depth) = (Vec::new(), 0, 0);
    for (index, word) in words.iter().enumerate() {
        match word.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            "," if depth == 0 => {
                items.push(&words[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    items.push(&words[start..]);
    items
}

#[test]
fn statements_are_told_apart_whatever_is_in_literals_comments_and_bodies() {
    let sql = "-- drop table a;\nCreate Table \"B c\" (x text default 'it''s; drop'); /* ; */\n\
               create function f() returns int language sql as $body$ select 1; drop table z; $body$;\nselect $1;";
    let words: Vec<String> = split(sql).iter().map(|statement| statement.join(" ")).collect();
    assert_eq!(
        words,
        [
            "create table B c ( x text default '...' '...' )",
            "create function f ( ) returns int language sql as '...'",
            "select $ 1",
        ]
    );
}

#[test]
fn a_list_is_split_at_its_own_commas_only() {
    let words: Vec<String> = "a numeric ( 1 , 2 ) , b text".split(' ').map(str::to_owned).collect();
    let items: Vec<String> = items(&words).iter().map(|item| item.join(" ")).collect();
    assert_eq!(items, ["a numeric ( 1 , 2 )", "b text"]);
}
