//! What an attempt costs.

/// A price that a provider publishes.
struct Price {
    provider: &'static str,
    usd_per_hour: f64,
    source: &'static str,
    /// When the price was read.
    date: &'static str,
}

/// Recall's own engine is paid to Recall. Others are paid to the provider, by a contract that this program does not
/// know.
const PRICES: [Price; 1] =
    [Price { provider: "recallai_async", usd_per_hour: 0.15, source: "Recall's documents", date: "2026-06" }];

/// Says what an attempt with this provider costs. `own`: the price that the operator states.
pub(crate) fn in_words(provider: &str, own: Option<f64>) -> String {
    if let Some(own) = own {
        return format!("USD {own:.2} for each hour of the recording, by your own price");
    }
    match PRICES.iter().find(|price| price.provider == provider) {
        Some(Price { usd_per_hour, source, date, .. }) => {
            format!("USD {usd_per_hour:.2} for each hour of the recording ({source}, {date})")
        }
        None => "an unknown amount, by your contract with the provider; state it with --price".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn price_is_known_stated_or_unknown() {
        assert!(in_words("recallai_async", None).starts_with("USD 0.15 for each hour"));
        assert!(in_words("rev_async", None).starts_with("an unknown amount"));
        assert_eq!(in_words("rev_async", Some(0.3)), "USD 0.30 for each hour of the recording, by your own price");
    }
}
