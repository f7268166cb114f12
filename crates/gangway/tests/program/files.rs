//! What the files of a place are, and what they should be.

use std::path::Path;
use std::process::Output;

use clock_types::Date;
use net::throwaway::Wish;
use net_types::Purpose;

use crate::support::Place;

/// Compares what was made with a file of the project; with `GANGWAY_REWRITE` set, writes it instead.
#[track_caller]
pub fn in_step(file: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("GANGWAY_REWRITE").is_some() {
        std::fs::write(&path, made).expect("the file can be written");
    }

    let written = std::fs::read_to_string(&path).unwrap_or_default();

    if written != made {
        let lines = written.lines().zip(made.lines());
        let differs = lines.filter(|(written, made)| written != made).map(|(_, made)| made).next();
        panic!(
            "{file} is out of step; if it should be so, run `GANGWAY_REWRITE=1 cargo test -p gangway`\n\
             the first other line: {differs:?}\n\n{made}"
        );
    }
}

impl Place {
    /// Puts `NAME.pem` and `NAME.key` there for each, and `ca.pem`.
    pub fn with_certificates(self) -> Self {
        let authority = self.authority();
        let long_ago = [1_577_836_800_000, 1_609_459_200_000].map(Date::from_unix_millis);
        let long_hence = [4_102_444_800_000, 4_133_980_800_000].map(Date::from_unix_millis);
        let now = net::clock::date();
        let good = ["example.com", "edge.example.com", "gateway.example.com"];
        let wishes = [
            ("good", Wish::dns(&good)),
            ("other", Wish::dns(&["other.example"])),
            ("expired", Wish::dns(&["example.com"]).valid(long_ago[0], long_ago[1])),
            ("soon", Wish::dns(&good).valid(now, now.plus(std::time::Duration::from_secs(5 * 86_400)))),
            ("future", Wish::dns(&["example.com"]).valid(long_hence[0], long_hence[1])),
            ("clients", Wish { purposes: vec![Purpose::ClientAuth], ..Wish::dns(&["example.com"]) }),
            ("mail", Wish { purposes: vec![Purpose::Other], ..Wish::dns(&["gateway.example.com"]) }),
        ];
        for (name, wish) in wishes {
            let issued = authority.issue(&wish).expect("a certificate is issued");
            issued.write(&self.path(""), name).expect("the files can be written");
        }
        self
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }
}
