//! Rows of the mapping between states of presence, as they are written in the file.

use translate::presence::{Show, StateTable};

/// Reads `activity: state` or `activity: state, words`, and puts it into the table.
///
/// # Errors
/// Says what is wrong and what would be right.
pub fn see(row: &str, table: &mut StateTable) -> Result<(), String> {
    let (activity, rest) = row.split_once(':').ok_or("write it as \"busy: away\"")?;
    let (state, words) = match rest.split_once(',') {
        Some((state, words)) => (state, Some(words.trim())),
        None => (rest, None),
    };
    table.set_show(activity.trim(), show(state)?, words).map_err(|why| why.reason)
}

/// Reads `state: activity`, and puts it into the table.
///
/// # Errors
/// Says what is wrong and what would be right.
pub fn present(row: &str, table: &mut StateTable) -> Result<(), String> {
    let (state, activity) = row.split_once(':').ok_or("write it as \"dnd: meeting\"")?;
    table.set_activity(show(state)?, activity.trim()).map_err(|why| why.reason)
}

fn show(state: &str) -> Result<Show, String> {
    let state = state.trim();
    let known = Show::ALL.into_iter().find(|show| show.name() == state);
    known.ok_or_else(|| {
        let names: Vec<&str> = Show::ALL.iter().map(|show| show.name()).collect();
        format!("`{state}` is no state of XMPP; there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_wrong_ones_say_what_would_be_right() {
        let mut table = StateTable::default();

        assert_eq!(see("busy: away, In a meeting", &mut table), Ok(()));
        assert_eq!(present("dnd: meeting", &mut table), Ok(()));
        assert_ne!(table, StateTable::default());
        assert!(see("busy", &mut table).unwrap_err().contains("busy: away"));
        assert!(see("busy: gone", &mut table).unwrap_err().contains("available"));
        assert!(present("available: busy", &mut table).unwrap_err().contains("open"));
    }
}
