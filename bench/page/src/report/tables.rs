//! What was measured, part by part.

use bench_shared::distribution::Distribution;
use bench_shared::table::{Table, figure, grouped};

use super::{megabytes, name};
use crate::memory::Sample;
use crate::peer::{CHARTS, Drawn, LINES, POINTS, SIZE};
use crate::{first, frames, memory, peer};

/// Quantiles that are told.
const TOLD: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("worst", 1.0)];
/// Frames after which the memory is told.
const MOMENTS: [u64; 6] = [100, 450, 900, 1_800, 3_600, 4_500];

pub(super) fn frames(found: &[frames::Findings]) -> String {
    let mut parts = vec![frames_text().to_owned()];
    for found in found {
        let times = &found.times;
        let mut table = times_table(&format!("{} (ms)", name(found.case)));
        let rows = [
            ("taking the message", &times.taking),
            ("painting", &times.painting),
            ("**both**", &times.work),
            ("the browser's rendering after it", &times.rendering),
            ("waiting for the screen", &times.waiting),
            ("arrived to painted, with the waiting", &times.painted),
            ("arrived to rendered, with the waiting", &times.rendered),
        ];
        rows.iter().for_each(|(name, times)| put_times(&mut table, name, times));
        let tasks = &found.long_tasks;
        let longest = if tasks.count() > 0 { format!(", the longest {:.0} ms", tasks.most()) } else { String::new() };
        parts.push(table.render());
        parts.push(format!(
            "{} frames, {} charts in sight; tasks over 50 ms: {}{longest}.{}",
            times.work.count(),
            found.charts,
            tasks.count(),
            if found.is_whole { "" } else { " The page had not made the past of its charts when it began." },
        ));
    }
    parts.join("\n\n")
}

fn frames_text() -> &'static str {
    "A page that holds 15 minutes and shows them, on Metrics, or with 1,000 sessions on Sessions; frames come every \
     quarter of a second instead of every second.\n\n\
     - Taking is from the socket's message until all that it says is kept; painting is all that the page does before \
     the screen is drawn: figures, texts, the display lists, and their replay on the canvases.\n\
     - The wait between the two is the browser's: a page is painted when the screen is refreshed next, 60 times a \
     second.\n\
     - The browser's rendering is what it does in the page's own thread afterwards: layout, and without a graphics \
     card also the pixels of the canvases, so that it is most of all there. Tasks over 50 ms have it in them.\n\
     - The page's clock has steps of 0.1 ms."
}

pub(super) fn memory(found: &[memory::Findings]) -> String {
    let told: Vec<u64> =
        MOMENTS.into_iter().filter(|moment| found.iter().all(|found| at(found, *moment).is_some())).collect();
    let title = |moment: &u64| format!("{} frames", grouped(*moment as usize));
    let mut parts = vec![memory_text().to_owned()];
    type BytesOf = fn(&Sample) -> f64;
    let kinds: [(&str, BytesOf); 2] =
        [("wasm memory (MB)", |sample| sample.wasm), ("JavaScript heap (MB)", |sample| sample.heap)];
    for (kind, bytes) in kinds {
        let mut table = Table::new(kind, told.iter().map(title).chain(["most".to_owned()]));
        for found in found {
            let of_moment = |moment: &u64| at(found, *moment).map_or(0.0, bytes);
            let most = found.samples.iter().map(bytes).fold(0.0, f64::max);
            let cells: Vec<f64> = told.iter().map(of_moment).chain([most]).collect();
            table.row(name(found.case), cells.into_iter().map(|bytes| figure(megabytes(bytes))));
        }
        parts.push(table.render());
    }
    parts.join("\n\n")
}

/// The first sample from this moment on.
fn at(found: &memory::Findings, moment: u64) -> Option<&Sample> {
    found.samples.iter().find(|sample| sample.frames >= moment)
}

fn memory_text() -> &'static str {
    "From a page that has just been opened: a frame is a second of the service, and they come 20 times a second up to \
     the 1,800th, which is half an hour, then 450 at once. The page keeps at most an hour. Memory of wasm never \
     shrinks; the heap is what is left after all garbage was collected, with the bench's own probe in it. The \
     canvases are in neither."
}

pub(super) fn first(found: &first::Findings) -> String {
    let mut table = times_table("from the navigation's start (ms)");
    put_times(&mut table, "first painting with figures", &found.first);
    put_times(&mut table, "first painting of all the history", &found.whole);
    format!(
        "{} loads of the first page, with a cold cache and an empty one of code, of a service of {} series that has \
         run for 15 minutes. The first load is {} bytes in Brotli.\n\n{}",
        found.first.count(),
        grouped(first::CASE.series),
        grouped(found.bytes as usize),
        table.render(),
    )
}

pub(super) fn peer(found: &peer::Findings) -> String {
    let mut table = times_table("a tick of all charts (ms)");
    let drawn = |table: &mut Table, name: &str, drawn: &Drawn| {
        put_times(table, &format!("{name}, the script"), &drawn.drawn);
        put_times(table, &format!("{name}, with the browser's rendering"), &drawn.rendered);
    };
    drawn(&mut table, "**the page's own**", &found.own);
    put_times(&mut table, "… of which making display lists", &found.lists);
    drawn(&mut table, "uPlot", &found.peer);
    [peer_text(), table.render(), size_table(&found.sizes).render()].join("\n\n")
}

fn peer_text() -> String {
    let (width, height) = SIZE;
    format!(
        "{CHARTS} charts of {LINES} lines with {POINTS} points each, {width} by {height} pixels, all of them drawn \
         anew for each tick; both from the same figures in columns of 64-bit floats, by turns in the same page. Each \
         draws its axes and lines, without legend, cursor, marks or points.\n\n\
         - The page's own are its `plot` module compiled as the page is, but for the standard library, with \
         `paint.js`. uPlot gets typed arrays by `setData`, and is waited for: it draws in a microtask.\n\
         - The page's module keeps the extremes of each pixel column; uPlot does so, too, from four points a pixel \
         on, which is more than there are here.\n\
         - The size of the page's own is that of a module of nothing else, with its allocator and its formatting of \
         numbers, which the page has only once.",
    )
}

fn size_table(sizes: &peer::Sizes) -> Table {
    let mut table = Table::new("bytes in Brotli", ["script", "style or wasm", "both"].map(str::to_owned));
    let mut row = |name: &str, script: u64, other: u64| {
        table.row(name.to_owned(), [script, other, script + other].map(|bytes| grouped(bytes as usize)));
    };
    row("the page's own: `paint.js`, wasm", sizes.own_script, sizes.own_wasm);
    row("uPlot: script, style", sizes.peer_script, sizes.peer_style);
    table
}

fn times_table(corner: &str) -> Table {
    Table::new(corner, TOLD.map(|(name, _)| name.to_owned()))
}

fn put_times(table: &mut Table, name: &str, times: &Distribution) {
    table.row(name.to_owned(), TOLD.map(|(_, q)| figure(times.quantile(q))));
}
