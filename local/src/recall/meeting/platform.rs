//! What differs between the platforms of meetings.

use serde_json::{Value, json};

/// The password in the meeting URLs of all simulated bots. It must not be stored anywhere.
pub const MEETING_PASSWORD: &str = "pw-9tVq2LrX7";

/// Where a meeting took place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Platform {
    Zoom,
    GoogleMeet,
    MicrosoftTeams,
    Webex,
}

impl Platform {
    /// Returns the platform as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zoom => "zoom",
            Self::GoogleMeet => "google_meet",
            Self::MicrosoftTeams => "microsoft_teams",
            Self::Webex => "webex",
        }
    }

    /// Returns the `meeting_url` of a bot. Google Meet has no passwords, and Webex has other ids.
    pub(in crate::recall) fn meeting_url(self) -> Value {
        match self {
            Self::Zoom => {
                json!({"meeting_id": "84512307961", "meeting_password": MEETING_PASSWORD, "platform": "zoom"})
            }
            Self::GoogleMeet => json!({"meeting_id": "kqz-wbfd-hmt", "platform": "google_meet"}),
            Self::MicrosoftTeams => json!({
                "meeting_id": "391264850177",
                "meeting_password": MEETING_PASSWORD,
                "organizer_id": null,
                "tenant_id": null,
                "message_id": null,
                "thread_id": null,
                "business_meeting_id": null,
                "business_meeting_password": null,
                "platform": "microsoft_teams",
            }),
            Self::Webex => json!({
                "meeting_subdomain": "example",
                "meeting_mtid": "m4d1f0c9a7be2",
                "meeting_path": "j.php",
                "platform": "webex",
            }),
        }
    }

    /// Returns a participant's `extra_data`, with the id that stays the same when person `number` comes back.
    pub(super) fn extra_data(self, number: usize) -> Value {
        match self {
            Self::Zoom => json!({"zoom": {"conf_user_id": format!("{}", 16_778_240 + 1024 * number)}}),
            Self::GoogleMeet => json!({"google_meet": {"static_participant_id": format!("{}", 110_000 + number)}}),
            Self::MicrosoftTeams => json!({"microsoft_teams": {"user_id": format!("8:orgid:{number:08}")}}),
            Self::Webex => Value::Null,
        }
    }

    /// Returns whether timestamps have absolute parts. All of them may be null, so one platform has none.
    pub(super) fn has_absolute_times(self) -> bool {
        self != Self::MicrosoftTeams
    }
}
