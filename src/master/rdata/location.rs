//! Geographical locations (LOC, RFC 1876).

use super::TextError;
use super::read::push_u32;
use super::reader::{Reader, ascii};

/// The equator and the prime meridian, in thousandths of a second of arc.
const ZERO_ANGLE: i64 = 1 << 31;
/// Altitudes count centimetres from 100,000 m below the WGS 84 spheroid.
const ZERO_ALTITUDE: i64 = 10_000_000;
/// Size 1 m, horizontal precision 10,000 m, vertical precision 10 m, in centimetres (RFC 1876 §3).
const DEFAULTS: [u64; 3] = [100, 1_000_000, 1_000];

/// Reads `d [m [s]] N|S d [m [s]] E|W altitude [size [horizontal [vertical]]]`.
pub(super) fn read(reader: &mut Reader<'_, '_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let latitude = angle(reader, 90, b'N', b'S')?;
    let longitude = angle(reader, 180, b'E', b'W')?;
    let altitude = reader.parse("an altitude", |text| {
        let value = centimetres(text).map(|value| value + ZERO_ALTITUDE);
        value
            .and_then(|value| u32::try_from(value).ok())
            .ok_or_else(|| TextError::new("an altitude is a number of metres from -100000.00 to 42849672.95"))
    })?;
    let mut precisions = DEFAULTS;
    for value in &mut precisions {
        if !reader.is_empty() {
            *value = reader.parse("a precision", |text| {
                let value = centimetres(text).and_then(|value| u64::try_from(value).ok());
                value
                    .filter(|&value| value <= 9_000_000_000)
                    .ok_or_else(|| TextError::new("a precision is a number of metres from 0 to 90000000.00"))
            })?;
        }
    }
    out.push(0);
    out.extend(precisions.map(compress));
    for value in [latitude, longitude, altitude] {
        push_u32(out, value);
    }
    Ok(())
}

/// Reads degrees, minutes and seconds up to a letter for the hemisphere.
fn angle(reader: &mut Reader<'_, '_>, most: i64, positive: u8, negative: u8) -> Result<u32, TextError> {
    let hemisphere = |text: &[u8]| {
        let letter = *text.first().filter(|_| text.len() == 1)?;
        (letter == positive || letter == negative).then_some(if letter == positive { 1 } else { -1 })
    };
    let mut total = 0;
    for (unit, limit, decimals) in [(3_600_000, most, 0), (60_000, 59, 0), (1_000, 59, 3)] {
        if let Some(sign) = reader.peek().and_then(|token| hemisphere(token.text)).filter(|_| unit < 3_600_000) {
            let at = reader.token("a hemisphere")?.at;
            return finish_angle(sign * total).map_err(|error| error.or_at(at));
        }
        total += reader.parse("degrees, minutes or seconds", |text| {
            let scale = 10i64.pow(decimals);
            let value = fixed_point(text, decimals).filter(|value| (0..(limit + 1) * scale).contains(value));
            let what = || format!("this should be a number from 0 to {limit}, or {}", char::from(positive));
            value.map(|value| value * unit / scale).ok_or_else(|| TextError::new(what()))
        })?;
    }
    let (n, s) = (char::from(positive), char::from(negative));
    let sign = reader.parse("a hemisphere", |text| {
        hemisphere(text).ok_or_else(|| TextError::new(format!("the hemisphere should be {n} or {s}")))
    })?;
    finish_angle(sign * total)
}

fn finish_angle(value: i64) -> Result<u32, TextError> {
    u32::try_from(ZERO_ANGLE + value).map_err(|_| TextError::new("the angle is out of range"))
}

/// Metres with up to two decimals and perhaps an `m` at the end, in centimetres.
fn centimetres(text: &[u8]) -> Option<i64> {
    fixed_point(text.strip_suffix(b"m").unwrap_or(text), 2)
}

/// A decimal number with at most `decimals` digits after the point, times ten to that power.
fn fixed_point(text: &[u8], decimals: u32) -> Option<i64> {
    let (sign, text) = match text.first()? {
        b'-' => (-1, &text[1..]),
        _ => (1, text),
    };
    let (whole, fraction) = match text.iter().position(|&byte| byte == b'.') {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &[][..]),
    };
    let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    if whole.is_empty() || whole.len() > 10 || fraction.len() > decimals as usize || !digits(whole) || !digits(fraction)
    {
        return None;
    }
    let fraction = format!("{:0<width$}", ascii(fraction), width = decimals as usize);
    let whole: i64 = ascii(whole).parse().ok()?;
    Some(sign * (whole * 10i64.pow(decimals) + if decimals == 0 { 0 } else { fraction.parse::<i64>().ok()? }))
}

/// Centimetres as one digit times a power of ten (RFC 1876 §2).
fn compress(centimetres: u64) -> u8 {
    let (mut mantissa, mut exponent) = (centimetres, 0);
    while mantissa > 9 {
        mantissa /= 10;
        exponent += 1;
    }
    (mantissa as u8) << 4 | exponent
}

/// Writes the location with all its parts; `None` if a part is out of its range.
pub(super) fn write(rest: &[u8], out: &mut String) -> Option<()> {
    let wire: &[u8; 16] = rest.try_into().ok().filter(|wire: &&[u8; 16]| wire[0] == 0)?;
    let word = |at: usize| i64::from(u32::from_be_bytes([wire[at], wire[at + 1], wire[at + 2], wire[at + 3]]));
    write_angle(word(4) - ZERO_ANGLE, ['N', 'S'], out);
    write_angle(word(8) - ZERO_ANGLE, ['E', 'W'], out);
    let altitude = word(12) - ZERO_ALTITUDE;
    let sign = if altitude < 0 { "-" } else { "" };
    out.push_str(&format!("{sign}{}.{:02}m", altitude.abs() / 100, altitude.abs() % 100));
    for byte in &wire[1..4] {
        let (mantissa, exponent) = (u64::from(byte >> 4), u32::from(byte & 0xf));
        if mantissa > 9 || exponent > 9 {
            return None;
        }
        let value = mantissa * 10u64.pow(exponent);
        match value % 100 {
            0 => out.push_str(&format!(" {}m", value / 100)),
            rest => out.push_str(&format!(" {}.{rest:02}m", value / 100)),
        }
    }
    Some(())
}

fn write_angle(value: i64, letters: [char; 2], out: &mut String) {
    let (size, letter) = (value.abs(), letters[usize::from(value < 0)]);
    let (degrees, minutes) = (size / 3_600_000, size / 60_000 % 60);
    out.push_str(&format!("{degrees} {minutes} {}.{:03} {letter} ", size / 1000 % 60, size % 1000));
}
