//! The plot of CPU time per million answers: an SVG file of bars, user below system.

use std::fmt::Write as _;
use std::io;

use crate::Options;
use crate::answers::At;
use crate::samples::Samples;
use crate::servers::Kind;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 50.0;
const BOTTOM: f64 = 50.0;
const TOP: f64 = 40.0;
const USER: &str = "#c0392b";
const SYSTEM: &str = "#95a5a6";

/// Writes the plot beside the Markdown file, if there is one.
pub(crate) fn write(options: &Options, samples: &Samples, kinds: &[Kind], at: &[At]) -> io::Result<()> {
    let Some(file) = &options.into else { return Ok(()) };
    std::fs::write(file.with_extension("svg"), draw(samples, kinds, at))
}

fn draw(samples: &Samples, kinds: &[Kind], at: &[At]) -> String {
    let median = |key, kind| samples.spread(key, kind).map_or(0.0, |of| of.median);
    let most = at.iter().flat_map(|at| kinds.iter().map(|&kind| median(at.total, kind))).fold(1.0, f64::max);
    let scale = (HEIGHT - BOTTOM - TOP) / most;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\">
<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>
<text x=\"{LEFT}\" y=\"18\" font-size=\"13\">CPU seconds per million answers, 1,000 names: \
<tspan fill=\"{USER}\">user</tspan> and <tspan fill=\"{SYSTEM}\">system</tspan></text>\n"
    );
    let base = HEIGHT - BOTTOM;
    for step in 0..=(most as usize / 2) {
        let (value, y) = (step * 2, base - (step * 2) as f64 * scale);
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#eee\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
            LEFT - 6.0,
            y + 4.0
        );
    }
    let group = (WIDTH - LEFT) / at.len() as f64;
    let bar = group / (kinds.len() as f64 + 1.0);
    for (number, at) in at.iter().enumerate() {
        let start = LEFT + group * number as f64 + bar / 2.0;
        for (place, &kind) in kinds.iter().enumerate() {
            let x = start + bar * place as f64;
            let (user, system) = (median(at.user, kind) * scale, median(at.system, kind) * scale);
            let width = bar * 0.8;
            let middle = x + width / 2.0;
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{user:.1}\" fill=\"{USER}\"/>\
<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{system:.1}\" fill=\"{SYSTEM}\"/>\
<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{:.2}</text>\
<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"9\">{kind}</text>",
                base - user,
                base - user - system,
                base - user - system - 4.0,
                median(at.total, kind),
                base + 14.0,
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            start + bar * kinds.len() as f64 / 2.0,
            base + 34.0,
            at.title
        );
    }
    svg.push_str("</svg>\n");
    svg
}
