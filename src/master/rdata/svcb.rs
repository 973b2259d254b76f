//! Service parameters of SVCB and HTTPS (RFC 9460 §2.1, appendix A; RFC 9461, RFC 9540).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::TextError;
use super::read::{ipv4, ipv6, push_u16};
use super::reader::{Reader, ascii, base64, number};
use crate::master::char_string::{decode, write_quoted};

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;
const DOHPATH: u16 = 7;
const OHTTP: u16 = 8;

const KEYS: &[(u16, &str)] = &[
    (MANDATORY, "mandatory"),
    (ALPN, "alpn"),
    (NO_DEFAULT_ALPN, "no-default-alpn"),
    (PORT, "port"),
    (IPV4HINT, "ipv4hint"),
    (ECH, "ech"),
    (IPV6HINT, "ipv6hint"),
    (DOHPATH, "dohpath"),
    (OHTTP, "ohttp"),
];

/// Reads the parameters that are left, in any order.
pub(super) fn read(reader: &mut Reader<'_, '_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let mut params: Vec<(u16, Vec<u8>)> = Vec::new();
    let start = reader.peek().map(|token| token.at);
    while !reader.is_empty() {
        let token = reader.token("a parameter")?;
        if token.glued {
            return Err(TextError::new("a blank is missing between the parameters").or_at(token.at));
        }
        let equals = token.text.iter().position(|&byte| byte == b'=').filter(|_| !token.quoted);
        let (key_text, value_text) = match equals {
            // key="value": the lexer ends a word where a quote starts.
            Some(at) if at + 1 == token.text.len() => {
                let quoted = reader.token_if(|next| next.quoted && next.glued);
                (&token.text[..at], Some(quoted.map_or(&[][..], |next| next.text)))
            }
            Some(at) => (&token.text[..at], Some(&token.text[at + 1..])),
            None => (token.text, None),
        };
        let key = key_number(key_text).map_err(|error| error.or_at(token.at))?;
        if params.iter().any(|param| param.0 == key) {
            return Err(TextError::new("this parameter stands there twice").or_at(token.at));
        }
        let named = KEYS.iter().any(|entry| entry.1.as_bytes() == key_text);
        let value = value(key, named, value_text).map_err(|error| error.or_at(token.at))?;
        params.push((key, value));
    }
    params.sort();
    check(&params).map_err(|error| TextError { at: start, ..error })?;
    for (key, value) in params {
        push_u16(out, key);
        push_u16(out, u16::try_from(value.len()).map_err(|_| TextError::new("a parameter of more than 65535 bytes"))?);
        out.extend_from_slice(&value);
    }
    Ok(())
}

fn key_number(text: &[u8]) -> Result<u16, TextError> {
    if let Some(entry) = KEYS.iter().find(|entry| entry.1.as_bytes() == text) {
        return Ok(entry.0);
    }
    let key = text.strip_prefix(b"key").and_then(|digits| number(digits, "a key", u16::MAX.into()).ok());
    key.map(|key| key as u16).ok_or_else(|| {
        TextError::new(format!(
            "unknown parameter {:?}; one without a name is written key<number>=value",
            String::from_utf8_lossy(text)
        ))
    })
}

/// Whether the value of a key that is written by number is one that the key can have.
fn is_sound(key: u16, value: &[u8]) -> bool {
    match key {
        MANDATORY => !value.is_empty() && value.len().is_multiple_of(2),
        NO_DEFAULT_ALPN => value.is_empty(),
        PORT => value.len() == 2,
        IPV4HINT => !value.is_empty() && value.len().is_multiple_of(4),
        IPV6HINT => !value.is_empty() && value.len().is_multiple_of(16),
        _ => true,
    }
}

/// The wire form of a value. A key written by number takes its value as it is (RFC 9460 §2.1).
fn value(key: u16, named: bool, text: Option<&[u8]>) -> Result<Vec<u8>, TextError> {
    let bytes = decode(text.unwrap_or_default())?;
    if !named {
        let sound = is_sound(key, &bytes);
        return if sound { Ok(bytes.into_owned()) } else { Err(TextError::new("no value that this key can have")) };
    }
    if matches!(key, NO_DEFAULT_ALPN | OHTTP) {
        return if text.is_none() { Ok(Vec::new()) } else { Err(TextError::new("this parameter takes no value")) };
    }
    if bytes.is_empty() && key != ECH {
        return Err(TextError::new("this parameter needs a value"));
    }
    let mut out = Vec::new();
    match key {
        MANDATORY => {
            let keys: Result<Vec<u16>, TextError> = bytes.split(|&byte| byte == b',').map(key_number).collect();
            let mut keys = keys?;
            keys.sort_unstable();
            keys.iter().for_each(|&key| push_u16(&mut out, key));
        }
        ALPN => {
            for id in value_list(&bytes)? {
                let length = u8::try_from(id.len()).ok().filter(|&length| length > 0);
                out.push(length.ok_or_else(|| TextError::new("a protocol id has 1 to 255 bytes"))?);
                out.extend_from_slice(&id);
            }
        }
        PORT => push_u16(&mut out, number(&bytes, "a port", u16::MAX.into())? as u16),
        IPV4HINT => {
            for address in bytes.split(|&byte| byte == b',') {
                out.extend_from_slice(&ipv4(address)?.octets());
            }
        }
        IPV6HINT => {
            for address in bytes.split(|&byte| byte == b',') {
                out.extend_from_slice(&ipv6(address)?.octets());
            }
        }
        ECH => {
            out = base64(&bytes)?;
        }
        _ => out = bytes.into_owned(),
    }
    Ok(out)
}

/// Splits at commas that no backslash escapes (RFC 9460 appendix A.1).
fn value_list(bytes: &[u8]) -> Result<Vec<Vec<u8>>, TextError> {
    let mut items = vec![Vec::new()];
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        let last = items.len() - 1;
        match byte {
            b',' => items.push(Vec::new()),
            b'\\' => match rest.next() {
                Some(&escaped @ (b',' | b'\\')) => items[last].push(escaped),
                _ => return Err(TextError::new("in a list a backslash goes before a comma or a backslash")),
            },
            _ => items[last].push(byte),
        }
    }
    Ok(items)
}

/// What holds between the parameters: those that are mandatory are there (RFC 9460 §8).
fn check(params: &[(u16, Vec<u8>)]) -> Result<(), TextError> {
    let has = |key: u16| params.iter().any(|param| param.0 == key);
    let Some((MANDATORY, listed)) = params.first() else { return Ok(()) };
    let keys: Vec<u16> = listed.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    if keys.contains(&MANDATORY) || keys.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(TextError::new("mandatory may not list itself, nor a parameter twice"));
    }
    match keys.iter().find(|&&key| !has(key)) {
        Some(&key) => Err(TextError::new(format!("{} is mandatory but missing", key_name(key)))),
        None => Ok(()),
    }
}

fn key_name(key: u16) -> String {
    KEYS.iter().find(|entry| entry.0 == key).map_or_else(|| format!("key{key}"), |entry| entry.1.to_owned())
}

/// Writes each parameter after a blank; `None` if the bytes end early.
pub(super) fn write(mut rest: &[u8], out: &mut String) -> Option<()> {
    while let [k0, k1, l0, l1, tail @ ..] = rest {
        let (value, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes([*l0, *l1])))?;
        rest = tail;
        let key = u16::from_be_bytes([*k0, *k1]);
        out.push(' ');
        match write_value(key, value) {
            Some(text) => out.push_str(&format!("{}{text}", key_name(key))),
            None => {
                out.push_str(&format!("key{key}="));
                write_quoted(value, out);
            }
        }
    }
    rest.is_empty().then_some(())
}

/// The value of a key with a name, `=` included; `None` if it is to be written by number.
fn write_value(key: u16, value: &[u8]) -> Option<String> {
    let list = |items: Vec<String>| (!items.is_empty()).then(|| format!("={}", items.join(",")));
    match key {
        MANDATORY if value.len().is_multiple_of(2) => {
            list(value.chunks_exact(2).map(|pair| key_name(u16::from_be_bytes([pair[0], pair[1]]))).collect())
        }
        ALPN if !value.is_empty() => {
            let (mut rest, mut bytes) = (value, Vec::new());
            while let Some((&length, tail)) = rest.split_first() {
                let (id, tail) = tail.split_at_checked(usize::from(length)).filter(|_| length > 0)?;
                if !bytes.is_empty() {
                    bytes.push(b',');
                }
                for &byte in id {
                    if matches!(byte, b',' | b'\\') {
                        bytes.push(b'\\');
                    }
                    bytes.push(byte);
                }
                rest = tail;
            }
            let mut text = "=".to_owned();
            write_quoted(&bytes, &mut text);
            Some(text)
        }
        NO_DEFAULT_ALPN | OHTTP if value.is_empty() => Some(String::new()),
        PORT => Some(format!("={}", u16::from_be_bytes(value.try_into().ok()?))),
        IPV4HINT if value.len().is_multiple_of(4) => list(
            value.chunks_exact(4).map(|four| Ipv4Addr::new(four[0], four[1], four[2], four[3]).to_string()).collect(),
        ),
        IPV6HINT if value.len().is_multiple_of(16) => {
            let address = |octets: &[u8]| Some(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).to_string());
            list(value.chunks_exact(16).filter_map(address).collect())
        }
        ECH => Some(format!("=\"{}\"", data_encoding::BASE64.encode(value))),
        DOHPATH if !value.is_empty() && ascii(value) != "\u{fffd}" => {
            let mut text = "=".to_owned();
            write_quoted(value, &mut text);
            Some(text)
        }
        _ => None,
    }
}
