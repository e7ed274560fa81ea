//! The reasons for which verifiers differ. A reason explains a difference only if the difference disappears when the
//! property that the reason names is removed from the delivery.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    cases::{Case, FAMILIES, Field, PARTS, key_of, sign},
    verifiers::{Delivery, Other, at_one_moment},
};

/// Removes the property that a reason names from a delivery. Returns whether the delivery had the property.
type Adjust = fn(&mut Delivery, Other) -> bool;

/// Which of two verifiers accepts a delivery that the other refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepts {
    Ours,
    Theirs,
    Either,
}

pub(crate) struct Reason {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    accepts: Accepts,
    adjust: Adjust,
}

pub(crate) const REASONS: [Reason; 9] = [
    Reason {
        name: "repeated header",
        what: "ours refuses it; the others take the first one",
        accepts: Accepts::Either,
        adjust: first_of_each,
    },
    Reason {
        name: "both families",
        what: "ours takes a complete one; svix mixes them; standardwebhooks knows only webhook-*",
        accepts: Accepts::Either,
        adjust: one_family,
    },
    Reason {
        name: "number format",
        what: "ours refuses a timestamp with + or leading zeros; the others sign its number",
        accepts: Accepts::Theirs,
        adjust: plain_number,
    },
    Reason { name: "empty id", what: "ours refuses it", accepts: Accepts::Theirs, adjust: some_id },
    Reason {
        name: "many signatures",
        what: "ours checks only the first 16",
        accepts: Accepts::Theirs,
        adjust: last_signatures,
    },
    Reason {
        name: "unprefixed secret",
        what: "our function refuses to start if a secret does not begin with whsec_",
        accepts: Accepts::Theirs,
        adjust: prefix_secrets,
    },
    Reason {
        name: "empty secret",
        what: "our function refuses to start; standardwebhooks accepts it, so anyone can sign",
        accepts: Accepts::Theirs,
        adjust: remove_empty_secrets,
    },
    Reason {
        name: "milliseconds",
        what: "ours counts milliseconds, so it refuses 300.5 seconds as more than five minutes",
        accepts: Accepts::Theirs,
        adjust: full_second,
    },
    Reason {
        name: "binary body",
        what: "ours verifies bytes; the others refuse a body that is not UTF-8",
        accepts: Accepts::Ours,
        adjust: text_body,
    },
];
/// The maximum number of reasons that may together explain one difference.
const MAX_REASONS: usize = 4;

/// Returns the sets of reasons for which only this verifier accepts a delivery, the smallest sets first.
pub(crate) fn sets(accepts: Accepts) -> Vec<Vec<usize>> {
    let set = |bits: u32| (0..REASONS.len()).filter(move |at| bits >> at & 1 == 1).collect();
    let fits = |set: &Vec<usize>| {
        set.len() <= MAX_REASONS && set.iter().all(|at| [accepts, Accepts::Either].contains(&REASONS[*at].accepts))
    };
    let mut sets: Vec<Vec<usize>> = (1..1 << REASONS.len()).map(set).filter(fits).collect();
    sets.sort_by_key(Vec::len);
    sets
}

/// Returns the names of the fewest reasons that together explain the difference between the verdicts.
pub(crate) fn explain(sets: &[Vec<usize>], case: &Case, other: Other) -> Option<String> {
    let explains = |set: &&Vec<usize>| {
        let mut all_apply = true;
        let (ours, theirs) = at_one_moment(case, other, |delivery| {
            all_apply = set.iter().all(|at| (REASONS[*at].adjust)(delivery, other));
        });
        all_apply && ours.is_ok() == theirs.is_ok()
    };
    let set = sets.iter().find(explains)?;
    Some(set.iter().map(|at| REASONS[*at].name).collect::<Vec<_>>().join(" + "))
}

/// Keeps the first header of each name.
fn first_of_each(delivery: &mut Delivery, _: Other) -> bool {
    let before = delivery.fields.len();
    let mut seen = std::collections::BTreeSet::new();
    delivery.fields.retain(|field| seen.insert(field.name.clone()));
    delivery.fields.len() < before
}

/// Keeps the family that our verifier takes, under the names `webhook-*`. If there is none, keeps the headers that the
/// other verifier combines.
fn one_family(delivery: &mut Delivery, other: Other) -> bool {
    let families = match other {
        Other::Svix => ["svix", "webhook"],
        Other::StandardWebhooks => ["webhook", "webhook"],
    };
    let fields = &delivery.fields;
    let first = |of: &str, part: &str| {
        let name = format!("{of}-{part}");
        fields.iter().find(|field| field.name == name).map(|field| field.value.clone())
    };
    let complete = FAMILIES.into_iter().find(|family| {
        let name = |part: &&str| format!("{family}-{part}");
        PARTS.iter().map(name).all(|name| {
            let mut values = fields.iter().filter(|field| field.name == name);
            values.next().is_some_and(|field| readable(&field.value)) && values.next().is_none()
        })
    });
    let picked = |part| match complete {
        Some(family) => first(family, part),
        None => families.into_iter().find_map(|family| first(family, part)),
    };
    let kept: Vec<Field> = PARTS
        .into_iter()
        .filter_map(|part| Some(Field { name: format!("webhook-{part}"), value: picked(part)? }))
        .collect();
    let differs = fields.iter().any(|field| field.name.starts_with("svix"));
    delivery.fields = kept;
    differs
}

fn readable(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|byte| *byte == b'\t' || (b' '..=b'~').contains(byte))
}

/// Writes the timestamp in its usual form.
fn plain_number(delivery: &mut Delivery, _: Other) -> bool {
    change_headers(delivery, "timestamp", |value| {
        let number: i64 = std::str::from_utf8(value).ok()?.parse().ok()?;
        Some(number.to_string().into_bytes())
    })
}

/// Puts an id where it is empty, and signs the delivery again.
fn some_id(delivery: &mut Delivery, _: Other) -> bool {
    let was_empty = change_headers(delivery, "id", |value| value.is_empty().then(|| b"x".to_vec()));
    if was_empty {
        sign_again(delivery);
    }
    was_empty
}

/// Keeps the last 16 signatures, so that our verifier checks the signature at the end.
fn last_signatures(delivery: &mut Delivery, _: Other) -> bool {
    change_headers(delivery, "signature", |value| {
        let all: Vec<&[u8]> = value.split(|byte| *byte == b' ').filter(|one| one.starts_with(b"v1,")).collect();
        (all.len() > 16).then(|| all[all.len() - 16..].join(&b' '))
    })
}

/// Puts `whsec_` before each secret that does not begin with it.
fn prefix_secrets(delivery: &mut Delivery, _: Other) -> bool {
    let bare: Vec<&mut String> =
        delivery.secrets.iter_mut().filter(|secret| !secret.starts_with("whsec_") && !secret.is_empty()).collect();
    let any = !bare.is_empty();
    bare.into_iter().for_each(|secret| secret.insert_str(0, "whsec_"));
    any
}

/// Removes the empty secrets. Only `standardwebhooks` accepts them.
fn remove_empty_secrets(delivery: &mut Delivery, other: Other) -> bool {
    let before = delivery.secrets.len();
    delivery.secrets.retain(|secret| !matches!(secret.as_str(), "" | "whsec_"));
    other == Other::StandardWebhooks && delivery.secrets.len() < before
}

/// Sets our clock to the full second, which is the time that the other verifiers see.
fn full_second(delivery: &mut Delivery, _: Other) -> bool {
    std::mem::take(&mut delivery.now_ms) > 0
}

/// Replaces a body that is not UTF-8, and signs the delivery again.
fn text_body(delivery: &mut Delivery, _: Other) -> bool {
    let was_text = std::str::from_utf8(&delivery.body).is_ok();
    delivery.body = b"text".to_vec();
    if !was_text {
        sign_again(delivery);
    }
    !was_text
}

/// Changes the headers with this part in both families. Returns whether a value changed.
fn change_headers(delivery: &mut Delivery, part: &str, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> bool {
    let mut any = false;
    for field in delivery.fields.iter_mut().filter(|field| field.name.ends_with(part)) {
        if let Some(value) = change(&field.value).filter(|value| *value != field.value) {
            field.value = value;
            any = true;
        }
    }
    any
}

/// Signs the delivery as it is now with every secret, in both families.
fn sign_again(delivery: &mut Delivery) {
    for family in FAMILIES {
        let first = |part: &str| {
            let name = format!("{family}-{part}");
            delivery.fields.iter().find(|field| field.name == name).map(|field| field.value.clone()).unwrap_or_default()
        };
        let (id, timestamp) = (first("id"), first("timestamp"));
        let signature =
            |secret: &String| format!("v1,{}", STANDARD.encode(sign(&key_of(secret), &id, &timestamp, &delivery.body)));
        let all = delivery.secrets.iter().map(signature).collect::<Vec<_>>().join(" ").into_bytes();
        let name = format!("{family}-signature");
        for field in delivery.fields.iter_mut().filter(|field| field.name == name) {
            field.value.clone_from(&all);
        }
    }
}
