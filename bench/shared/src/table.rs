//! A table in Markdown.

/// Rows of text under titles.
pub struct Table {
    titles: Vec<String>,
    /// Below the titles of all columns but the first.
    rule: &'static str,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Of figures, aligned to the right.
    pub fn new(corner: &str, titles: impl IntoIterator<Item = String>) -> Self {
        let titles = std::iter::once(corner.to_owned()).chain(titles).collect();
        Self { titles, rule: "---:", rows: Vec::new() }
    }

    /// Of text, aligned to the left.
    pub fn of_text(corner: &str, titles: impl IntoIterator<Item = String>) -> Self {
        Self { rule: "---", ..Self::new(corner, titles) }
    }

    /// Replaces the title of the first column.
    pub fn corner(&mut self, title: String) {
        self.titles[0] = title;
    }

    pub fn row(&mut self, name: String, cells: impl IntoIterator<Item = String>) {
        self.rows.push(std::iter::once(name).chain(cells).collect());
    }

    pub fn render(&self) -> String {
        let rules =
            self.titles.iter().enumerate().map(|(column, _)| if column == 0 { "---" } else { self.rule }.to_owned());
        let head = [line(&self.titles), line(&rules.collect::<Vec<_>>())];
        head.into_iter().chain(self.rows.iter().map(|row| line(row))).collect::<Vec<_>>().join("\n")
    }
}

fn line(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

/// With as many decimals as it deserves.
pub fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

pub fn optional(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), figure)
}

/// With a comma before each three digits.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let place = |(place, digit): (usize, char)| {
        let comma = place > 0 && (digits.len() - place).is_multiple_of(3);
        [comma.then_some(','), Some(digit)].into_iter().flatten()
    };
    digits.chars().enumerate().flat_map(place).collect()
}
