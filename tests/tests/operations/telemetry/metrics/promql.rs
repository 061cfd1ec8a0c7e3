//! As much of `PromQL` as it takes to find the metrics and labels of an expression: words, strings, brackets.

use std::iter::Peekable;
use std::str::Chars;

use anyhow::{Result, bail, ensure};

/// What an expression uses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Use {
    /// Metrics, each with the labels it is asked for by.
    pub(super) metrics: Vec<(String, Vec<String>)>,
    /// The labels that are grouped or matched by.
    pub(super) groupings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text,
    Mark(char),
}

/// Words after which labels stand in parentheses.
const GROUPING: [&str; 7] = ["by", "without", "on", "ignoring", "group_left", "group_right", "label_replace"];

/// Words that are neither metrics nor functions.
const WORDS: [&str; 7] = ["and", "or", "unless", "bool", "offset", "atan2", "inf"];

fn tokens(expression: &str) -> Result<Vec<Token>> {
    let mut chars = expression.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(&c) = chars.peek() {
        if c.is_ascii_alphabetic() || c == '_' || c == ':' {
            tokens.push(Token::Word(word(&mut chars)));
        } else if c.is_ascii_digit() {
            // A number, with its unit or exponent: 5m, 1e3, 0.99.
            while chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '.').is_some() {}
        } else if c == '"' || c == '\'' {
            text(&mut chars)?;
            tokens.push(Token::Text);
        } else {
            chars.next();
            if !c.is_whitespace() {
                tokens.push(Token::Mark(c));
            }
        }
    }
    Ok(tokens)
}

fn word(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut word = String::new();
    while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == ':') {
        word.push(c);
    }
    word
}

fn text(chars: &mut Peekable<Chars<'_>>) -> Result<()> {
    let quote = chars.next();
    while let Some(c) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if Some(c) == quote {
            return Ok(());
        }
    }
    bail!("a text does not end")
}

/// Reads an expression.
pub(super) fn uses(expression: &str) -> Result<Use> {
    let tokens = tokens(expression)?;
    let mut found = Use::default();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let next = tokens.get(at);
        match token {
            // A range: nothing in it is a metric.
            Token::Mark('[') => at = after(&tokens, at, ']')?,
            Token::Mark('{') => {
                let end = after(&tokens, at, '}')?;
                let Some((_, labels)) = found.metrics.last_mut() else { bail!("labels of nothing") };
                labels.extend(names(&tokens[at..end]));
                at = end;
            }
            Token::Word(word) if GROUPING.contains(&word.as_str()) => {
                ensure!(next == Some(&Token::Mark('(')), "{word} without labels");
                let end = after(&tokens, at, ')')?;
                found.groupings.extend(names(&tokens[at..end]));
                at = end;
            }
            Token::Word(word) if WORDS.contains(&word.as_str()) => {}
            Token::Word(word) => {
                let function = next == Some(&Token::Mark('('));
                let aggregation = matches!(next, Some(Token::Word(next)) if GROUPING.contains(&next.as_str()));
                if !function && !aggregation {
                    found.metrics.push((word.clone(), Vec::new()));
                }
            }
            Token::Text | Token::Mark(_) => {}
        }
    }
    Ok(found)
}

fn after(tokens: &[Token], at: usize, close: char) -> Result<usize> {
    let length = tokens[at..].iter().position(|token| *token == Token::Mark(close));
    length.map(|length| at + length + 1).ok_or_else(|| anyhow::anyhow!("{close} is missing"))
}

fn names(tokens: &[Token]) -> impl Iterator<Item = String> {
    tokens.iter().filter_map(|token| match token {
        Token::Word(word) => Some(word.clone()),
        Token::Text | Token::Mark(_) => None,
    })
}

/// The names of the labels between braces.
pub(super) fn matchers(labels: &str) -> Vec<String> {
    tokens(labels).map(|tokens| names(&tokens).collect()).unwrap_or_default()
}

#[test]
fn metrics_and_labels_are_found() {
    let found = uses(
        r#"histogram_quantile(0.99, sum by (le, source) (rate(a_bucket{x="}b", y=~"c|d"}[$__rate_interval]))) / on (job) b > 1e3 and c"#,
    );
    let expected = Use {
        metrics: vec![
            ("a_bucket".to_owned(), vec!["x".to_owned(), "y".to_owned()]),
            ("b".to_owned(), Vec::new()),
            ("c".to_owned(), Vec::new()),
        ],
        groupings: ["le", "source", "job"].map(str::to_owned).into(),
    };
    assert_eq!(found.expect("well-formed"), expected);
}

#[test]
fn what_does_not_end_is_an_error() {
    for bad in ["a{x=\"y", "a{x=\"y\"", "rate(a[5m)", "sum by le (a)"] {
        assert!(uses(bad).is_err(), "{bad}");
    }
}
