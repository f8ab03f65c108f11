use super::canvas;
use super::element::Node;
use super::events::time_of_day;
use super::paint::{gaps_of, mark_of};
use crate::plot::{duration, timeline};
use crate::state::{Place, Span, View, WINDOWS};

/// Steps of the slider.
const STEPS: f64 = 1_000.0;

/// The bar that says which span of time is shown.
#[derive(Debug)]
pub(super) struct Timebar {
    live: Node,
    pause: Node,
    play: Node,
    windows: Vec<Node>,
    scrub: Node,
    strip: Node,
    clock: Node,
}

impl Timebar {
    pub(super) fn find() -> Self {
        let group = Node::by_id("windows");
        let windows = WINDOWS.iter().map(|(seconds, name)| {
            let mut button = Node::made("button", "", &group);
            button.set("type", "button");
            button.set("data-act", &["window:", &seconds.to_string()].concat());
            button.set("data-testid", &["window-", &seconds.to_string()].concat());
            button.text(name);
            button
        });
        let [live, pause, play, scrub, strip, clock] =
            ["live", "pause", "play", "scrub", "timeline", "clock"].map(Node::by_id);
        Self { windows: windows.collect(), live, pause, play, scrub, strip, clock }
    }

    pub(super) fn paint(&mut self, view: &View<'_>, place: &Place, is_playing: bool) {
        let Span { seconds, until_ms } = place.span;
        let is_paused = until_ms.is_some();
        let pressed = |is: bool| if is { "true" } else { "false" };
        self.live.set("aria-pressed", pressed(!is_paused));
        self.pause.set("aria-pressed", pressed(is_paused && !is_playing));
        self.play.show(is_paused);
        self.play.set("aria-pressed", pressed(is_playing));
        for (button, (window, _)) in self.windows.iter_mut().zip(WINDOWS) {
            button.set("aria-pressed", pressed(window == seconds));
        }
        let head = view.ticks.head(view.row);
        let time = head.map_or_else(|| "–".into(), |head| time_of_day(head.wall_ms as f64 / 1_000.0));
        let newest = view.extent_ms().map_or(0, |(_, newest)| newest);
        let behind = until_ms.map_or(0, |until| newest.saturating_sub(until)) / 1_000;
        let told = if is_paused { [&time, ", ", &duration(behind as f64), " behind"].concat() } else { time };
        self.clock.text(&told);
        self.scrub.set("aria-valuetext", &told);
        self.paint_strip(view);
        canvas::set_number(self.scrub.element(), position(view, until_ms));
    }
}

impl Timebar {
    fn paint_strip(&self, view: &View<'_>) {
        let Some((oldest, newest)) = view.extent_ms() else { return };
        let size = (canvas::pixels(self.strip.element(), 0), canvas::pixels(self.strip.element(), 1));
        let (gaps, marks) = (gaps_of(view, view.oldest, view.ticks.newest()), view.events.newest().map(mark_of));
        let list = timeline(size, (oldest as f64, newest as f64), &gaps, &marks.collect::<Vec<_>>());
        canvas::paint(&self.strip, &list);
    }
}

/// Where on the slider a moment is.
fn position(view: &View<'_>, until_ms: Option<u64>) -> f64 {
    let Some((until, (oldest, newest))) = until_ms.zip(view.extent_ms()) else { return STEPS };
    let length = newest.saturating_sub(oldest).max(1) as f64;
    (STEPS * until.saturating_sub(oldest) as f64 / length).clamp(0.0, STEPS)
}

/// The moment of a place on the slider; nothing at its end, which is live.
pub(super) fn moment(view: &View<'_>, position: f64) -> Option<u64> {
    let (oldest, newest) = view.extent_ms()?;
    let share = (position / STEPS).clamp(0.0, 1.0);
    (position < STEPS).then(|| oldest + (share * newest.saturating_sub(oldest) as f64) as u64)
}
