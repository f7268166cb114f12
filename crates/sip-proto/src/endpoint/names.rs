//! Answers of the DNS, kept for a while, and who waits for the others.

use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::time::Duration;

use clock_types::{Moment, Now};
use net_types::{Answer, Failure, QueryId, Question};
use siphasher::sip::SipHasher13;

/// What is known of names.
#[derive(Debug, Default)]
pub struct Names {
    answers: hashbrown::HashMap<Question, Result<Answer, Failure>, BuildHasherDefault<SipHasher13>>,
    /// In the order they came.
    kept: VecDeque<(Moment, Question)>,
    asked: BTreeMap<QueryId, Asked>,
}

#[derive(Debug)]
struct Asked {
    question: Question,
    waiting: Vec<u64>,
}

/// What a question leads to.
#[derive(Debug)]
pub enum Known {
    Answer(Result<Answer, Failure>),
    /// It is asked already; the asker waits with the others.
    Waiting,
    Unknown,
}

impl Names {
    pub fn ask(&mut self, question: &Question, asker: u64, now: Now) -> Known {
        self.forget_old(now);
        if let Some(answer) = self.answers.get(question) {
            return Known::Answer(answer.clone());
        }
        match self.asked.values_mut().find(|asked| asked.question == *question) {
            Some(asked) => {
                asked.waiting.push(asker);
                Known::Waiting
            }
            None => Known::Unknown,
        }
    }

    pub fn asked(&mut self, query: QueryId, question: Question, asker: u64) {
        self.asked.insert(query, Asked { question, waiting: vec![asker] });
    }

    /// Takes an answer and returns the question and who waits for it. A failure other than "no such
    /// name" is not kept: the next request asks again.
    pub fn heard(
        &mut self,
        query: QueryId,
        answer: &Result<Answer, Failure>,
        keep: Duration,
        max: usize,
        now: Now,
    ) -> Option<(Question, Vec<u64>)> {
        let Asked { question, waiting } = self.asked.remove(&query)?;
        let is_lasting = match answer {
            Ok(_) | Err(Failure::NoSuchName) => true,
            Err(Failure::Unreachable(_) | Failure::ServerFailed(_) | Failure::Bogus(_)) => false,
        };
        if is_lasting {
            if self.kept.len() >= max {
                self.forget_oldest();
            }
            self.answers.insert(question.clone(), answer.clone());
            self.kept.push_back((now.moment + keep, question.clone()));
        }
        Some((question, waiting))
    }

    pub fn has_asked(&self, query: QueryId) -> bool {
        self.asked.contains_key(&query)
    }

    fn forget_old(&mut self, now: Now) {
        while self.kept.front().is_some_and(|(until, _)| *until <= now.moment) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, question)) = self.kept.pop_front() {
            self.answers.remove(&question);
        }
    }
}
