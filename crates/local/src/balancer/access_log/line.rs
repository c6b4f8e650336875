//! One line of the access log. Every request makes one, so it is put together by hand: the formatting machinery of the
//! standard library took a tenth of the balancer's own time.

use std::cell::Cell;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;

/// Everything a line tells. AWS's order and words; `-` stands for what a request did not have.
#[derive(Debug)]
pub(in super::super) struct Entry<'e> {
    pub(in super::super) time: Timestamp,
    pub(in super::super) created: Timestamp,
    pub(in super::super) name: &'e str,
    pub(in super::super) client: SocketAddr,
    pub(in super::super) target: Option<SocketAddr>,
    pub(in super::super) times: Times,
    pub(in super::super) elb_status: u16,
    pub(in super::super) target_status: Option<u16>,
    pub(in super::super) sizes: Sizes,
    pub(in super::super) request: &'e str,
    pub(in super::super) user_agent: &'e str,
    pub(in super::super) group: Option<&'e str>,
    pub(in super::super) trace: &'e str,
    pub(in super::super) domain: &'e str,
    pub(in super::super) rule: Option<u16>,
    pub(in super::super) action: &'e str,
    pub(in super::super) redirect: Option<&'e str>,
    pub(in super::super) error: Option<&'static str>,
    pub(in super::super) connection_id: u128,
}

/// To the target, at the target, back to the client; `None` is written as -1.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Times {
    pub(in super::super) request: Option<Duration>,
    pub(in super::super) target: Option<Duration>,
    pub(in super::super) response: Option<Duration>,
}

/// Bytes with heads.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Sizes {
    pub(in super::super) received: u64,
    pub(in super::super) sent: u64,
}

impl Entry<'_> {
    pub(super) fn append_to(&self, line: &mut String) {
        line.push_str("http ");
        push_time(line, self.time);
        push_all(line, &[" ", self.name, " "]);
        push_address(line, Some(self.client));
        line.push(' ');
        push_address(line, self.target);
        for time in [self.times.request, self.times.target, self.times.response] {
            line.push(' ');
            push_seconds(line, time);
        }
        line.push(' ');
        push_number(line, u64::from(self.elb_status));
        line.push(' ');
        push_or_dash(line, self.target_status);
        for size in [self.sizes.received, self.sizes.sent] {
            line.push(' ');
            push_number(line, size);
        }
        for text in [self.request, self.user_agent] {
            line.push(' ');
            push_quoted(line, text);
        }
        // No TLS here: cipher, protocol and certificate are always absent.
        push_all(line, &[" - - ", self.group.unwrap_or("-")]);
        for text in [self.trace, self.domain] {
            line.push(' ');
            push_quoted(line, text);
        }
        line.push_str(" \"-\" ");
        push_or_dash(line, self.rule);
        line.push(' ');
        push_time(line, self.created);
        for text in [self.action, self.redirect.unwrap_or("-"), self.error.unwrap_or("-")] {
            line.push(' ');
            push_quoted(line, text);
        }
        line.push_str(" \"");
        push_address(line, self.target);
        line.push_str("\" \"");
        push_or_dash(line, self.target_status);
        line.push_str("\" \"-\" \"-\" TID_");
        push_hexadecimal(line, self.connection_id);
    }
}

fn push_all(line: &mut String, parts: &[&str]) {
    for part in parts {
        line.push_str(part);
    }
}

fn push_number(line: &mut String, number: u64) {
    push_digits(line, number, 1);
}

/// At least so many digits, with zeros in front.
fn push_digits(line: &mut String, mut number: u64, at_least: usize) {
    let mut digits = [b'0'; 20]; // As many as the largest u64 has.
    let mut from = digits.len();
    while number > 0 {
        from -= 1;
        digits[from] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    let from = from.min(digits.len() - at_least);
    push_ascii(line, &digits[from..]);
}

fn push_ascii(line: &mut String, bytes: &[u8]) {
    line.push_str(std::str::from_utf8(bytes).expect("digits and dates are ASCII"));
}

fn push_hexadecimal(line: &mut String, number: u128) {
    let digits: [u8; 32] = std::array::from_fn(|at| b"0123456789abcdef"[(number >> (124 - 4 * at) & 0xf) as usize]);
    push_ascii(line, &digits);
}

fn push_or_dash(line: &mut String, number: Option<u16>) {
    match number {
        Some(number) => push_number(line, u64::from(number)),
        None => line.push('-'),
    }
}

/// Seconds with three decimals, or -1 where there is none.
fn push_seconds(line: &mut String, time: Option<Duration>) {
    let Some(time) = time else {
        line.push_str("-1");
        return;
    };
    let millis = (time.as_micros() + 500) / 1000;
    push_number(line, (millis / 1000) as u64);
    line.push('.');
    push_digits(line, (millis % 1000) as u64, 3);
}

fn push_address(line: &mut String, address: Option<SocketAddr>) {
    match address {
        Some(SocketAddr::V4(address)) => {
            for (at, part) in address.ip().octets().into_iter().enumerate() {
                if at > 0 {
                    line.push('.');
                }
                push_number(line, u64::from(part));
            }
            line.push(':');
            push_number(line, u64::from(address.port()));
        }
        Some(SocketAddr::V6(address)) => write!(line, "{address}").expect("a String takes every write"),
        None => line.push('-'),
    }
}

/// RFC 3339 with microseconds. The part down to the second is made once a second.
fn push_time(line: &mut String, at: Timestamp) {
    /// `2026-01-02T03:04:05`
    const TO_SECOND: usize = 19;
    thread_local! {
        static LAST: Cell<(i64, [u8; TO_SECOND])> = const { Cell::new((i64::MIN, [b'0'; TO_SECOND])) };
    }
    let second = at.as_nanosecond().div_euclid(1_000_000_000) as i64;
    let (known, mut text) = LAST.get();
    if known != second {
        let whole = at.to_string();
        // Years beyond 9999 are longer, and no clock shows one.
        if let Some(to_second) = whole.as_bytes().first_chunk() {
            text = *to_second;
        }
        LAST.set((second, text));
    }
    push_ascii(line, &text);
    line.push('.');
    let micros = at.as_nanosecond().rem_euclid(1_000_000_000) / 1000;
    push_digits(line, micros as u64, 6);
    line.push('Z');
}

/// In double quotes, with what would end or break the field as `\xHH`, which is how AWS writes it.
fn push_quoted(line: &mut String, text: &str) {
    let plain = |byte: &u8| !byte.is_ascii_control() && !matches!(byte, b'"' | b'\\');
    line.push('"');
    if text.as_bytes().iter().all(plain) {
        line.push_str(text);
    } else {
        for c in text.chars() {
            match c {
                '"' | '\\' => write!(line, "\\x{:02X}", c as u32).expect("a String takes every write"),
                c if c.is_ascii_control() => {
                    write!(line, "\\x{:02X}", c as u32).expect("a String takes every write");
                }
                c => line.push(c),
            }
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(request: &str) -> Entry<'_> {
        Entry {
            time: "2026-01-02T03:04:05.250000Z".parse().unwrap(),
            created: "2026-01-02T03:04:05Z".parse().unwrap(),
            name: "app/try/1",
            client: "10.0.0.7:5000".parse().unwrap(),
            target: Some("10.0.1.1:8080".parse().unwrap()),
            times: Times {
                request: Some(Duration::from_micros(400)),
                target: Some(Duration::from_millis(12)),
                response: None,
            },
            elb_status: 200,
            target_status: Some(200),
            sizes: Sizes {
                received: 34,
                sent: 366,
            },
            request,
            user_agent: "curl/8",
            group: Some("canary"),
            trace: "Root=1-0-1",
            domain: "shop",
            rule: Some(7),
            action: "forward",
            redirect: None,
            error: None,
            connection_id: 255,
        }
    }

    fn text(entry: &Entry<'_>) -> String {
        let mut line = String::new();
        entry.append_to(&mut line);
        line
    }

    #[test]
    fn numbers_and_times_are_written_as_the_standard_library_would() {
        for number in [0, 7, 10, 99, 100, 65_535, u64::MAX] {
            let mut line = String::new();
            push_number(&mut line, number);
            assert_eq!(line, number.to_string());
        }
        for micros in [0, 1, 499, 501, 12_345, 999_499, 999_501, 3_600_000_001] {
            let (time, mut line) = (Duration::from_micros(micros), String::new());
            push_seconds(&mut line, Some(time));
            assert_eq!(line, format!("{:.3}", time.as_secs_f64()));
        }
        for nanos in [
            0,
            999,
            1_700_000_000_123_456_789,
            1_700_000_000_999_999_999,
            1_700_000_001_000_000_000,
        ] {
            let (at, mut line) = (Timestamp::from_nanosecond(nanos).unwrap(), String::new());
            push_time(&mut line, at);
            assert_eq!(line, format!("{at:.6}"));
        }
        let mut line = String::new();
        push_hexadecimal(&mut line, u128::MAX - 14);
        push_address(&mut line, Some("[::1]:80".parse().unwrap()));
        assert_eq!(line, format!("{:032x}[::1]:80", u128::MAX - 14));
    }

    #[test]
    fn a_line_has_every_field_in_awss_order() {
        let expected = concat!(
            "http 2026-01-02T03:04:05.250000Z app/try/1 10.0.0.7:5000 10.0.1.1:8080 0.000 0.012 -1 200 200 34 366 ",
            "\"GET http://shop/ HTTP/1.1\" \"curl/8\" - - canary \"Root=1-0-1\" \"shop\" \"-\" 7 ",
            "2026-01-02T03:04:05.000000Z \"forward\" \"-\" \"-\" \"10.0.1.1:8080\" \"200\" \"-\" \"-\" ",
            "TID_000000000000000000000000000000ff",
        );
        assert_eq!(text(&entry("GET http://shop/ HTTP/1.1")), expected);
    }

    #[test]
    fn quotes_and_control_characters_cannot_break_a_field() {
        let line = text(&entry("GET /\"x\\\n HTTP/1.1"));
        assert!(line.contains(r#""GET /\x22x\x5C\x0A HTTP/1.1""#), "{line}");
    }
}
