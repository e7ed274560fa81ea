//! A participant of one of Recall's files, and what identifies it.

use super::shorten;
use crate::{
    visible::{has_visible, visual_key},
    words::clean,
};

/// The maximum length of an e-mail address, as in mail servers.
const MAX_EMAIL_BYTES: usize = 254;

/// The participant of one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Participant {
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) is_host: bool,
    /// The ids that stay the same if the person comes back, each with its platform.
    pub(crate) static_ids: Vec<(&'static str, String)>,
    pub(crate) email: Option<String>,
}

impl Participant {
    /// Returns the participant with an id and a name of limited length, if they are visible.
    pub(crate) fn normalized(self) -> Self {
        let visible = |text: Option<String>| text.as_deref().map(shorten).filter(|text| has_visible(text));
        Self { id: visible(self.id), name: visible(self.name), ..self }
    }

    /// Returns what identifies a normalized participant, if anything does.
    pub(crate) fn key(&self) -> Option<String> {
        let mut key = String::new();
        push_key(&self.static_ids, self.id.as_deref(), self.name.as_deref(), &mut key);
        Some(key).filter(|key| !key.is_empty())
    }

    /// Adds what another element says about this participant.
    pub(crate) fn complete_with(&mut self, other: Self) {
        self.name = other.name.or(self.name.take());
        self.is_host |= other.is_host;
        self.email = self.email.take().or(other.email);
    }

    /// The size of all names, ids and addresses.
    pub(crate) fn text_bytes(&self) -> usize {
        let texts = self.static_ids.iter().map(|(_, id)| Some(id));
        texts.chain([self.id.as_ref(), self.name.as_ref(), self.email.as_ref()]).flatten().map(String::len).sum()
    }
}

/// Appends what tells a participant apart from the others: the ids that stay the same with the participant id, or the
/// name. Each is on its own line, because ids contain no line feeds.
pub(super) fn push_key(static_ids: &[(&'static str, String)], id: Option<&str>, name: Option<&str>, key: &mut String) {
    for (platform, id) in static_ids {
        key.extend([platform, " ", id, "\n"]);
    }
    match (id, name) {
        (Some(id), _) => key.push_str(id),
        (None, Some(name)) if key.is_empty() => key.extend(["\n", &visual_key(name)]),
        (None, _) => {}
    }
}

/// Returns the keys that identify a participant, from the most to the least specific.
pub(super) fn keys(static_ids: &[(&'static str, String)], id: Option<&str>, name: Option<&str>) -> Vec<String> {
    let mut keys: Vec<String> = static_ids.iter().map(|(platform, id)| format!("{platform} {id}")).collect();
    keys.extend(id.map(|id| format!("id {id}")));
    if keys.is_empty() {
        keys.push(name.map_or_else(String::new, |name| format!("name {}", visual_key(name))));
    }
    keys
}

/// Returns the number of an id. `01` is not the participant id 1.
pub(super) fn id_number(id: &str) -> Option<i64> {
    id.parse().ok().filter(|number: &i64| number.to_string() == id)
}

/// Returns an e-mail address as one line, or none if the text is not an address.
pub(crate) fn email_address(text: &str) -> Option<String> {
    let mut email = String::new();
    clean(text, &mut email);
    let (name, domain) = email.rsplit_once('@')?;
    let is_address = has_visible(name) && has_visible(domain) && !email.contains(char::is_whitespace);
    Some(email).filter(|email| is_address && email.len() <= MAX_EMAIL_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_are_addresses() {
        for (text, email) in [
            ("ann@x.example", Some("ann@x.example")),
            (" Ann.Lee+a@X.example\n", Some("Ann.Lee+a@X.example")),
            ("a@\u{0}b", Some("a@b")),
            ("a@b@c", Some("a@b@c")),
            ("", None),
            ("ann", None),
            ("@x.example", None),
            ("ann@", None),
            ("\u{200b}@x.example", None),
            ("Ann <ann@x.example>", None),
        ] {
            assert_eq!(email_address(text).as_deref(), email, "{text:?}");
        }
        assert_eq!(email_address(&format!("{}@x.example", "a".repeat(250))), None);
    }
}
