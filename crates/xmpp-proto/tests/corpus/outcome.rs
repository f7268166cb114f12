//! What an input led to.

/// How the octets are divided among reads.
#[derive(Clone, Copy, Debug)]
pub enum Split {
    Whole,
    Chunks(usize),
    At(usize),
}

/// What was seen from outside.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// The condition of the stream error that we sent.
    pub stream_error: Option<String>,
    /// The stanzas that were accepted.
    pub stanzas: Vec<String>,
    /// The conditions of the error stanzas that we answered with.
    pub answers: Vec<String>,
    /// Whether features were sent.
    pub has_features: bool,
    /// Whether we closed.
    pub is_over: bool,
    /// Whether a stream of ours became ready.
    pub is_ready: bool,
    /// All that we sent.
    pub sent: String,
}

impl Outcome {
    /// Looks up in what was sent whether it holds features or a stream error.
    pub fn read_sent(&mut self) {
        self.has_features = self.sent.contains("<stream:features>");
        let error = self.sent.split_once("<stream:error><");
        self.stream_error = error
            .map(|(_, condition)| condition.split([' ', '/', '>']).next().unwrap_or_default().to_string());
    }
}
