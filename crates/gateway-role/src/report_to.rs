//! What is needed to report a late failure to a SIP user, as it is kept beside the message.

use std::fmt;

use sip_types::Uri;
use translate::message::NotificationRequest;

/// Whom to tell, and in which form he asked to be told. Kept as lines, which none of the parts can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportTo {
    /// The sender.
    pub sender: Uri,
    /// What the message's envelope asked for (RFC 5438).
    pub notification: Option<NotificationRequest>,
}

impl ReportTo {
    /// Reads what [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let sender = Uri::parse(lines.next()?).ok()?;
        let notification = match (lines.next(), lines.next()) {
            (Some(message_id), Some(date_time)) => Some(NotificationRequest {
                message_id: message_id.to_owned(),
                date_time: date_time.to_owned(),
                negative: true,
                positive: false,
                display: false,
            }),
            _ => None,
        };
        Some(Self { sender, notification })
    }
}

impl fmt::Display for ReportTo {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.sender)?;
        match &self.notification {
            Some(asked)
                if asked.negative && !asked.message_id.contains('\n') && !asked.date_time.contains('\n') =>
            {
                write!(out, "\n{}\n{}", asked.message_id, asked.date_time)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_back() {
        let sender = Uri::parse("sip:bob@s.example").unwrap();
        let notification = NotificationRequest {
            message_id: "m1".to_owned(),
            date_time: "2026-01-01T00:00:00Z".to_owned(),
            negative: true,
            positive: false,
            display: false,
        };
        for notification in [None, Some(notification)] {
            let kept = ReportTo { sender: sender.clone(), notification };

            assert_eq!(ReportTo::parse(&kept.to_string()), Some(kept));
        }
    }
}
