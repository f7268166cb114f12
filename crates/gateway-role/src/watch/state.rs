//! What a watch looks like to an operator.

use std::sync::Arc;

use clock_types::{Date, Moment};

use super::record::{Authorisation, WatchDirection};
use crate::conversation::Pair;

/// One watch, explained: why its watcher sees what he sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchState {
    /// Who watches.
    pub direction: WatchDirection,
    /// Between whom.
    pub pair: Arc<Pair>,
    /// Whether the watched user allows it.
    pub authorisation: Authorisation,
    /// When each dialog ends unless it is refreshed.
    pub dialogs: Vec<Moment>,
    /// When something will be tried or refreshed next.
    pub next: Option<Moment>,
    /// What the watcher is shown, in words.
    pub shown: String,
    /// When the last word about the watched user came.
    pub heard: Option<Date>,
    /// What went wrong last, if it has not come right since.
    pub trouble: Option<String>,
    /// Why the watched side is not asked, though nobody forbids it; in words.
    pub held: Option<String>,
    /// Whether the watcher sees something else than he should: it is allowed, and there is no dialog that says so.
    pub is_wrong: bool,
}
