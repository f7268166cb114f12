//! How often what could not cross, for `gangway status`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gateway_role::Notice;
use translate::Loss;

/// A counter for each loss, since the start.
#[derive(Clone, Debug)]
pub struct Losses(Arc<[AtomicU64]>);

impl Default for Losses {
    fn default() -> Self {
        Self(Loss::ALL.iter().map(|_| AtomicU64::new(0)).collect())
    }
}

impl Losses {
    /// Takes what the gateway tells.
    pub fn hear(&self, notice: &Notice) {
        match notice {
            Notice::Lost { loss, .. } => self.count(*loss),
            Notice::WatchLost { losses, .. } => losses.iter().for_each(|loss| self.count(loss)),
            _ => {}
        }
    }

    fn count(&self, loss: Loss) {
        if let Some(at) = Loss::ALL.iter().position(|known| *known == loss) {
            self.0[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns those that there were.
    pub fn counted(&self) -> Vec<admin::Loss> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        let named = Loss::ALL.iter().zip(counts).filter(|(_, times)| *times > 0);
        named.map(|(loss, times)| admin::Loss { what: loss.words().to_owned(), times }).collect()
    }
}

#[cfg(test)]
mod tests {
    use gateway_role::{Direction, Private, Trace};

    use super::*;

    #[test]
    fn each_loss_is_counted_under_its_name() {
        let losses = Losses::default();
        let trace = Arc::new(Trace {
            direction: Direction::ToSip,
            from: Private(String::new()),
            to: Private(String::new()),
            stanza: String::new(),
            call: String::new(),
        });

        for loss in [Loss::Formatting, Loss::Hints, Loss::Hints] {
            losses.hear(&Notice::Lost { trace: trace.clone(), loss });
        }
        losses.hear(&Notice::Arrived(trace));

        let counted: Vec<_> = losses.counted().into_iter().map(|loss| (loss.what, loss.times)).collect();
        assert_eq!(counted, [("formatting".to_owned(), 1), ("hints".to_owned(), 2)]);
    }
}
