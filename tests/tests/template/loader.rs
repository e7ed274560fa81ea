//! Converts CloudFormation's YAML with its short tags to the JSON that it means.

use serde_json::{Map, Number, Value, json};
use yaml_rust2::{
    Event,
    parser::{Parser, Tag},
    scanner::TScalarStyle,
};

/// Reads one document.
pub(crate) fn parse(text: &str) -> Value {
    let mut parser = Parser::new_from_str(text);
    loop {
        match next(&mut parser) {
            Event::StreamStart | Event::DocumentStart => {}
            first => return value(first, &mut parser),
        }
    }
}

type Source<'a> = Parser<std::str::Chars<'a>>;

fn next(parser: &mut Source<'_>) -> Event {
    parser.next_token().unwrap_or_else(|error| panic!("not YAML: {error}")).0
}

fn value(event: Event, parser: &mut Source<'_>) -> Value {
    match event {
        Event::Scalar(text, style, _, tag) => tagged(tag, scalar(text, style)),
        Event::SequenceStart(_, tag) => {
            let mut items = Vec::new();
            loop {
                match next(parser) {
                    Event::SequenceEnd => return tagged(tag, Value::Array(items)),
                    item => items.push(value(item, parser)),
                }
            }
        }
        Event::MappingStart(_, tag) => {
            let mut fields = Map::new();
            loop {
                let key = match next(parser) {
                    Event::MappingEnd => return tagged(tag, Value::Object(fields)),
                    Event::Scalar(key, ..) => key,
                    other => panic!("{other:?} is not a key"),
                };
                let item = next(parser);
                let twice = fields.insert(key.clone(), value(item, parser));
                assert!(twice.is_none(), "the key {key} occurs twice");
            }
        }
        other => panic!("{other:?} in a template"),
    }
}

fn scalar(text: String, style: TScalarStyle) -> Value {
    if style != TScalarStyle::Plain {
        return Value::String(text);
    }
    match text.as_str() {
        "" | "null" | "~" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        number => number.parse().map_or(Value::String(text), |number: i64| Value::Number(Number::from(number))),
    }
}

/// The long forms of `!Ref` and `!Condition` have the same names. The others begin with `Fn::`.
fn tagged(tag: Option<Tag>, value: Value) -> Value {
    let Some(tag) = tag else { return value };
    assert_eq!(tag.handle, "!", "a built-in tag of YAML");
    match tag.suffix.as_str() {
        "Ref" => json!({"Ref": value}),
        "GetAtt" => {
            let (resource, attribute) =
                value.as_str().and_then(|path| path.split_once('.')).expect("Resource.Attribute");
            json!({"Fn::GetAtt": [resource, attribute]})
        }
        name => json!({format!("Fn::{name}"): value}),
    }
}

#[test]
fn short_tags_are_read() {
    let read =
        parse("a: !Ref B\nb: !Sub ['${C}', {C: !GetAtt D.Arn}]\nc: [1, '1', yes, true]\nd: !If [E, \"\", !Ref F]\n");
    let expected = json!({
        "a": {"Ref": "B"}, "b": {"Fn::Sub": ["${C}", {"C": {"Fn::GetAtt": ["D", "Arn"]}}]},
        "c": [1, "1", "yes", true], "d": {"Fn::If": ["E", "", {"Ref": "F"}]},
    });
    assert_eq!(read, expected);
}
