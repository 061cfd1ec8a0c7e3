//! Rules of hadolint's, by their names there: those that a Dockerfile without a package manager could break, and those it would break if
//! it had one. What else hadolint checks (the shell's words, by `ShellCheck`) is not checked here.

use super::dockerfile::{Dockerfile, Instruction, Stage};

/// Each breach, with its line.
pub(super) fn check(file: &Dockerfile) -> Vec<String> {
    let mut findings = Vec::new();
    if file.instructions.first().is_none_or(|first| !["FROM", "ARG"].contains(&first.keyword.as_str())) {
        findings.push("DL3061: it begins with FROM or ARG".to_owned());
    }
    let stages = file.stages();
    for (index, stage) in stages.iter().enumerate() {
        let names: Vec<&str> = stages[..index].iter().filter_map(|stage| stage.name.as_deref()).collect();
        base(stage, &names, &mut findings);
        once(stage, &mut findings);
        for instruction in &stage.instructions {
            findings.extend(
                breaches(instruction, &names).into_iter().map(|rule| format!("line {}: {rule}", instruction.line)),
            );
        }
        if names.contains(&stage.name.as_deref().unwrap_or_default()) {
            findings.push(format!("DL3024: two stages are called {:?}", stage.name));
        }
    }
    if let Some(last) = stages.last() {
        user(last, &stages, &mut findings);
    }
    findings
}

fn base(stage: &Stage, earlier: &[&str], findings: &mut Vec<String>) {
    if earlier.contains(&stage.base.as_str()) || stage.base == "scratch" || stage.base.contains('@') {
        return;
    }
    let image = stage.base.rsplit('/').next().unwrap_or_default();
    match image.split_once(':') {
        None => findings.push(format!("DL3006: {} has no tag", stage.base)),
        Some((_, "latest")) => findings.push(format!("DL3007: {} may be anything tomorrow", stage.base)),
        Some(_) => {}
    }
}

fn once(stage: &Stage, findings: &mut Vec<String>) {
    for (keyword, rule) in [("CMD", "DL4003"), ("ENTRYPOINT", "DL4004"), ("HEALTHCHECK", "DL3012")] {
        let count = stage.instructions.iter().filter(|instruction| instruction.keyword == keyword).count();
        if count > 1 {
            findings.push(format!("{rule}: {count} {keyword} in the stage {:?}, of which the last counts", stage.name));
        }
    }
}

/// What runs at last is not root: the last USER on the way down to the base.
fn user(last: &Stage, stages: &[Stage], findings: &mut Vec<String>) {
    let mut stage = Some(last);
    while let Some(here) = stage {
        if let Some(user) = here.instructions.iter().rfind(|instruction| instruction.keyword == "USER") {
            if matches!(user.rest.split(':').next(), Some("root" | "0")) {
                findings.push(format!("line {}: DL3002: the last USER is root", user.line));
            }
            return;
        }
        stage = stages.iter().find(|other| other.name.as_deref() == Some(here.base.as_str()));
    }
    findings.push("DL3002: no USER is named, so it is the base's".to_owned());
}

fn breaches(instruction: &Instruction, stages: &[&str]) -> Vec<&'static str> {
    let rest = instruction.rest.as_str();
    let mut found = Vec::new();
    let mut when = |breach: bool, rule| {
        if breach {
            found.push(rule);
        }
    };
    match instruction.keyword.as_str() {
        "WORKDIR" => when(!rest.starts_with(['/', '$']), "DL3000: WORKDIR is absolute"),
        "MAINTAINER" => when(true, "DL4000: MAINTAINER is deprecated"),
        "ADD" => when(!rest.contains("://") && !rest.contains(".tar"), "DL3020: COPY for files and folders"),
        "CMD" | "ENTRYPOINT" => when(!is_json(rest), "DL3025: CMD and ENTRYPOINT in JSON, without a shell"),
        "HEALTHCHECK" => {
            let command = rest.strip_prefix("CMD").map(str::trim);
            when(
                command.is_some_and(|command| !is_json(command)),
                "DL3025: HEALTHCHECK's CMD in JSON, without a shell",
            );
        }
        "EXPOSE" => when(
            rest.split_whitespace().any(|port| port.split('/').next().is_none_or(|port| port.parse::<u16>().is_err())),
            "DL3011: ports are 0 to 65535",
        ),
        "COPY" => {
            let words: Vec<&str> = rest.split_whitespace().collect();
            when(words.len() > 2 && !rest.ends_with('/'), "DL3021: several sources need a folder with / at its end");
            let from = instruction.flags.iter().find_map(|flag| flag.strip_prefix("--from="));
            when(
                from.is_some_and(|from| !stages.contains(&from) && !from.contains([':', '/'])),
                "DL3022: --from names an earlier stage",
            );
        }
        "RUN" => run(rest, &mut when),
        _ => {}
    }
    found
}

fn run(command: &str, when: &mut impl FnMut(bool, &'static str)) {
    let words: Vec<&str> = command.split_whitespace().collect();
    when(words.contains(&"sudo"), "DL3004: no sudo");
    when(words.first() == Some(&"cd"), "DL3003: WORKDIR, not cd");
    when(
        words
            .iter()
            .any(|word| ["ssh", "vim", "shutdown", "service", "ps", "free", "top", "kill", "mount"].contains(word)),
        "DL3001: a command without a point in a container",
    );
    when(words.windows(2).any(|pair| pair == ["apt", "install"]), "DL3027: apt-get, not apt");
    when(words.windows(2).any(|pair| pair == ["apt-get", "upgrade"]), "DL3005: no apt-get upgrade");
    if words.windows(2).any(|pair| pair == ["apt-get", "install"]) {
        when(!words.iter().any(|word| ["-y", "-qq", "--yes"].contains(word)), "DL3014: apt-get install --yes");
        when(!words.contains(&"--no-install-recommends"), "DL3015: --no-install-recommends");
        when(!command.contains("/var/lib/apt/lists"), "DL3009: the lists are deleted");
    }
    when(
        command.contains(" | ") && !command.contains("pipefail"),
        "DL4006: a pipe's first command fails unnoticed without pipefail",
    );
}

/// A JSON array of at least one text.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<Vec<String>>(text).is_ok_and(|words| !words.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> String {
        let findings = check(&Dockerfile::parse(text).expect("it parses"));
        findings
            .iter()
            .filter_map(|f| Some(f.split_at(f.find("DL")?).1.split(':').next()?.to_owned()))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn each_breach_is_found_by_its_name() {
        let with = |line: &str| found(&format!("FROM a:1 AS x\nUSER 1\n{line}\n"));
        for (line, rule) in [
            ("WORKDIR src", "DL3000"),
            ("RUN vim x", "DL3001"),
            ("USER root", "DL3002"),
            ("USER 0:0", "DL3002"),
            ("RUN cd /x && y", "DL3003"),
            ("RUN sudo x", "DL3004"),
            ("RUN apt-get upgrade", "DL3005"),
            ("FROM b\nUSER 1", "DL3006"),
            ("FROM registry:5000/b\nUSER 1", "DL3006"),
            ("FROM b:latest\nUSER 1", "DL3007"),
            ("RUN apt-get install --yes --no-install-recommends x", "DL3009"),
            ("RUN apt-get install x", "DL3014 DL3015 DL3009"),
            ("EXPOSE 80000", "DL3011"),
            ("HEALTHCHECK CMD [\"a\"]\nHEALTHCHECK CMD [\"b\"]", "DL3012"),
            ("ADD a b", "DL3020"),
            ("COPY a b c", "DL3021"),
            ("COPY --from=y a b", "DL3022"),
            ("FROM b:1 AS x\nUSER 1", "DL3024"),
            ("CMD a b", "DL3025"),
            ("HEALTHCHECK --interval=5s CMD a", "DL3025"),
            ("RUN apt install x", "DL3027"),
            ("MAINTAINER me", "DL4000"),
            ("CMD [\"a\"]\nCMD [\"b\"]", "DL4003"),
            ("ENTRYPOINT [\"a\"]\nENTRYPOINT [\"b\"]", "DL4004"),
            ("RUN a | b", "DL4006"),
        ] {
            assert_eq!(with(line), rule, "{line}");
        }
        assert_eq!(found("FROM a:1\nCMD [\"a\"]"), "DL3002", "no USER at all");
        assert_eq!(found("USER 1\nFROM a:1\nUSER 1"), "DL3061");
    }

    #[test]
    fn what_is_good_is_not_found_fault_with() {
        let good = "ARG V=1\nFROM a:$V AS x\nFROM x AS y\nUSER 1:1\nFROM y\nWORKDIR /a\nCOPY --from=x a b /c/\nEXPOSE 80 443/tcp\n\
                    HEALTHCHECK --interval=5s CMD [\"a\"]\nCMD [\"a\", \"b\"]\n";
        assert_eq!(found(good), "");
    }
}
