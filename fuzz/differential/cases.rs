//! Generates deliveries: valid ones, and ones with up to three changes.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE},
};
use fastrand::Rng;
use hmac_sha256::HMAC;

/// The headers that each family has.
pub(crate) const PARTS: [&str; 3] = ["id", "timestamp", "signature"];
pub(crate) const FAMILIES: [&str; 2] = ["webhook", "svix"];

const BODIES: [&[u8]; 7] = [
    br#"{"event":"recording.done"}"#,
    b"",
    "{\"name\":\"J\u{fc}rgen \u{1f600}\"}".as_bytes(),
    b"1700000000.{}",
    b"line\nline\r\n\0",
    b"{\"x\":\"\xff\"}",
    b"\xc3",
];
const IDS: [&[u8]; 7] =
    [b"msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", b"", b"a.b", b" msg ", b"m\tg", "m\u{fc}".as_bytes(), &[b'x'; 300]];
/// Timestamps that no sender uses. The first two are the limits of 64 bits, so arithmetic with them can overflow.
const TIMESTAMPS: [&str; 10] = [
    "-9223372036854775808",
    "9223372036854775807",
    "99999999999999999999",
    "",
    "now",
    "0x65000000",
    "1e9",
    "1700000000.0",
    "-0",
    "\u{ff11}\u{ff17}",
];
const SECRETS: [&str; 9] =
    ["", "whsec_", "whsec_***", "whsec_AAA", "whsec_AA=", "whsec_\u{fc}", "AAAA ", "whsec_whsec_AAAA", "v1,AAAA"];
/// A key that belongs to no generated secret.
const UNRELATED_KEY: &[u8] = b"unrelated";
const VERSIONS: [&str; 6] = ["v1a", "v2", "V1", "", "v1 ", " v1"];
/// Offsets near both limits of the tolerance, and far outside of them.
const OFFSETS_S: [i64; 14] = [-301, -300, -299, -302, 300, 301, 299, 302, -1, 1, -3600, 3600, -1_700_000_000, 1 << 40];

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) value: Vec<u8>,
}

/// One delivery. Its timestamp is relative to the time at which the delivery is verified.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) secrets: Vec<String>,
    headers: Vec<Header>,
    pub(crate) body: Vec<u8>,
    /// The milliseconds of our clock within the current second.
    pub(crate) now_ms: i64,
}

#[derive(Clone, Debug)]
struct Header {
    family: &'static str,
    part: Part,
}

#[derive(Clone, Debug)]
enum Part {
    Id(Vec<u8>),
    /// A timestamp as an offset from now in seconds, and a prefix for the number.
    Sent(i64, &'static str),
    Timestamp(&'static str),
    /// The signatures, and the separator between them.
    Signatures(Vec<Signature>, &'static str),
}

#[derive(Clone, Debug)]
struct Signature {
    version: &'static str,
    /// The index of the secret that signs. The list may be shorter.
    key: usize,
    /// Whether the signature covers a body other than the delivered one.
    of_other_body: bool,
    encoding: Encoding,
}

#[derive(Clone, Copy, Debug)]
enum Encoding {
    Standard,
    NoPadding,
    UrlSafe,
    MorePadding,
    LowerCase,
    /// Sets one of the unused last bits. A lenient decoder still returns the same bytes.
    LooseBits,
    Truncated,
    Empty,
}

impl Case {
    /// Generates a valid delivery and makes up to three random changes to it.
    pub(crate) fn generate(random: &mut Rng) -> Self {
        let secret = |random: &mut Rng| {
            let length = random.usize(1..80);
            let key: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
            format!("whsec_{}", STANDARD.encode(key))
        };
        let family = FAMILIES[random.usize(..2)];
        let mut case = Self {
            secrets: (0..random.usize(1..3)).map(|_| secret(random)).collect(),
            headers: complete_family(family, 0),
            body: BODIES[if random.bool() { 0 } else { random.usize(..BODIES.len()) }].to_vec(),
            now_ms: random.i64(0..1000),
        };
        for _ in 0..[0, 0, 1, 1, 1, 2, 2, 3][random.usize(..8)] {
            case.change(random);
        }
        case
    }

    fn change(&mut self, random: &mut Rng) {
        let other = if self.headers.first().is_some_and(|first| first.family == "svix") { "webhook" } else { "svix" };
        let at = random.usize(..self.headers.len().max(1));
        match random.u8(..16) {
            0 => self.headers.extend(complete_family(other, random.usize(..3))),
            1 => {
                self.headers.extend(complete_family(other, 0).into_iter().filter(|_| random.bool()).collect::<Vec<_>>())
            }
            2 => self.headers.extend(self.headers.get(at).cloned()),
            3 => self
                .headers
                .extend(complete_family(if random.bool() { other } else { "webhook" }, 1).into_iter().nth(at)),
            4 if !self.headers.is_empty() => drop(self.headers.remove(at)),
            5 => self.change_part(
                at,
                0,
                |part, random| *part = Part::Id(IDS[random.usize(..IDS.len())].to_vec()),
                random,
            ),
            6 | 7 => self.change_part(
                at,
                1,
                |part, random| {
                    let offset_s = OFFSETS_S[random.usize(..OFFSETS_S.len())];
                    *part = Part::Sent(offset_s, ["", "", "", "+", "0", "000", " "][random.usize(..7)]);
                },
                random,
            ),
            8 => self.change_part(
                at,
                1,
                |part, random| *part = Part::Sent(0, ["+", "0", "00", "+0", "-"][random.usize(..5)]),
                random,
            ),
            9 => {
                self.change_part(at, 1, |part, random| *part = Part::Timestamp(TIMESTAMPS[random.usize(..10)]), random)
            }
            10 => self.change_signatures(at, |all, random| all[0].version = VERSIONS[random.usize(..6)], random),
            11 => self.change_signatures(at, |all, random| all[0].encoding = Encoding::ALL[random.usize(..8)], random),
            12 => self.change_signatures(at, |all, random| all[0].key = random.usize(1..3), random),
            13 => {
                let bad = Signature { of_other_body: true, ..Signature::of(0) };
                let more = random.usize(1..20);
                self.change_signatures(at, |all, _| drop(all.splice(..0, vec![bad; more])), random);
            }
            14 => {
                let secret = match self.secrets[0].strip_prefix("whsec_").filter(|_| random.bool()) {
                    Some(bare) => bare.to_owned(),
                    None => SECRETS[random.usize(..SECRETS.len())].to_owned(),
                };
                self.secrets.insert(0, secret);
                self.secrets.truncate(random.usize(1..4));
            }
            _ => self.change_part(
                at,
                2,
                |part, random| {
                    if let Part::Signatures(_, separator) = part {
                        *separator = ["  ", ",", "\t", ""][random.usize(..4)];
                    }
                },
                random,
            ),
        }
    }

    /// Changes one part of the family to which the header at `at` belongs.
    fn change_part(&mut self, at: usize, part: usize, change: impl FnOnce(&mut Part, &mut Rng), random: &mut Rng) {
        let family = self.headers.get(at).map(|header| header.family);
        let mut headers = self.headers.iter_mut().filter(|header| Some(header.family) == family);
        if let Some(header) = headers.find(|header| header.part.index() == part) {
            change(&mut header.part, random);
        }
    }

    fn change_signatures(&mut self, at: usize, change: impl FnOnce(&mut Vec<Signature>, &mut Rng), random: &mut Rng) {
        let change = |part: &mut Part, random: &mut Rng| {
            if let Part::Signatures(signatures, _) = part {
                change(signatures, random);
            }
        };
        self.change_part(at, 2, change, random);
    }

    /// Returns the headers of a delivery that arrives in this second.
    pub(crate) fn fields(&self, now_s: i64) -> Vec<Field> {
        let value = |header: &Header| match &header.part {
            Part::Id(id) => id.clone(),
            Part::Sent(offset_s, prefix) => format!("{prefix}{}", now_s + offset_s).into_bytes(),
            Part::Timestamp(text) => text.as_bytes().to_vec(),
            Part::Signatures(signatures, separator) => {
                let texts: Vec<_> = signatures.iter().map(|one| self.signature(one, header.family, now_s)).collect();
                texts.join(*separator).into_bytes()
            }
        };
        let field = |header| Field { name: header_name(header), value: value(header) };
        self.headers.iter().map(field).collect()
    }

    fn signature(&self, signature: &Signature, family: &str, now_s: i64) -> String {
        let Signature { version, key, of_other_body, encoding } = *signature;
        let of_family = || self.headers.iter().filter(|header| header.family == family).map(|header| &header.part);
        let id = of_family().find_map(|part| if let Part::Id(id) = part { Some(&id[..]) } else { None });
        // The other verifiers parse the number and sign it in its usual form.
        let timestamp = of_family().find_map(|part| match part {
            Part::Sent(offset_s, _) => Some((now_s + offset_s).to_string()),
            Part::Timestamp(text) => Some(text.parse::<i64>().map_or((*text).to_owned(), |number| number.to_string())),
            Part::Id(_) | Part::Signatures(..) => None,
        });
        let body: &[u8] = if of_other_body { b"other body" } else { &self.body };
        let key = self.secrets.get(key).map(|secret| key_of(secret)).unwrap_or_else(|| UNRELATED_KEY.to_vec());
        let mac = sign(&key, id.unwrap_or_default(), timestamp.unwrap_or_default().as_bytes(), body);
        format!("{version},{}", encoding.encode(&mac))
    }
}

fn complete_family(family: &'static str, key: usize) -> Vec<Header> {
    let parts = [Part::Id(IDS[0].to_vec()), Part::Sent(0, ""), Part::Signatures(vec![Signature::of(key)], " ")];
    parts.into_iter().map(|part| Header { family, part }).collect()
}

fn header_name(header: &Header) -> String {
    format!("{}-{}", header.family, PARTS[header.part.index()])
}

impl Part {
    fn index(&self) -> usize {
        match self {
            Self::Id(_) => 0,
            Self::Sent(..) | Self::Timestamp(_) => 1,
            Self::Signatures(..) => 2,
        }
    }
}

impl Signature {
    fn of(key: usize) -> Self {
        Self { version: "v1", key, of_other_body: false, encoding: Encoding::Standard }
    }
}

impl Encoding {
    const ALL: [Self; 8] = [
        Self::Standard,
        Self::NoPadding,
        Self::UrlSafe,
        Self::MorePadding,
        Self::LowerCase,
        Self::LooseBits,
        Self::Truncated,
        Self::Empty,
    ];

    fn encode(self, mac: &[u8; 32]) -> String {
        let standard = STANDARD.encode(mac);
        match self {
            Self::Standard => standard,
            Self::NoPadding => STANDARD_NO_PAD.encode(mac),
            Self::UrlSafe => URL_SAFE.encode(mac),
            Self::MorePadding => standard + "=",
            Self::LowerCase => standard.to_lowercase(),
            Self::LooseBits => {
                let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
                let mut bytes = standard.into_bytes();
                let last = alphabet.iter().position(|byte| *byte == bytes[42]).expect("base64");
                bytes[42] = alphabet[last | 1];
                String::from_utf8(bytes).expect("ASCII")
            }
            Self::Truncated => standard[..standard.len() - 4].to_owned(),
            Self::Empty => String::new(),
        }
    }
}

/// Returns the key that the other verifiers take from a secret. A secret that is not base64 gets an unrelated key.
pub(crate) fn key_of(secret: &str) -> Vec<u8> {
    STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).unwrap_or_else(|_| UNRELATED_KEY.to_vec())
}

pub(crate) fn sign(key: &[u8], id: &[u8], timestamp: &[u8], body: &[u8]) -> [u8; 32] {
    HMAC::mac([id, timestamp, body].join(&b'.'), key)
}
