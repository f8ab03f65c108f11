//! The page's own charts, from columns to the canvas, for a browser that has another library's beside them.

// Taken over by its path: the page around it, which is Leptos, is not what is measured.
#[path = "../../../web/src/plot/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a chart is not all that the page has")]
mod plot;

use plot::{ChartView, Colour, DisplayList, Drawing, PlotLine, ValueAxis};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(raw_module = "./paint.js")]
extern "C" {
    #[wasm_bindgen(js_name = paint)]
    fn replay(canvas: &JsValue, commands: &[f32], texts: &str);
}

/// Charts of the same times and size.
#[wasm_bindgen]
pub struct Charts {
    times: Vec<f64>,
    charts: Vec<Chart>,
    width: f32,
    height: f32,
}

struct Chart {
    canvas: JsValue,
    columns: Vec<Vec<f64>>,
    /// As it was drawn last.
    axis: Option<ValueAxis>,
}

#[wasm_bindgen]
impl Charts {
    /// Charts on these canvases, each of so many lines, without points.
    #[wasm_bindgen(constructor)]
    pub fn new(canvases: Vec<JsValue>, lines: usize, width: f32, height: f32) -> Self {
        let chart = |canvas| Chart { canvas, columns: vec![Vec::new(); lines], axis: None };
        Self { times: Vec::new(), charts: canvases.into_iter().map(chart).collect(), width, height }
    }

    /// Adds a value to each line, and lets go of all but the newest `points`.
    pub fn push(&mut self, at_ms: f64, values: &[f64], points: usize) {
        put(&mut self.times, at_ms, points);
        let columns = self.charts.iter_mut().flat_map(|chart| &mut chart.columns);
        columns.zip(values).for_each(|(column, value)| put(column, *value, points));
    }

    /// Makes all display lists. Returns how many numbers are in them.
    pub fn make(&mut self) -> usize {
        let (times, size) = (&self.times, (self.width, self.height));
        self.charts.iter_mut().map(|chart| chart.list(times, size).commands().len()).sum()
    }

    /// Makes all display lists and replays them.
    pub fn draw(&mut self) {
        for chart in &mut self.charts {
            let list = chart.list(&self.times, (self.width, self.height));
            replay(&chart.canvas, list.commands(), list.texts());
        }
    }
}

impl Chart {
    /// As a card of the page makes it.
    fn list(&mut self, times: &[f64], (width, height): (f32, f32)) -> DisplayList {
        let figures = self.columns.iter().flatten();
        let (low, high) = figures.fold((f64::NAN, f64::NAN), |(low, high), figure| (figure.min(low), figure.max(high)));
        let axis = ValueAxis::steady(self.axis.as_ref(), low, high, "ms", height);
        let lines: Vec<PlotLine<'_>> = (0..)
            .map(Colour::Series)
            .zip(&self.columns)
            .map(|(colour, y)| PlotLine { x: times, y, colour, is_dashed: false, is_stepped: false, is_filled: false })
            .collect();
        let [from_ms, until_ms] = [times.first(), times.last()].map(|at| at.copied().unwrap_or_default());
        let view = ChartView { width, height, from_ms, until_ms, zone_minutes: 0 };
        let list = view.draw(&Drawing {
            axis: &axis,
            lines: &lines,
            heat: &[],
            marks: &[],
            gaps: &[],
            thresholds: &[],
            cursor_ms: None,
            dragged_ms: None,
        });
        self.axis = Some(axis);
        list
    }
}

fn put(column: &mut Vec<f64>, value: f64, points: usize) {
    column.drain(..(column.len() + 1).saturating_sub(points));
    column.push(value);
}
