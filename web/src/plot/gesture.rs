use super::chart::ChartView;

/// How far a pointer moves before it drags, in pixels.
const DRAG_PIXELS: f32 = 5.0;
/// The shortest span that can be dragged out, in milliseconds.
const SPAN_MIN_MS: f64 = 3_000.0;

/// What the reader wants of a chart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Nothing.
    None,
    /// To look at a moment, in Unix milliseconds.
    Cursor(f64),
    /// To look at no moment any more.
    CursorOff,
    /// A span is being dragged out.
    Select(f64, f64),
    /// To see just this span.
    Zoom(f64, f64),
    /// To see what is so many milliseconds later.
    Pan(f64),
    /// To see a span so many times as long, with a moment where it is.
    ZoomAround(f64, f64),
    /// To see the usual span.
    Reset,
    /// To see what is so many ticks later.
    Step(i32),
    /// To see the chart by itself.
    Open,
}

/// A pointer on a chart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pointer {
    /// Which one.
    pub id: i32,
    /// Pixels from the chart's left edge.
    pub x: f32,
    /// Pixels from its upper edge.
    pub y: f32,
    /// Whether it is a finger.
    pub is_touch: bool,
    /// Whether it moves the span instead of dragging one out: by a key or the middle button.
    pub moves_span: bool,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name, as the browser has it.
    pub name: String,
    /// With shift.
    pub shift: bool,
}

/// What pointers are doing to a chart.
#[derive(Clone, Debug, Default)]
pub struct Gesture {
    /// Those that are down, where they came down and where they are.
    down: Vec<Held>,
    mode: Mode,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    id: i32,
    begin: (f32, f32),
    now: f32,
    moves_span: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Undecided,
    Select,
    Pan,
    Pinch,
    /// The finger scrolls the page.
    Scroll,
}

impl Gesture {
    /// A pointer comes down.
    pub fn down(&mut self, pointer: Pointer, view: &ChartView) -> Action {
        let Pointer { id, x, y, moves_span, is_touch } = pointer;
        self.down.retain(|held| held.id != id);
        if self.down.len() < 2 {
            self.down.push(Held { id, begin: (x, y), now: x, moves_span: moves_span || is_touch });
        }
        self.mode = if self.down.len() == 2 { Mode::Pinch } else { Mode::Undecided };
        Action::Cursor(view.moment(x))
    }

    /// A pointer moves.
    pub fn moved(&mut self, pointer: Pointer, view: &ChartView) -> Action {
        let Pointer { id, x, y, .. } = pointer;
        let Some(place) = self.down.iter().position(|held| held.id == id) else {
            return Action::Cursor(view.moment(x));
        };
        let before = self.down[place].now;
        let (begin, moves_span) = (self.down[place].begin, self.down[place].moves_span);
        if self.mode == Mode::Undecided {
            self.mode = decide(x - begin.0, y - begin.1, moves_span, pointer.is_touch);
        }
        match self.mode {
            Mode::Undecided | Mode::Scroll => Action::None,
            Mode::Select => Action::Select(view.moment(begin.0), view.moment(x)),
            Mode::Pan => {
                self.down[place].now = x;
                Action::Pan(f64::from(before - x) * view.ms_each_pixel())
            }
            Mode::Pinch => self.pinch(place, x, view),
        }
    }

    /// Two fingers: the span is so many times as long as they are closer.
    fn pinch(&mut self, place: usize, x: f32, view: &ChartView) -> Action {
        let Some(other) = self.down.iter().map(|held| held.now).nth(1 - place) else { return Action::None };
        let before = (self.down[place].now - other).abs().max(10.0);
        let now = (x - other).abs().max(10.0);
        self.down[place].now = x;
        Action::ZoomAround(view.moment((x + other) / 2.0), f64::from(before / now))
    }

    /// A pointer goes up.
    pub fn up(&mut self, pointer: Pointer, view: &ChartView) -> Action {
        let held = self.down.iter().position(|held| held.id == pointer.id).map(|place| self.down.swap_remove(place));
        let mode = std::mem::take(&mut self.mode);
        let Some(held) = held else { return Action::None };
        let (from, to) = (view.moment(held.begin.0), view.moment(pointer.x));
        let is_span = (to - from).abs() >= SPAN_MIN_MS;
        match mode {
            Mode::Select if is_span => Action::Zoom(from.min(to), from.max(to)),
            _ => Action::Cursor(view.moment(pointer.x)),
        }
    }

    /// The browser took a pointer for itself.
    pub fn cancel(&mut self, pointer: Pointer) -> Action {
        self.down.retain(|held| held.id != pointer.id);
        self.mode = Mode::Undecided;
        Action::CursorOff
    }

    /// The pointer left the chart.
    pub fn leave(&mut self) -> Action {
        if self.down.is_empty() { Action::CursorOff } else { Action::None }
    }

    /// The wheel turns, with a key that makes it zoom.
    pub fn wheel(&mut self, x: f32, delta: f64, view: &ChartView) -> Action {
        Action::ZoomAround(view.moment(x), if delta > 0.0 { 1.25 } else { 0.8 })
    }

    /// A key on the chart.
    pub fn key(&mut self, key: &Key, view: &ChartView) -> Action {
        let steps = if key.shift { 10 } else { 1 };
        let middle = (view.from_ms + view.until_ms) / 2.0;
        match key.name.as_str() {
            "ArrowLeft" => Action::Step(-steps),
            "ArrowRight" => Action::Step(steps),
            "Home" => Action::Pan(f64::MIN),
            "End" => Action::Pan(f64::MAX),
            "+" | "=" => Action::ZoomAround(middle, 0.5),
            "-" => Action::ZoomAround(middle, 2.0),
            "0" => Action::Reset,
            "Enter" => Action::Open,
            "Escape" => Action::CursorOff,
            _ => Action::None,
        }
    }
}

fn decide(across: f32, down: f32, moves_span: bool, is_touch: bool) -> Mode {
    match () {
        () if is_touch && down.abs() > DRAG_PIXELS && down.abs() > across.abs() => Mode::Scroll,
        () if across.abs() < DRAG_PIXELS => Mode::Undecided,
        () if moves_span => Mode::Pan,
        () => Mode::Select,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pixel is 200 ms; the plot begins at 62.
    const VIEW: ChartView =
        ChartView { width: 370.0, height: 128.0, from_ms: 100_000.0, until_ms: 160_000.0, zone_minutes: 0 };

    fn mouse(x: f32) -> Pointer {
        Pointer { id: 1, x, y: 20.0, is_touch: false, moves_span: false }
    }

    fn finger(id: i32, x: f32, y: f32) -> Pointer {
        Pointer { id, x, y, is_touch: true, moves_span: false }
    }

    #[test]
    fn dragging_a_mouse_zooms() {
        let mut gesture = Gesture::default();
        assert_eq!(gesture.moved(mouse(112.0), &VIEW), Action::Cursor(110_000.0));
        gesture.down(mouse(112.0), &VIEW);
        assert_eq!(gesture.moved(mouse(114.0), &VIEW), Action::None);
        assert_eq!(gesture.moved(mouse(212.0), &VIEW), Action::Select(110_000.0, 130_000.0));
        assert_eq!(gesture.leave(), Action::None);
        assert_eq!(gesture.up(mouse(162.0), &VIEW), Action::Zoom(110_000.0, 120_000.0));
        assert_eq!(gesture.leave(), Action::CursorOff);
    }

    #[test]
    fn a_short_drag_and_a_click_only_look() {
        let mut gesture = Gesture::default();
        gesture.down(mouse(112.0), &VIEW);
        gesture.moved(mouse(118.0), &VIEW);
        assert_eq!(gesture.up(mouse(118.0), &VIEW), Action::Cursor(111_200.0));
    }

    #[test]
    fn shift_moves_the_span() {
        let mut gesture = Gesture::default();
        let with_shift = |x| Pointer { moves_span: true, ..mouse(x) };
        gesture.down(with_shift(112.0), &VIEW);
        assert_eq!(gesture.moved(with_shift(122.0), &VIEW), Action::Pan(-2_000.0));
        assert_eq!(gesture.moved(with_shift(117.0), &VIEW), Action::Pan(1_000.0));
    }

    #[test]
    fn a_finger_moves_the_span_or_scrolls_the_page() {
        let mut gesture = Gesture::default();
        gesture.down(finger(1, 112.0, 20.0), &VIEW);
        assert_eq!(gesture.moved(finger(1, 122.0, 22.0), &VIEW), Action::Pan(-2_000.0));
        gesture.up(finger(1, 122.0, 22.0), &VIEW);
        gesture.down(finger(1, 112.0, 20.0), &VIEW);
        assert_eq!(gesture.moved(finger(1, 114.0, 40.0), &VIEW), Action::None);
        assert_eq!(gesture.moved(finger(1, 212.0, 40.0), &VIEW), Action::None, "it scrolls");
        assert_eq!(gesture.cancel(finger(1, 212.0, 40.0)), Action::CursorOff);
    }

    #[test]
    fn two_fingers_zoom() {
        let mut gesture = Gesture::default();
        gesture.down(finger(1, 162.0, 20.0), &VIEW);
        gesture.down(finger(2, 262.0, 20.0), &VIEW);
        assert_eq!(gesture.moved(finger(2, 362.0, 20.0), &VIEW), Action::ZoomAround(140_000.0, 0.5));
        assert_eq!(gesture.up(finger(2, 362.0, 20.0), &VIEW), Action::Cursor(160_000.0));
    }

    #[test]
    fn keys_and_wheel() {
        let mut gesture = Gesture::default();
        let mut key = |name: &str, shift| gesture.key(&Key { name: name.into(), shift }, &VIEW);
        assert_eq!((key("ArrowLeft", false), key("ArrowRight", true)), (Action::Step(-1), Action::Step(10)));
        assert_eq!((key("+", false), key("0", false)), (Action::ZoomAround(130_000.0, 0.5), Action::Reset));
        assert_eq!((key("Enter", false), key("q", false)), (Action::Open, Action::None));
        assert_eq!(gesture.wheel(112.0, 1.0, &VIEW), Action::ZoomAround(110_000.0, 1.25));
    }
}
