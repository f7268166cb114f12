//! `gangway partner test`: the stages as they come, the verdict, the exit code.

use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;

use proxy_role::{Finding, Outcome, Verdict};
use xmpp_proto::failure::Stage;
use xmpp_types::jid::DomainName;

use crate::cli;
use crate::cli::ask::Form;
use crate::roles::probing;

/// Tests the partner with the settings of `file`.
pub fn run(file: &Path, domain: &str, from: Option<&str>, form: Form) -> ExitCode {
    let (remote, local) = match (parse(domain), from.map(parse).transpose()) {
        (Ok(remote), Ok(local)) => (remote, local),
        (Err(why), _) | (_, Err(why)) => {
            cli::complain(&why);
            return ExitCode::from(cli::UNUSABLE);
        }
    };
    let reading = match cli::read(file) {
        Ok(reading) => reading,
        Err(code) => return code,
    };
    let (findings, seen) = mpsc::channel();
    let tell = move |finding: &Finding| match form {
        // Whoever reads may have gone; the exit code still tells.
        Form::Words => drop(cli::print(&lines(finding))),
        Form::Json => drop(findings.send(finding.clone())),
    };
    match probing::probe(&reading, remote, local, tell) {
        Ok(verdict) => {
            cli::print(&match form {
                Form::Words => conclusion(&verdict),
                Form::Json => json(domain, &seen.try_iter().collect::<Vec<_>>(), &verdict),
            });
            ExitCode::from(code(&verdict))
        }
        Err(why) => {
            cli::complain(&why);
            ExitCode::from(cli::WRONG)
        }
    }
}

fn parse(domain: &str) -> Result<DomainName, String> {
    DomainName::parse(domain).map_err(|why| format!("`{domain}` is no domain: {why}"))
}

/// Returns one stage: its name, how it went, how long it took, and what was seen.
fn lines(finding: &Finding) -> String {
    let outcome = match finding.outcome {
        Outcome::Passed => "ok",
        Outcome::Noted => "LOOK",
        Outcome::Failed => "FAILED",
    };
    let head = format!("{:<12}{outcome:<7}{:>6} ms  ", finding.stage.as_str(), finding.took.as_millis());
    let mut out = String::new();
    for (number, line) in finding.lines.iter().enumerate() {
        let margin = if number == 0 { head.clone() } else { " ".repeat(head.len()) };
        out.push_str(&format!("{margin}{line}\n"));
    }
    out
}

fn conclusion(verdict: &Verdict) -> String {
    let word = if verdict.failure.is_none() { "ok" } else { "FAILED" };
    let fix = verdict.fix.as_ref().map(|fix| format!("what to do: {fix}\n")).unwrap_or_default();
    let notes: String = verdict.notes.iter().map(|note| format!("{note}\n")).collect();
    format!("\n{word}: {}\n{fix}{notes}", verdict.words)
}

fn json(domain: &str, findings: &[Finding], verdict: &Verdict) -> String {
    let stage = |finding: &Finding| admin::TestedStage {
        stage: finding.stage.as_str().to_owned(),
        outcome: match finding.outcome {
            Outcome::Passed => admin::StageOutcome::Passed,
            Outcome::Noted => admin::StageOutcome::Noted,
            Outcome::Failed => admin::StageOutcome::Failed,
        },
        milliseconds: u64::try_from(finding.took.as_millis()).unwrap_or(u64::MAX),
        lines: finding.lines.clone(),
    };
    let test = admin::PartnerTest {
        domain: domain.to_owned(),
        stages: findings.iter().map(stage).collect(),
        failed_at: verdict.failure.as_ref().map(|failure| failure.stage.as_str().to_owned()),
        verdict: verdict.words.clone(),
        fix: verdict.fix.clone(),
        notes: verdict.notes.clone(),
        exit_code: code(verdict),
    };
    serde_json::to_string_pretty(&test).expect("it has no keys but texts") + "\n"
}

/// The exit code is part of what scripts rely on: it is told in the command's help.
fn code(verdict: &Verdict) -> u8 {
    match verdict.failure.as_ref().map(|failure| failure.stage) {
        None => 0,
        Some(Stage::Policy) => 10,
        Some(Stage::Dns) => 11,
        Some(Stage::Tcp) => 12,
        Some(Stage::Tls) => 13,
        Some(Stage::Certificate) => 14,
        Some(Stage::Auth) => 15,
        Some(Stage::Dialback) => 16,
        Some(Stage::Stream) => 17,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_stage_is_shown_with_its_outcome_time_and_what_was_seen() {
        let finding = Finding {
            stage: Stage::Tcp,
            outcome: Outcome::Noted,
            took: Duration::from_millis(31),
            lines: vec!["192.0.2.1:5269: open".into(), "192.0.2.2:5269: connection refused".into()],
        };

        assert_eq!(
            lines(&finding),
            "tcp         LOOK       31 ms  192.0.2.1:5269: open\n                              \
             192.0.2.2:5269: connection refused\n"
        );
    }
}
