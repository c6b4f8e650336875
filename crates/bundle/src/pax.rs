//! The records of a pax header, read by their length as Go's `archive/tar` does: values may hold any byte, line ends too.
//! Must never know what the keys mean.

/// The record's own length field, a space, a key, an equals sign, and the line end.
const SHORTEST: usize = 5;

/// Key, value, and the bytes after the record.
type Record<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// Splits the first record off: key, value and what follows. The reason if it is none.
pub(crate) fn record(bytes: &[u8]) -> Result<Record<'_>, &'static str> {
    const DAMAGED: &str = "a pax record does not have the length that it claims";
    let space = bytes.iter().position(|&byte| byte == b' ').ok_or(DAMAGED)?;
    let length = std::str::from_utf8(&bytes[..space])
        .ok()
        .and_then(|text| text.parse::<usize>().ok());
    let length = length
        .filter(|length| (SHORTEST..=bytes.len()).contains(length))
        .ok_or(DAMAGED)?;
    let (record, rest) = bytes.split_at(length);
    let Some((b'\n', record)) = record.get(space + 1..).and_then(<[u8]>::split_last) else {
        return Err(DAMAGED);
    };
    let equals = record
        .iter()
        .position(|&byte| byte == b'=')
        .ok_or("a pax record has no `=`")?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    if key.is_empty() || key.contains(&0) {
        return Err("a pax record has no key");
    }
    Ok((key, value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_taken_by_their_length() {
        let bytes = b"12 a=b\nc=d\n\n5 x=\n";
        let (key, value, rest) = record(bytes).unwrap();
        assert_eq!((key, value), (&b"a"[..], &b"b\nc=d\n"[..]));
        assert_eq!(record(rest).unwrap(), (&b"x"[..], &b""[..], &b""[..]));
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        for bytes in [
            &b""[..],
            b"x",
            b"6 a=b",
            b"5 a=b\n",
            b"99 a=b\n",
            b"-6 a=b\n",
            b"4 =\n",
            b"5 =b\n",
            b"5 ab\n",
            b"18446744073709551616 a=b\n",
            b"2 \n",
            b"7 a\0=b\n",
        ] {
            assert!(record(bytes).is_err(), "{bytes:?}");
        }
    }
}
