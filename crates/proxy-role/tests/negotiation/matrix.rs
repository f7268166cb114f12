//! Every combination of settings and partner, from `matrix.tsv`.

use std::collections::BTreeSet;

use proxy_role::{Direction, Negotiation, Partner, Severity};

use crate::scene::{Certificate, Scene, Script, Way, domain, settings};

/// One line of the table.
#[derive(Debug)]
struct Row {
    line: &'static str,
    /// `None` for settings that are never in force.
    direction: Option<Direction>,
    tls: Negotiation,
    sasl: Negotiation,
    dialback: bool,
    script: Script,
    outcome: &'static str,
}

impl Row {
    fn parse(line: &'static str) -> Self {
        let columns: Vec<&str> = line.split('\t').collect();
        let [direction, tls, sasl, dialback, connection, certificate, external, outcome] = columns[..] else {
            panic!("{line:?} has not eight columns");
        };
        Self {
            line,
            direction: match direction {
                "out" => Some(Direction::Outward),
                "in" => Some(Direction::Inward),
                _ => None,
            },
            tls: Negotiation::parse(tls).unwrap(),
            sasl: Negotiation::parse(sasl).unwrap(),
            dialback: dialback == "yes",
            script: Script {
                way: match connection {
                    "direct" => Way::Direct,
                    "starttls" => Way::StartTls,
                    _ => Way::Clear,
                },
                certificate: match certificate {
                    "untrusted" => Certificate::Untrusted,
                    "wrong-name" => Certificate::WrongName,
                    _ => Certificate::Valid,
                },
                has_external: external == "yes",
                ..Script::GOOD
            },
            outcome,
        }
    }

    fn partner(&self, allow_plaintext: bool) -> Partner {
        Partner {
            tls: self.tls,
            sasl: self.sasl,
            dialback: self.dialback,
            allow_plaintext,
            ..Partner::new(domain("them.example"))
        }
    }

    /// What happens in fact.
    fn run(&self, allow_plaintext: bool) -> Scene {
        let mut scene = Scene::new(settings(self.partner(allow_plaintext)), self.script);
        match self.direction.unwrap() {
            Direction::Outward => scene.send(),
            Direction::Inward => {
                scene.call();
            }
        }
        scene
    }

    /// What the closed form of the eighteen rows says, written down once more.
    fn expected(&self) -> &'static str {
        use Negotiation::{NotSupported, Required};
        let sasl = self.tls != NotSupported && self.sasl != NotSupported;
        let in_tls =
            self.dialback && self.tls != NotSupported && !(self.tls == Required && self.sasl == Required);
        let in_clear = self.dialback && self.tls != Required;
        let Some(direction) = self.direction else { return "invalid" };
        let is_out = direction == Direction::Outward;
        let is_valid = self.script.certificate == Certificate::Valid;
        match self.script.way {
            Way::Direct if self.tls == NotSupported && is_out => "refused dns",
            Way::Direct if self.tls == NotSupported => "refused certificate",
            Way::StartTls if self.tls == NotSupported => "tcp-dialback",
            Way::Clear if in_clear => "tcp-dialback",
            Way::Clear if is_out => "refused tls",
            Way::Clear => "refused dialback",
            Way::Direct | Way::StartTls if is_valid && sasl && self.script.has_external => "sasl",
            Way::Direct | Way::StartTls if is_valid && sasl && !is_out => "certificate",
            Way::Direct | Way::StartTls if in_tls => "tls-dialback",
            Way::Direct | Way::StartTls if is_valid => "refused auth",
            Way::Direct | Way::StartTls => "refused certificate",
        }
    }
}

fn rows() -> Vec<Row> {
    let lines = include_str!("matrix.tsv").lines().filter(|line| !line.starts_with('#')).skip(1);
    lines.map(Row::parse).collect()
}

#[test]
fn the_table_is_complete_and_says_what_the_closed_form_says() {
    let rows = rows();
    let lines: BTreeSet<&str> = rows.iter().map(|row| row.line).collect();
    // Of 18 settings 5 are invalid; the others meet 6 partners by direct TLS, 6 by STARTTLS, and one in
    // clear, in each direction.
    assert_eq!((rows.len(), lines.len()), (5 + 13 * 13 * 2, 5 + 13 * 13 * 2));
    for row in rows {
        assert_eq!(row.outcome, row.expected(), "{}", row.line);
    }
}

#[test]
fn settings_are_invalid_where_the_table_says_so_and_nowhere_else() {
    for row in rows() {
        let mistakes = settings(row.partner(true)).check();
        let errors: Vec<_> = mistakes.iter().filter(|mistake| mistake.severity == Severity::Error).collect();
        assert_eq!(!errors.is_empty(), row.outcome == "invalid", "{}: {errors:?}", row.line);
    }
}

#[test]
fn every_combination_leads_to_what_the_table_says() {
    let rows = rows();
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let direction = row.direction?;
            let scene = row.run(true);
            let outcome = scene.outcome(direction);
            (outcome != row.outcome)
                .then(|| format!("{}\n  in fact: {outcome} {:?}\n  {}", row.line, scene.notices, scene.said))
        })
        .collect();

    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn without_its_confirmation_nothing_crosses_in_clear() {
    let mut met = 0;
    for row in rows().iter().filter(|row| row.outcome == "tcp-dialback") {
        let scene = row.run(false);

        let outcome = scene.outcome(row.direction.unwrap());
        assert!(outcome != "tcp-dialback" && !scene.said.contains("hello"), "{}: {outcome}", row.line);
        met += 1;
    }
    assert!(met > 40, "{met}");
}
