//! A Dockerfile as its instructions: lines that go on, comments in between, stages.

use anyhow::{Result, bail};

/// The file.
#[derive(Debug)]
pub(super) struct Dockerfile {
    pub(super) instructions: Vec<Instruction>,
}

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    /// The line it begins in.
    pub(super) line: usize,
    /// In capitals.
    pub(super) keyword: String,
    /// Its flags: `--from=build`.
    pub(super) flags: Vec<String>,
    /// What follows, on one line.
    pub(super) rest: String,
}

/// What a FROM begins.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) base: String,
    pub(super) name: Option<String>,
    pub(super) instructions: Vec<Instruction>,
}

const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

impl Dockerfile {
    /// Reads one. (No here-documents and no other escape character: ours have none.)
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut instructions = Vec::new();
        let mut open: Option<(usize, String)> = None;
        for (number, line) in (1..).zip(text.lines()) {
            let trimmed = line.trim();
            // Comments and empty lines also stand between the lines of one instruction.
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let (begun, mut whole) = open.take().unwrap_or((number, String::new()));
            if !whole.is_empty() {
                whole.push(' ');
            }
            if let Some(part) = trimmed.strip_suffix('\\') {
                whole.push_str(part.trim_end());
                open = Some((begun, whole));
            } else {
                whole.push_str(trimmed);
                instructions.push(instruction(begun, &whole)?);
            }
        }
        if let Some((line, _)) = open {
            bail!("line {line}: the instruction does not end");
        }
        Ok(Self { instructions })
    }

    /// The stages.
    pub(super) fn stages(&self) -> Vec<Stage> {
        let mut stages: Vec<Stage> = Vec::new();
        for instruction in &self.instructions {
            if instruction.keyword == "FROM" {
                let words: Vec<&str> = instruction.rest.split_whitespace().collect();
                let name =
                    words.iter().position(|word| word.eq_ignore_ascii_case("AS")).and_then(|at| words.get(at + 1));
                let base = words.first().copied().unwrap_or_default().to_owned();
                let name = name.map(|name| (*name).to_owned());
                stages.push(Stage { base, name, instructions: Vec::new() });
            } else if let Some(stage) = stages.last_mut() {
                stage.instructions.push(instruction.clone());
            }
        }
        stages
    }

    /// The commands of every RUN.
    pub(super) fn runs(&self) -> Vec<&str> {
        self.instructions.iter().filter(|i| i.keyword == "RUN").map(|i| i.rest.as_str()).collect()
    }
}

fn instruction(line: usize, text: &str) -> Result<Instruction> {
    let (keyword, mut rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let keyword = keyword.to_ascii_uppercase();
    if !KEYWORDS.contains(&keyword.as_str()) {
        bail!("line {line}: {keyword} is no instruction");
    }
    let mut flags = Vec::new();
    rest = rest.trim_start();
    while rest.starts_with("--") {
        let (flag, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        flags.push(flag.to_owned());
        rest = after.trim_start();
    }
    Ok(Instruction { line, keyword, flags, rest: rest.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_go_over_lines_and_comments() {
        let text = "# syntax\nFROM a:1 AS b\nRUN --mount=type=cache \\\n    one \\\n# between\n    && two\n\ncopy --from=b / /x\n";
        let file = Dockerfile::parse(text).expect("it parses");
        let seen: Vec<_> = file.instructions.iter().map(|i| (i.line, i.keyword.as_str(), i.rest.as_str())).collect();
        assert_eq!(seen, [(2, "FROM", "a:1 AS b"), (3, "RUN", "one && two"), (8, "COPY", "/ /x")]);
        assert_eq!(file.instructions[2].flags, ["--from=b"]);
        let stages = file.stages();
        assert_eq!((stages.len(), stages[0].base.as_str(), stages[0].name.as_deref()), (1, "a:1", Some("b")));
    }

    #[test]
    fn what_is_no_instruction_or_does_not_end_is_refused() {
        assert!(Dockerfile::parse("FRMO a:1").is_err());
        assert!(Dockerfile::parse("RUN a \\\n").is_err());
    }
}
