//! Why verifiers differ. A reason counts only if the difference is gone once what it names is out of the delivery.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    cases::{Case, FAMILIES, Field, PARTS, key_of, sign},
    verifiers::{Delivery, Other, at_one_moment},
};

/// Takes what a reason names out of a delivery; false if it is not in there.
type Mend = fn(&mut Delivery, Other) -> bool;

/// Who believes what the other refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    We,
    They,
    Either,
}

pub(crate) struct Reason {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    who: Who,
    mend: Mend,
}

pub(crate) const REASONS: [Reason; 9] = [
    Reason {
        name: "repeated header",
        what: "we refuse it, they take the first",
        who: Who::Either,
        mend: first_of_each,
    },
    Reason {
        name: "both families",
        what: "we take one that is whole; svix mixes them, standardwebhooks knows webhook-* alone",
        who: Who::Either,
        mend: one_family,
    },
    Reason {
        name: "written number",
        what: "we refuse a timestamp with + or leading zeros; they sign the number, so it passes",
        who: Who::They,
        mend: plain_number,
    },
    Reason { name: "empty id", what: "we refuse it", who: Who::They, mend: some_id },
    Reason { name: "many signatures", what: "we look at the first 16", who: Who::They, mend: last_signatures },
    Reason {
        name: "bare secret",
        what: "we do not start with a secret that has no whsec_ before it",
        who: Who::They,
        mend: whole_secrets,
    },
    Reason {
        name: "empty secret",
        what: "anybody can sign with it; standardwebhooks takes it",
        who: Who::They,
        mend: no_empty_secrets,
    },
    Reason {
        name: "last second",
        what: "we count milliseconds, so 300.5 seconds are over five minutes",
        who: Who::They,
        mend: whole_second,
    },
    Reason { name: "binary body", what: "we sign bytes; they refuse what is not UTF-8", who: Who::We, mend: text },
];
/// A difference that takes more than these at once is not explained.
const MOST: usize = 4;

/// Sets of reasons for which they, or we, alone believe a delivery, smallest first.
pub(crate) fn sets(who: Who) -> Vec<Vec<usize>> {
    let set = |bits: u32| (0..REASONS.len()).filter(move |at| bits >> at & 1 == 1).collect();
    let fits = |set: &Vec<usize>| {
        set.len() <= MOST && set.iter().all(|at| REASONS[*at].who == who || REASONS[*at].who == Who::Either)
    };
    let mut sets: Vec<Vec<usize>> = (1..1 << REASONS.len()).map(set).filter(fits).collect();
    sets.sort_by_key(Vec::len);
    sets
}

/// The fewest reasons that explain how the verdicts differ.
pub(crate) fn explain(sets: &[Vec<usize>], case: &Case, other: Other) -> Option<String> {
    let explains = |set: &&Vec<usize>| {
        let mut all_apply = true;
        let (ours, theirs) = at_one_moment(case, other, |delivery| {
            all_apply = set.iter().all(|at| (REASONS[*at].mend)(delivery, other));
        });
        all_apply && ours.is_ok() == theirs.is_ok()
    };
    let set = sets.iter().find(explains)?;
    Some(set.iter().map(|at| REASONS[*at].name).collect::<Vec<_>>().join(" + "))
}

fn first_of_each(delivery: &mut Delivery, _: Other) -> bool {
    let before = delivery.fields.len();
    let mut seen = std::collections::BTreeSet::new();
    delivery.fields.retain(|field| seen.insert(field.name.clone()));
    delivery.fields.len() < before
}

/// Leaves the family that we take; if there is none, what they put together.
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
    let whole = FAMILIES.into_iter().find(|family| {
        let name = |part: &&str| format!("{family}-{part}");
        PARTS.iter().map(name).all(|name| {
            let mut values = fields.iter().filter(|field| field.name == name);
            values.next().is_some_and(|field| readable(&field.value)) && values.next().is_none()
        })
    });
    let picked = |part| match whole {
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

fn plain_number(delivery: &mut Delivery, _: Other) -> bool {
    changed(delivery, "timestamp", |value| {
        let number: i64 = std::str::from_utf8(value).ok()?.parse().ok()?;
        Some(number.to_string().into_bytes())
    })
}

/// A delivery that is signed as it should be, but for its id.
fn some_id(delivery: &mut Delivery, _: Other) -> bool {
    changed(delivery, "id", |value| value.is_empty().then(|| b"x".to_vec())) && sign_again(delivery)
}

fn last_signatures(delivery: &mut Delivery, _: Other) -> bool {
    changed(delivery, "signature", |value| {
        let all: Vec<&[u8]> = value.split(|byte| *byte == b' ').filter(|one| one.starts_with(b"v1,")).collect();
        (all.len() > 16).then(|| all[all.len() - 16..].join(&b' '))
    })
}

fn whole_secrets(delivery: &mut Delivery, _: Other) -> bool {
    let bare: Vec<&mut String> =
        delivery.secrets.iter_mut().filter(|secret| !secret.starts_with("whsec_") && !secret.is_empty()).collect();
    let any = !bare.is_empty();
    bare.into_iter().for_each(|secret| secret.insert_str(0, "whsec_"));
    any
}

fn no_empty_secrets(delivery: &mut Delivery, other: Other) -> bool {
    let before = delivery.secrets.len();
    delivery.secrets.retain(|secret| !matches!(secret.as_str(), "" | "whsec_"));
    other == Other::StandardWebhooks && delivery.secrets.len() < before
}

fn whole_second(delivery: &mut Delivery, _: Other) -> bool {
    std::mem::take(&mut delivery.now_ms) > 0
}

/// A delivery that is signed as it should be, but for its body.
fn text(delivery: &mut Delivery, _: Other) -> bool {
    let was_text = std::str::from_utf8(&delivery.body).is_ok();
    delivery.body = b"text".to_vec();
    !was_text && sign_again(delivery)
}

/// Changes the headers of this name in both families; false if nothing changed.
fn changed(delivery: &mut Delivery, part: &str, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> bool {
    let mut any = false;
    for field in delivery.fields.iter_mut().filter(|field| field.name.ends_with(part)) {
        if let Some(value) = change(&field.value).filter(|value| *value != field.value) {
            field.value = value;
            any = true;
        }
    }
    any
}

/// Signs what is there now with every secret, in both families.
fn sign_again(delivery: &mut Delivery) -> bool {
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
    true
}
