//! How states of one side are called on the other.

use std::collections::BTreeMap;
use std::fmt;

/// How available an available resource is (RFC 6121 §4.7.2.1); the most available first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Show {
    /// Interested in chatting.
    Chat,
    /// Available, which no word says.
    #[default]
    Available,
    /// Away for a moment.
    Away,
    /// Away for longer ("extended away").
    Xa,
    /// Busy ("do not disturb").
    Dnd,
}

impl Show {
    /// Every state there is.
    pub const ALL: [Self; 5] = [Self::Chat, Self::Available, Self::Away, Self::Xa, Self::Dnd];

    /// Returns the word of RFC 6121; availability has none.
    #[must_use]
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::Chat => Some("chat"),
            Self::Available => None,
            Self::Away => Some("away"),
            Self::Xa => Some("xa"),
            Self::Dnd => Some("dnd"),
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|show| show.word() == Some(word))
    }

    /// Returns the name that settings use: the word, or `available`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.word() {
            Some(word) => word,
            None => "available",
        }
    }
}

/// What an activity of SIP is in XMPP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) show: Show,
    /// The status text, where the document gives none.
    pub(super) label: Option<String>,
}

/// The mapping between states, with its defaults; settings may change any row.
///
/// | show | activity | activity | show, label |
/// |---|---|---|---|
/// | `away`, `xa` | `away` | `away`, `appointment`, `meal`, `steering`, `travel`, … | `away` |
/// | `dnd` | `busy` | `vacation`, `permanent-absence`, `sleeping` | `xa` |
/// | none, `chat` | none | `busy`, `meeting`, `on-the-phone`, `presentation`, … | `dnd` |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateTable {
    /// The RPID activity (RFC 4480 §3.2) of each state but `chat` and `available`.
    away: &'static str,
    xa: &'static str,
    dnd: &'static str,
    activities: BTreeMap<String, Meaning>,
}

/// Why a row of the table is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadState {
    /// What is wrong and what would be right.
    pub reason: String,
}

impl fmt::Display for BadState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.reason)
    }
}

impl std::error::Error for BadState {}

/// Activities of RFC 4480 §3.2, of its draft and of Microsoft's tokens, with what they are by default.
const ACTIVITIES: &[(&str, Show, &str)] = &[
    ("appointment", Show::Away, "Appointment"),
    ("away", Show::Away, ""),
    ("be-right-back", Show::Away, "Be right back"),
    ("breakfast", Show::Away, "Breakfast"),
    ("busy", Show::Dnd, "Busy"),
    ("dinner", Show::Away, "Dinner"),
    ("holiday", Show::Away, "Holiday"),
    ("in-a-conference", Show::Dnd, "In a conference"),
    ("in-a-meeting", Show::Dnd, "In a meeting"),
    ("in-presentation", Show::Dnd, "Presenting"),
    ("in-transit", Show::Available, "In transit"),
    ("looking-for-work", Show::Available, "Looking for work"),
    ("lunch", Show::Away, "Lunch"),
    ("meal", Show::Away, "Meal"),
    ("meeting", Show::Dnd, "In a meeting"),
    ("on-the-phone", Show::Dnd, "On the phone"),
    ("other", Show::Available, ""),
    ("out-of-office", Show::Xa, "Out of office"),
    ("performance", Show::Dnd, "At a performance"),
    ("permanent-absence", Show::Xa, "Permanently absent"),
    ("playing", Show::Away, "Playing"),
    ("presentation", Show::Dnd, "Presentation"),
    ("shopping", Show::Away, "Shopping"),
    ("sleeping", Show::Xa, "Sleeping"),
    ("spectator", Show::Away, "Watching an event"),
    ("steering", Show::Away, "Driving"),
    ("travel", Show::Away, "Travelling"),
    ("tv", Show::Away, "Watching television"),
    ("unknown", Show::Available, ""),
    ("urgent-interruptions-only", Show::Dnd, "Do not disturb"),
    ("vacation", Show::Xa, "On vacation"),
    ("working", Show::Available, "Working"),
    ("worship", Show::Dnd, "Worship"),
];

impl Default for StateTable {
    fn default() -> Self {
        let activities = ACTIVITIES.iter().map(|(name, show, label)| {
            let label = Some(*label).filter(|label| !label.is_empty()).map(str::to_owned);
            ((*name).to_owned(), Meaning { show: *show, label })
        });
        Self { away: "away", xa: "away", dnd: "busy", activities: activities.collect() }
    }
}

impl StateTable {
    /// Sets the activity that stands for a state towards SIP.
    ///
    /// # Errors
    /// The state has no activity, or the activity is not one of RFC 4480.
    pub fn set_activity(&mut self, show: Show, activity: &str) -> Result<(), BadState> {
        let Some(activity) = rpid(activity) else {
            let reason = format!("`{activity}` is no activity of RFC 4480, such as away, busy or meeting");
            return Err(BadState { reason });
        };
        let slot = match show {
            Show::Away => &mut self.away,
            Show::Xa => &mut self.xa,
            Show::Dnd => &mut self.dnd,
            Show::Available | Show::Chat => {
                let reason = format!("`{}` is shown as open, without an activity", show.name());
                return Err(BadState { reason });
            }
        };
        *slot = activity;
        Ok(())
    }

    /// Sets what an activity is towards XMPP.
    ///
    /// # Errors
    /// The activity is not a name that a document can hold.
    pub fn set_show(&mut self, activity: &str, show: Show, label: Option<&str>) -> Result<(), BadState> {
        let named = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if activity.is_empty() || !activity.chars().all(named) {
            return Err(BadState { reason: format!("`{activity}` is no name of an activity") });
        }
        let label = label.filter(|label| !label.is_empty()).map(str::to_owned);
        self.activities.insert(activity.to_ascii_lowercase(), Meaning { show, label });
        Ok(())
    }

    /// Returns the RPID activity of a state.
    pub(super) const fn activity(&self, show: Show) -> Option<&'static str> {
        match show {
            Show::Chat | Show::Available => None,
            Show::Away => Some(self.away),
            Show::Xa => Some(self.xa),
            Show::Dnd => Some(self.dnd),
        }
    }

    /// Returns what an activity means; nothing for one that nobody has heard of.
    pub(super) fn meaning(&self, activity: &str) -> Option<&Meaning> {
        self.activities.get(activity.trim().to_ascii_lowercase().as_str())
    }
}

/// Returns the activity as RFC 4480 names it, where it is one that says how available somebody is.
fn rpid(activity: &str) -> Option<&'static str> {
    const NOT_IN_RFC_4480: &[&str] =
        &["be-right-back", "in-a-conference", "in-a-meeting", "in-presentation", "out-of-office"];
    let (name, ..) = ACTIVITIES.iter().find(|(name, ..)| *name == activity)?;
    let vague = matches!(*name, "other" | "unknown" | "urgent-interruptions-only");
    (!vague && !NOT_IN_RFC_4480.contains(name)).then_some(*name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_and_do_not_disturb_are_each_other() {
        let table = StateTable::default();

        assert_eq!(table.activity(Show::Dnd), Some("busy"));
        assert_eq!(table.meaning("Busy").unwrap().show, Show::Dnd);
        assert_eq!(table.meaning("urgent-interruptions-only").unwrap().show, Show::Dnd);
    }

    #[test]
    fn a_row_can_be_changed_and_a_wrong_one_says_why_not() {
        let mut table = StateTable::default();
        table.set_show("busy", Show::Away, Some("Busy")).unwrap();
        table.set_activity(Show::Dnd, "meeting").unwrap();

        assert_eq!(table.meaning("busy").unwrap().show, Show::Away);
        assert_eq!(table.activity(Show::Dnd), Some("meeting"));
        assert!(table.set_activity(Show::Chat, "busy").is_err());
        assert!(table.set_activity(Show::Dnd, "asleep").is_err());
        assert!(table.set_show("<x>", Show::Away, None).is_err());
    }

    #[test]
    fn the_activities_are_sorted_so_that_each_stands_once() {
        assert!(ACTIVITIES.is_sorted_by(|a, b| a.0 < b.0));
    }
}
