/// What is to be drawn on a canvas, in CSS pixels: numbers that `web/js/paint.js` replays, and the texts that
/// they name.
///
/// Each command is its own number, then what it takes; the first one is the canvas's size.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DisplayList {
    commands: Vec<f32>,
    texts: String,
    texts_given: u32,
}

/// The colours, by their place in `COLOURS` of `web/js/paint.js`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Text.
    Ink,
    /// Text that is not first.
    Muted,
    /// Hair lines.
    Line,
    /// What the reader does.
    Accent,
    /// A state.
    Good,
    /// A state.
    Caution,
    /// A state.
    Alarm,
    /// A line of a chart, 0 to 11.
    Series(u8),
    /// A step of a heatmap, 0 to 8.
    Heat(u8),
}

impl Colour {
    const fn number(self) -> f32 {
        (match self {
            Self::Ink => 0,
            Self::Muted => 1,
            Self::Line => 2,
            Self::Accent => 3,
            Self::Good => 4,
            Self::Caution => 5,
            Self::Alarm => 6,
            Self::Series(place) => 7 + place % 12,
            Self::Heat(step) => 19 + if step > 8 { 8 } else { step },
        }) as f32
    }
}

/// A rectangle: left, top, width, height.
pub type Area = (f32, f32, f32, f32);

/// Where a text stands at its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// It begins there.
    Left,
    /// It ends there.
    Right,
    /// Its middle is there.
    Centre,
}

const SIZE: f32 = 0.0;
const STROKE: f32 = 1.0;
const FILL: f32 = 2.0;
const RECTS: f32 = 3.0;
const DOT: f32 = 4.0;
const TEXT: f32 = 5.0;
const CLIP: f32 = 6.0;
const UNCLIP: f32 = 7.0;
const HATCH: f32 = 8.0;
const GLYPH: f32 = 9.0;

impl DisplayList {
    /// A list for a canvas of this size.
    pub fn new(width: f32, height: f32) -> Self {
        Self { commands: vec![SIZE, width, height], texts: String::new(), texts_given: 0 }
    }

    /// The commands.
    pub fn commands(&self) -> &[f32] {
        &self.commands
    }

    /// The texts, a line each.
    pub fn texts(&self) -> &str {
        &self.texts
    }

    /// Lines from point to point.
    pub fn stroke(&mut self, colour: Colour, width: f32, is_dashed: bool, points: &[f32]) {
        if points.len() >= 4 {
            let dash = f32::from(u8::from(is_dashed));
            self.commands.extend_from_slice(&[STROKE, colour.number(), width, dash, (points.len() / 2) as f32]);
            self.commands.extend_from_slice(&points[..points.len() / 2 * 2]);
        }
    }

    /// What is inside of the points.
    pub fn fill(&mut self, colour: Colour, opacity: f32, points: &[f32]) {
        self.commands.extend_from_slice(&[FILL, colour.number(), opacity, (points.len() / 2) as f32]);
        self.commands.extend_from_slice(&points[..points.len() / 2 * 2]);
    }

    /// Rectangles.
    pub fn rects(&mut self, colour: Colour, opacity: f32, areas: &[Area]) {
        if !areas.is_empty() {
            self.commands.extend_from_slice(&[RECTS, colour.number(), opacity, areas.len() as f32]);
            areas.iter().for_each(|(x, y, width, height)| self.commands.extend_from_slice(&[*x, *y, *width, *height]));
        }
    }

    /// A dot.
    pub fn dot(&mut self, colour: Colour, x: f32, y: f32, radius: f32) {
        self.commands.extend_from_slice(&[DOT, colour.number(), x, y, radius]);
    }

    /// A text, its middle at the height `y`.
    pub fn text(&mut self, colour: Colour, align: Align, x: f32, y: f32, text: &str) {
        let at = match align {
            Align::Left => 0.0,
            Align::Right => 1.0,
            Align::Centre => 2.0,
        };
        self.commands.extend_from_slice(&[TEXT, colour.number(), at, x, y, self.texts_given as f32]);
        self.texts_given += 1;
        self.texts.push_str(text);
        self.texts.push('\n');
    }

    /// Of what is drawn until [`unclip`](Self::unclip) only what is in the area shows.
    pub fn clip(&mut self, (x, y, width, height): Area) {
        self.commands.extend_from_slice(&[CLIP, x, y, width, height]);
    }

    /// Ends [`clip`](Self::clip).
    pub fn unclip(&mut self) {
        self.commands.push(UNCLIP);
    }

    /// An area full of slanting lines, so many pixels apart.
    pub fn hatch(&mut self, colour: Colour, apart: f32, (x, y, width, height): Area) {
        self.commands.extend_from_slice(&[HATCH, colour.number(), apart, x, y, width, height]);
    }

    /// A small sign: 0 a square, 1 a triangle, 2 a diamond.
    pub fn glyph(&mut self, colour: Colour, sign: u8, x: f32, y: f32) {
        self.commands.extend_from_slice(&[GLYPH, colour.number(), f32::from(sign), x, y]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_one_behind_the_other() {
        let mut list = DisplayList::new(100.0, 50.0);
        list.stroke(Colour::Series(1), 1.5, true, &[0.0, 1.0, 2.0, 3.0]);
        list.text(Colour::Muted, Align::Right, 5.0, 6.0, "12 ms");
        list.rects(Colour::Heat(9), 1.0, &[(1.0, 2.0, 3.0, 4.0)]);
        let expected = [
            &[0.0, 100.0, 50.0][..],
            &[1.0, 8.0, 1.5, 1.0, 2.0, 0.0, 1.0, 2.0, 3.0],
            &[5.0, 1.0, 1.0, 5.0, 6.0, 0.0],
            &[3.0, 27.0, 1.0, 1.0, 1.0, 2.0, 3.0, 4.0],
        ];
        assert_eq!(list.commands(), expected.concat());
        assert_eq!(list.texts(), "12 ms\n");
    }

    #[test]
    fn nothing_to_draw_is_no_command() {
        let mut list = DisplayList::new(1.0, 1.0);
        list.stroke(Colour::Ink, 1.0, false, &[1.0, 2.0]);
        list.rects(Colour::Ink, 1.0, &[]);
        assert_eq!(list.commands().len(), 3);
    }

    /// The script has the colours in the same order.
    #[test]
    fn colours_are_those_of_the_script() {
        let script = include_str!("../../js/paint.js");
        let begin = script.find("COLOURS = ").unwrap();
        let names: Vec<&str> = script[begin..].split(';').next().unwrap().split('"').skip(1).step_by(2).collect();
        let named = |colour: Colour| names.get(colour.number() as usize).copied();
        let expected = ["ink", "muted", "line", "accent", "good", "caution", "alarm"];
        let base =
            [Colour::Ink, Colour::Muted, Colour::Line, Colour::Accent, Colour::Good, Colour::Caution, Colour::Alarm];
        assert_eq!(base.map(named), expected.map(Some));
        assert_eq!([named(Colour::Series(0)), named(Colour::Series(11))], [Some("c0"), Some("c11")]);
        assert_eq!([named(Colour::Heat(0)), named(Colour::Heat(8))], [Some("h0"), Some("h8")]);
    }
}
