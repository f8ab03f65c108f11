/// Figures, sorted.
#[derive(Clone, Debug, Default)]
pub struct Distribution(Vec<f64>);

impl Distribution {
    pub fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        Self(figures)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// By nearest rank; 0 if there are none.
    pub fn quantile(&self, q: f64) -> f64 {
        let rank = (q * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.clamp(1, self.0.len().max(1)) - 1).copied().unwrap_or_default()
    }

    pub fn most(&self) -> f64 {
        self.quantile(1.0)
    }
}
