use super::exact;

/// What a chart shows, to be taken elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// The chart's name.
    pub title: &'a str,
    /// The unit of all figures.
    pub unit: &'a str,
    /// The lines' names.
    pub names: &'a [&'a str],
    /// Unix milliseconds of the rows.
    pub times: &'a [f64],
    /// The lines' figures, one a row; what is not a number was not there.
    pub columns: &'a [Vec<f64>],
}

impl Table<'_> {
    /// As CSV: a row a tick, the time in Unix seconds. A name that a spreadsheet would take for a formula has
    /// a quotation mark before it.
    pub fn csv(self) -> String {
        let mut out = String::from("timestamp");
        for name in self.names {
            out.push(',');
            put_field(&mut out, &self.column_name(name));
        }
        out.push('\n');
        for (row, time) in self.times.iter().enumerate() {
            out.push_str(&exact(time / 1_000.0, ""));
            for figure in self.figures(row) {
                out.push(',');
                out.push_str(&figure.map(|figure| exact(figure, "")).unwrap_or_default());
            }
            out.push('\n');
        }
        out
    }

    /// As JSON, as the server's own table of the past has it.
    pub fn json(self) -> String {
        let mut out = String::from("{\"columns\":[{\"name\":\"timestamp\",\"unit\":\"s\"}");
        for name in self.names {
            out.push_str(",{\"name\":");
            put_string(&mut out, &self.column_name(name));
            out.push_str(",\"unit\":");
            put_string(&mut out, self.unit);
            out.push('}');
        }
        out.push_str("],\"rows\":[");
        for (row, time) in self.times.iter().enumerate() {
            out.push_str(if row == 0 { "\n[" } else { ",\n[" });
            out.push_str(&exact(time / 1_000.0, ""));
            for figure in self.figures(row) {
                out.push(',');
                out.push_str(&figure.map_or_else(|| "null".into(), |figure| exact(figure, "")));
            }
            out.push(']');
        }
        out.push_str("\n]}\n");
        out
    }

    fn figures(&self, row: usize) -> impl Iterator<Item = Option<f64>> {
        self.columns.iter().map(move |column| column.get(row).copied().filter(|figure| figure.is_finite()))
    }

    fn column_name(&self, name: &str) -> String {
        if name.is_empty() { self.title.into() } else { [self.title, ": ", name].concat() }
    }
}

fn put_field(out: &mut String, text: &str) {
    out.push('"');
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        out.push('\'');
    }
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

fn put_string(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => {
                out.push('\\');
                out.push(letter);
            }
            control if (control as u32) < 0x20 => out.push(' '),
            letter => out.push(letter),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_goes_out_as_it_is_seen() {
        let columns = [vec![1.0, f64::NAN], vec![0.25, 3.0]];
        let table = Table {
            title: "=sum(\"x\")",
            unit: "ms",
            names: &["", "a\"b"],
            times: &[1_000.0, 2_500.0],
            columns: &columns,
        };
        assert_eq!(table.csv(), "timestamp,\"'=sum(\"\"x\"\")\",\"'=sum(\"\"x\"\"): a\"\"b\"\n1,1,0.25\n2.5,,3\n");
        let json: serde_json::Value = serde_json::from_str(&table.json()).unwrap();
        assert_eq!(json["columns"][2]["name"], "=sum(\"x\"): a\"b");
        assert_eq!(json["rows"], serde_json::json!([[1, 1, 0.25], [2.5, null, 3]]));
    }
}
