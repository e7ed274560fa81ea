//! Files of meetings that are larger than any real one.

use bytes::Bytes;
use serde_json::json;

use super::content::Content;

/// The size of the piece of which most of an events file consists, in bytes.
const PIECE_BYTES: usize = 1 << 20;

/// A participants file of this many people, about 200 bytes each, with ids from 1.
pub fn many_participants(people: usize) -> Content {
    let mut file = String::from("[");
    for id in 1..=people {
        if id > 1 {
            file.push(',');
        }
        file.push_str(&person(id));
    }
    file.push(']');
    file.into_bytes().into()
}

/// An events file of at least this size, and little more: all of these people, at least one, join in the first minute,
/// and leave after an hour. In between, the same events are repeated.
pub fn many_events(people: usize, bytes: usize) -> Content {
    let people = people.max(1);
    let middle = |from: usize| -> Bytes {
        let mut piece = String::new();
        while piece.len() < PIECE_BYTES {
            for (action, at) in [("speech_on", 120.0), ("chat_message", 121.0), ("speech_off", 122.0)] {
                piece.push(',');
                piece.push_str(&event(from, action, at));
            }
        }
        piece.into()
    };
    let crowd = |action, at: f64| -> Bytes {
        let events = (1..=people).map(|id| event(id, action, at + id as f64 * 60.0 / people as f64));
        events.collect::<Vec<_>>().join(",").into()
    };
    let (joins, leaves, piece) = (crowd("join", 0.0), crowd("leave", 3600.0), middle(1));
    let fixed = joins.len() + leaves.len();
    let repeats = bytes.saturating_sub(fixed).div_ceil(piece.len());
    let ends = [Bytes::from_static(b"["), joins];
    let rest = std::iter::repeat_n(piece, repeats);
    Content::of_pieces(ends.into_iter().chain(rest).chain([Bytes::from_static(b","), leaves, Bytes::from_static(b"]")]))
}

fn person(id: usize) -> String {
    format!(
        "{{\"id\":{id},\"name\":\"Guest {id} of the whole company in the main hall or at home\",\"is_host\":{},\
         \"platform\":\"desktop\",\"extra_data\":{{\"zoom\":{{\"conf_user_id\":\"{}\"}}}},\
         \"email\":\"guest.{id}@example.com\"}}",
        id == 1,
        16_778_240 + 1024 * id
    )
}

fn event(id: usize, action: &str, at: f64) -> String {
    let data = match action {
        "chat_message" => json!({"text": super::CHAT_MESSAGE, "to": "everyone"}),
        _ => serde_json::Value::Null,
    };
    format!(
        "{{\"id\":\"{action}-{id}\",\"action\":\"{action}\",\"participant\":{},\
         \"timestamp\":{{\"absolute\":null,\"relative\":{at:?}}},\"data\":{data}}}",
        person(id)
    )
}
