//! docker-compose.yml as far as it is written in: maps and lists in lines, and what is on one line in JSON. Whatever else YAML has is an
//! error here, so nothing is read that is not understood.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value};

/// A line that counts.
struct Line<'a> {
    number: usize,
    indent: usize,
    text: &'a str,
}

/// Reads a file.
pub(super) fn parse(text: &str) -> Result<Value> {
    let numbered = (1..).zip(text.lines());
    let lines: Vec<Line<'_>> = numbered
        .map(|(number, line)| Line { number, indent: line.len() - line.trim_start().len(), text: line.trim() })
        .filter(|line| !line.text.is_empty() && !line.text.starts_with('#'))
        .collect();
    let mut reader = Reader { lines: &lines, at: 0, anchors: Map::new() };
    let value = reader.block(0)?;
    ensure!(
        reader.at == lines.len(),
        "line {}: it is indented otherwise than what it belongs to",
        lines[reader.at].number
    );
    Ok(value)
}

struct Reader<'a> {
    lines: &'a [Line<'a>],
    at: usize,
    anchors: Map<String, Value>,
}

impl<'a> Reader<'a> {
    fn next(&self, indent: usize) -> Option<&'a Line<'a>> {
        self.lines.get(self.at).filter(|line| line.indent == indent)
    }

    fn block(&mut self, indent: usize) -> Result<Value> {
        if self.next(indent).is_some_and(|line| line.text.starts_with("- ")) {
            self.list(indent)
        } else {
            self.map(indent)
        }
    }

    fn list(&mut self, indent: usize) -> Result<Value> {
        let mut list = Vec::new();
        while let Some(line) = self.next(indent) {
            let item = line.text.strip_prefix("- ").with_context(|| format!("line {}: an item", line.number))?;
            list.push(self.scalar(line.number, item)?);
            self.at += 1;
        }
        Ok(Value::Array(list))
    }

    fn map(&mut self, indent: usize) -> Result<Value> {
        let (mut own, mut merged) = (Map::new(), Map::new());
        while let Some(line) = self.next(indent) {
            let (key, rest) = line.text.split_once(':').with_context(|| format!("line {}: a key", line.number))?;
            let mut rest = rest.trim();
            let mut anchor = None;
            if let Some(named) = rest.strip_prefix('&') {
                let (name, after) = named.split_once(' ').unwrap_or((named, ""));
                (anchor, rest) = (Some(name), after.trim());
            }
            self.at += 1;
            let value = match self.lines.get(self.at).filter(|next| rest.is_empty() && next.indent > indent) {
                Some(next) => self.block(next.indent)?,
                None => self.scalar(line.number, rest)?,
            };
            if let Some(name) = anchor {
                self.anchors.insert(name.to_owned(), value.clone());
            }
            if key == "<<" {
                merged = value.as_object().cloned().with_context(|| format!("line {}: a map", line.number))?;
            } else {
                ensure!(own.insert(key.to_owned(), value).is_none(), "line {}: {key} comes twice", line.number);
            }
        }
        merged.extend(own);
        Ok(Value::Object(merged))
    }

    fn scalar(&self, line: usize, text: &str) -> Result<Value> {
        match text.chars().next() {
            None => bail!("line {line}: there is nothing"),
            Some('*') => self.anchors.get(&text[1..]).cloned().with_context(|| format!("line {line}: no such anchor")),
            Some('"' | '[' | '{') => serde_json::from_str(text).with_context(|| format!("line {line}: no JSON")),
            Some('\'' | '|' | '>' | '!' | '&' | '%' | '@' | '`') => bail!("line {line}: not read here"),
            Some(_) if text.contains(" #") || text.contains(": ") => bail!("line {line}: not read here"),
            Some(_) => Ok(Value::String(text.to_owned())),
        }
    }
}

#[test]
fn what_is_written_is_read_and_the_rest_refused() -> Result<()> {
    let text = "a: &x\n  b: \"1\"\n  c: [\"d\"]\n# e\nf:\n  <<: *x\n  b: two\ng:\n  - \"h:i\"\n  - j\nk: {}\n";
    let read = parse(text)?;
    assert_eq!(
        read,
        serde_json::json!({
            "a": {"b": "1", "c": ["d"]}, "f": {"b": "two", "c": ["d"]}, "g": ["h:i", "j"], "k": {},
        })
    );
    for bad in ["a: |\n  b\n", "a: 'b'\n", "a: b # c\n", "a:\n  b: c\n d: e\n", "a: *x\n", "a: b\na: c\n", "a:\n"] {
        assert!(parse(bad).is_err(), "{bad:?}");
    }
    Ok(())
}
