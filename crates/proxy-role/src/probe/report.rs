use std::time::Duration;

use net_types::Order;
use xmpp_proto::failure::{Failure, Stage};

/// What the attempt wants done or has to tell, in order; the verdict is the last.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Something for the network.
    Order(Order),
    /// A stage is over.
    Finding(Finding),
    /// The attempt is over.
    Verdict(Verdict),
}

/// How one stage went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub stage: Stage,
    /// How.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// What was seen, a line each, in words.
    pub lines: Vec<String>,
}

/// How a stage went, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Passed,
    /// It led on, but somebody should look at it.
    Noted,
    /// It led nowhere; another way may have been tried after it.
    Failed,
}

/// How the attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What kept stanzas from the partner; `None` if nothing did.
    pub failure: Option<Failure>,
    /// The same in words.
    pub words: String,
    /// What to do about it.
    pub fix: Option<String>,
    /// What is good to know whatever came of it, a line each: until when the partner's certificate holds and for what,
    /// and by what the partner would be proved that calls us.
    pub notes: Vec<String>,
}
