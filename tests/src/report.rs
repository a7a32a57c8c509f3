//! Figures as JSON lines, one object each, the same for tests and benches.

use serde_json::json;

/// One measured figure.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What was measured, as a path: `handoff/1us/1/tokio/amphora`.
    pub name: String,
    /// The measured value.
    pub value: f64,
    /// Its unit: `ns`, `us`, `ms`, `1/s`, `count`, `MiB`.
    pub unit: &'static str,
    /// What it is compared with, measured in the same run.
    pub baseline: Option<f64>,
    /// How many attempts or samples it rests on.
    pub n: u64,
    /// What it should be, in words: `ratio <= 1`, `value = 0`.
    pub target: Option<String>,
    /// Whether it is.
    pub met: Option<bool>,
    /// What its choices were drawn from.
    pub seed: Option<u64>,
}

impl Figure {
    /// A figure without baseline and target.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str, n: u64) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            baseline: None,
            n,
            target: None,
            met: None,
            seed: None,
        }
    }

    /// With the seed that its choices were drawn from.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Beside what it is compared with.
    #[must_use]
    pub fn against(mut self, baseline: f64) -> Self {
        self.baseline = Some(baseline);
        self
    }

    /// The value must be at most this.
    #[must_use]
    pub fn at_most(mut self, most: f64) -> Self {
        self.target = Some(format!("value <= {most}"));
        self.met = Some(self.value <= most);
        self
    }

    /// The value must be at least this.
    #[must_use]
    pub fn at_least(mut self, least: f64) -> Self {
        self.target = Some(format!("value >= {least}"));
        self.met = Some(self.value >= least);
        self
    }

    /// The ratio to the baseline must be at most this.
    #[must_use]
    pub fn ratio_at_most(mut self, most: f64) -> Self {
        self.target = Some(format!("ratio <= {most}"));
        self.met = self.ratio().map(|ratio| ratio <= most);
        self
    }

    /// The ratio to the baseline must be at least this.
    #[must_use]
    pub fn ratio_at_least(mut self, least: f64) -> Self {
        self.target = Some(format!("ratio >= {least}"));
        self.met = self.ratio().map(|ratio| ratio >= least);
        self
    }

    fn ratio(&self) -> Option<f64> {
        self.baseline.map(|baseline| self.value / baseline)
    }

    /// Prints it as one line of JSON, and gives it back.
    pub fn print(self) -> Self {
        let rounded = |x: f64| (x * 1e4).round() / 1e4;
        let mut line = json!({
            "name": self.name,
            "value": rounded(self.value),
            "unit": self.unit,
            "baseline": self.baseline.map(rounded),
            "ratio": self.ratio().map(rounded),
            "n": self.n,
            "target": self.target,
            "met": self.met,
        });
        if let Some(seed) = self.seed {
            line["seed"] = json!(seed);
        }
        println!("{line}");
        self
    }
}
