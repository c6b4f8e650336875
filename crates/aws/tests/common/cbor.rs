//! CBOR (RFC 8949), in which CloudWatch is asked and answers, as JSON: enough of it for requests of the SDK's and answers of
//! a test's. Every number is written as a double; a moment is `{"moment": seconds}`.

use serde_json::{Map, Value, json};

const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;
/// Of no length given; and the end of such a list.
const OPEN: u8 = 31;
/// Seconds since 1970.
const EPOCH: u64 = 1;

pub(crate) fn read(bytes: &[u8]) -> Value {
    let mut rest = bytes;
    item(&mut rest).unwrap()
}

fn take<'b>(rest: &mut &'b [u8], count: usize) -> &'b [u8] {
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}

fn number(rest: &mut &[u8], bytes: usize) -> u64 {
    take(rest, bytes)
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// The next item; `None` = the end of what is open.
fn item(rest: &mut &[u8]) -> Option<Value> {
    let head = take(rest, 1)[0];
    let (kind, short) = (head >> 5, head & 0x1f);
    let argument = match short {
        24 => number(rest, 1),
        25 => number(rest, 2),
        26 => number(rest, 4),
        27 => number(rest, 8),
        OPEN => u64::MAX,
        small => u64::from(small),
    };
    let length = usize::try_from(argument).unwrap();
    let count = if short == OPEN { usize::MAX } else { length };
    Some(match kind {
        0 => json!(argument),
        1 => json!(-1 - i64::try_from(argument).unwrap()),
        TEXT if short == OPEN => {
            let parts = std::iter::from_fn(|| item(rest));
            parts
                .map(|part| part.as_str().unwrap().to_owned())
                .collect::<String>()
                .into()
        }
        TEXT => std::str::from_utf8(take(rest, length)).unwrap().into(),
        LIST => std::iter::from_fn(|| item(rest)).take(count).collect::<Vec<_>>().into(),
        MAP => {
            let pair = || Some((item(rest)?.as_str().unwrap().to_owned(), item(rest)?));
            std::iter::from_fn(pair).take(count).collect::<Map<_, _>>().into()
        }
        TAG => item(rest).unwrap(),
        SIMPLE => match short {
            20 => false.into(),
            21 => true.into(),
            22 => Value::Null,
            26 => f64::from(f32::from_bits(u32::try_from(argument).unwrap())).into(),
            27 => f64::from_bits(argument).into(),
            OPEN => return None,
            other => panic!("nobody told this reader of {other}"),
        },
        other => panic!("nobody told this reader of kind {other}"),
    })
}

pub(crate) fn moment(seconds: i64) -> Value {
    json!({"moment": seconds})
}

pub(crate) fn written(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(value, &mut bytes);
    bytes
}

fn head(kind: u8, argument: u64, bytes: &mut Vec<u8>) {
    bytes.push(kind << 5 | 27);
    bytes.extend(argument.to_be_bytes());
}

fn double(value: f64, bytes: &mut Vec<u8>) {
    bytes.push(SIMPLE << 5 | 27);
    bytes.extend(value.to_be_bytes());
}

fn write(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Null => bytes.push(SIMPLE << 5 | 22),
        Value::Bool(is) => bytes.push(SIMPLE << 5 | (20 + u8::from(*is))),
        Value::Number(number) => double(number.as_f64().unwrap(), bytes),
        Value::String(text) => {
            head(TEXT, text.len() as u64, bytes);
            bytes.extend(text.as_bytes());
        }
        Value::Array(list) => {
            head(LIST, list.len() as u64, bytes);
            list.iter().for_each(|item| write(item, bytes));
        }
        Value::Object(map) => match map.get("moment").and_then(Value::as_f64) {
            Some(seconds) => {
                head(TAG, EPOCH, bytes);
                double(seconds, bytes);
            }
            None => {
                head(MAP, map.len() as u64, bytes);
                for (key, item) in map {
                    write(&Value::from(key.as_str()), bytes);
                    write(item, bytes);
                }
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let value = json!({"a": [1.5, null, true, "x"], "b": {"c": 0.25}});
        assert_eq!(read(&written(&value)), value);
        assert_eq!(read(&written(&moment(7))), json!(7.0));
    }

    #[test]
    fn lists_without_a_length_end_where_they_end() {
        // {_ "a": [_ 1, -2], "b": (_ "x", "y")}
        let bytes = [
            0xbf, 0x61, b'a', 0x9f, 0x01, 0x21, 0xff, 0x61, b'b', 0x7f, 0x61, b'x', 0x61, b'y', 0xff, 0xff,
        ];
        assert_eq!(read(&bytes), json!({"a": [1, -2], "b": "xy"}));
    }
}
