//! What the runbook says about an alarm.

/// The document that leads from an alarm to what to do.
const RUNBOOK: &str = include_str!("../../docs/operating.md");

/// Returns the first sentence about what this alarm means.
pub(crate) fn meaning(alarm: &str) -> Option<String> {
    let (_, section) = RUNBOOK.split_once(&format!("\n### {alarm}\n"))?;
    let (_, means) = section.split("\n### ").next()?.split_once("**Means:** ")?;
    let paragraph = means.split("\n\n").next()?.replace('\n', " ");
    let end = paragraph.find(". ").map_or(paragraph.len(), |end| end + 1);
    Some(without_links(&paragraph[..end]))
}

/// Returns the text without Markdown: of a link, only its words are left.
fn without_links(text: &str) -> String {
    let link = regex_lite::Regex::new(r"\[([^\]]+)\]\([^)]*\)").unwrap_or_else(|_| unreachable!("a valid pattern"));
    link.replace_all(text, "$1").replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every alarm of the template has a section in the runbook that begins with its meaning.
    #[test]
    fn every_alarm_has_a_meaning() {
        let template = include_str!("../../template.yaml");
        let prefix = "AlarmName: !Sub ${AWS::StackName}-";
        let alarms: Vec<&str> = template.lines().filter_map(|line| line.trim().strip_prefix(prefix)).collect();
        assert!(alarms.len() > 10, "{alarms:?}");
        for alarm in alarms {
            let meaning = meaning(alarm).unwrap_or_else(|| panic!("{alarm} has no meaning"));
            assert!(meaning.len() > 20 && meaning.ends_with('.') && !meaning.contains("]("), "{alarm}: {meaning}");
        }
        assert_eq!(meaning("no-such-alarm"), None);
    }
}
