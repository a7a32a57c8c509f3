//! Recall against cost, drawn.

use plotters::prelude::*;
use std::path::Path;

/// A system with what each of its rungs finds, and what a query costs there in microseconds.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) is_ours: bool,
    /// Recall and cost.
    pub(crate) points: Vec<(f64, f64)>,
}

const SIZE: (u32, u32) = (900, 560);
/// The least recall that is shown.
const LEAST: f64 = 0.85;

/// Draws lines as SVG.
pub(crate) fn draw(path: &Path, title: &str, lines: &[Line]) -> Result<(), String> {
    draw_on(path, title, lines).map_err(|error| format!("drawing {}: {error}", path.display()))
}

fn draw_on(path: &Path, title: &str, lines: &[Line]) -> Result<(), Box<dyn std::error::Error>> {
    let costs = lines
        .iter()
        .flat_map(|line| &line.points)
        .map(|(_, cost)| *cost);
    let (low, high) = costs.fold((f64::INFINITY, 0.0f64), |(low, high), cost| {
        (low.min(cost), high.max(cost))
    });
    if high == 0.0 {
        return Err("nothing was measured".into());
    }
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(LEAST..1.0, (low * 0.8..high * 1.25).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("recall@10")
        .y_desc("processor time per query, microseconds")
        .draw()?;
    for (number, line) in lines.iter().enumerate() {
        let color = if line.is_ours {
            RED.to_rgba()
        } else {
            Palette99::pick(number + 1).mix(0.8)
        };
        let style = color.stroke_width(if line.is_ours { 4 } else { 2 });
        let shown = || {
            line.points
                .iter()
                .copied()
                .filter(|(recall, _)| *recall >= LEAST)
        };
        chart
            .draw_series(LineSeries::new(shown(), style))?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        chart.draw_series(shown().map(|at| Circle::new(at, 3, color.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    Ok(())
}
