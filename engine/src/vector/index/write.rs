//! Builds an index over vectors, and writes its file.

use super::{About, Index, Kind, Subject};
use crate::{
    cancel::Cancel,
    container::Output,
    error::{Error, ErrorKind, Result},
    schema::Quantization,
    vector::{
        VectorSource,
        bits::{self, Bits},
        codes::{Codes, Encoder, Factors},
        curve::{self, Curve},
        hnsw::{self, Base, Graph, MAX_NODES, NONE, Params, Whole, plan},
    },
    vfs::Vfs,
};
use rayon::prelude::*;

/// Where a row is now, if it still is.
pub(crate) type Moved<'a> = &'a dyn Fn(u32) -> Option<u32>;

/// What an index is built of, and how.
pub(crate) struct Build<'a> {
    pub(crate) subject: Subject,
    pub(crate) source: &'a dyn VectorSource,
    pub(crate) params: Params,
    /// An index over some of the same vectors, and where each of its rows is in the source, if it
    /// still is.
    pub(crate) base: Option<(&'a Index, Moved<'a>)>,
    /// Hears how many rows are linked.
    pub(crate) progress: &'a (dyn Fn(u32) + Sync),
}

/// A graph of which more has gone than one in so many is built anew.
const MOST_GONE: usize = 4;

impl<'a> Build<'a> {
    /// From nothing, telling nobody.
    pub(crate) fn new(subject: Subject, source: &'a dyn VectorSource, params: Params) -> Self {
        Self {
            subject,
            source,
            params,
            base: None,
            progress: &|_| {},
        }
    }

    /// The graph that this one begins with, if there is one and enough of it is left.
    fn base(&self, cancel: &Cancel) -> Result<Option<Base<'a>>> {
        let Some((index, place)) = self.base else {
            return Ok(None);
        };
        match index.check(cancel) {
            Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
            // It is no worse than none.
            Err(_) => return Ok(None),
            Ok(()) => {}
        }
        let base = index.base(self.params, self.source.len(), place);
        Ok(base.filter(|base| {
            let (kept, gone) = base.kept_and_gone();
            kept > 0 && gone * MOST_GONE <= kept + gone
        }))
    }
}

/// Builds an index on the threads of the pool that this is called in, and writes it to the new
/// file `name`. What an error leaves of the file is removed.
///
/// Meanwhile it holds [`memory`] bytes, and some megabytes for each thread.
pub(crate) fn write(vfs: &dyn Vfs, name: &str, build: &Build<'_>, cancel: &Cancel) -> Result<u64> {
    build.params.check()?;
    let rows = build.source.len();
    if rows > MAX_NODES {
        return Err(Error::invalid(format!("an index cannot have {rows} rows")));
    }
    let parts = Parts::build(build, cancel)?;
    let file = vfs
        .create(name)
        .map_err(|error| Error::io(format_args!("creating {name}"), error))?;
    let written = Output::new(file, name, vfs.unique(), cancel)
        .and_then(|output| parts.write(output, build.subject, build.source));
    written.inspect_err(|_| {
        // Nothing names it: what stays is garbage, and cleared as such.
        let _ = vfs.remove(name);
    })
}

/// About how many bytes are held while an index is built, at most.
///
/// For each row a byte and a bit for each dimension; 28 bytes for its factors and its place; and its lists
/// while they grow, each with 8 bytes for a link and its score and 2 for their count: `2 m` links
/// at level 0, and `m` on each level above, to which one in `m` of the rows below comes up.
pub(crate) fn memory(rows: u32, dimensions: u32, params: Params) -> u64 {
    let list = |level| params.width(level) as u64 * 8 + 2;
    let cell = bits::words(dimensions as usize) as u64 * 8;
    let codes = u64::from(rows) * (u64::from(dimensions) + 12 + cell);
    let upper = u64::from(rows).div_ceil(params.m.saturating_sub(1).max(1) as u64);
    codes + u64::from(rows) * list(0) + upper * list(1)
}

/// An index that was built.
struct Parts {
    encoder: Encoder,
    /// For each node its place in the source.
    places: Vec<u32>,
    codes: Vec<u8>,
    factors: Vec<Factors>,
    /// None where bits do not serve.
    cells: Vec<u64>,
    graph: Graph,
    curve: Curve,
}

impl Parts {
    fn build(build: &Build<'_>, cancel: &Cancel) -> Result<Self> {
        let Build {
            subject,
            source,
            params,
            ..
        } = *build;
        let width = subject.dimensions as usize;
        let base = build.base(cancel)?;
        let order = plan(source.len(), &params, base.as_ref());
        let places = &order.places;
        let encoder = Encoder::train(source, width, subject.metric, cancel)?;
        let mut bytes = vec![0; places.len() * width];
        let mut factors = vec![Factors::default(); places.len()];
        let rows = bytes.par_chunks_mut(width).zip(&mut factors).zip(places);
        let rooms = <(Vec<f32>, Vec<f32>)>::default;
        rows.try_for_each_init(rooms, |(room, rest), ((code, factors), place)| {
            cancel.check_at(*place)?;
            let (values, scale) = source.vector(*place, room)?;
            *factors = encoder.encode(values, scale, rest, code);
            Ok::<_, Error>(())
        })?;
        let codes = Codes {
            metric: subject.metric,
            dimensions: width,
            bytes: &bytes,
            factors: &factors,
        };
        let base = base.as_ref();
        let graph = hnsw::build(codes, &order, base, params, cancel, build.progress)?;
        let nodes = Whole::new(codes, params, graph.links.iter().map(Vec::as_slice));
        let cells = if bits::serve(subject.metric) {
            cells(&encoder, source, places, cancel)?
        } else {
            Vec::new()
        };
        let bits = Bits {
            dimensions: width,
            cells: &cells,
        };
        let walked = curve::Walked {
            nodes: &nodes,
            bits: (subject.quantization == Quantization::Binary).then_some(bits),
            encoder: &encoder,
            source,
            places,
        };
        let curve = curve::measure(&walked, cancel)?;
        Ok(Self {
            encoder,
            places: order.places,
            codes: bytes,
            factors,
            cells,
            graph,
            curve,
        })
    }

    fn write(
        self,
        mut output: Output<'_, Kind>,
        subject: Subject,
        source: &dyn VectorSource,
    ) -> Result<u64> {
        let rows: Vec<u32> = self.places.iter().map(|place| source.row(*place)).collect();
        output.begin(Kind::Center, 0)?;
        output.put(bytemuck::cast_slice(&self.encoder.center))?;
        output.begin(Kind::Rows, 0)?;
        output.put(bytemuck::cast_slice(&rows))?;
        output.begin(Kind::Nodes, 0)?;
        if !subject.multi {
            output.put(bytemuck::cast_slice(&nodes_of(&rows)))?;
        }
        if subject.quantization != Quantization::Binary {
            output.begin(Kind::Codes, 0)?;
            output.put(&self.codes)?;
            output.begin(Kind::Factors, 0)?;
            output.put(bytemuck::cast_slice(&self.factors))?;
        }
        if bits::serve(subject.metric) {
            output.begin(Kind::Bits, 0)?;
            output.put(bytemuck::cast_slice(&self.cells))?;
        }
        for (level, links) in (0..).zip(&self.graph.links) {
            output.begin(Kind::Links, level)?;
            output.put(bytemuck::cast_slice(links))?;
        }
        let about = About {
            segment: subject.segment,
            vector: subject.vector,
            metric: subject.metric,
            dimensions: subject.dimensions,
            quantization: subject.quantization,
            multi: subject.multi,
            m: self.graph.params.m,
            ef_construction: self.graph.params.ef_construction,
            seed: self.graph.params.seed,
            levels: self.graph.counts,
            step: self.encoder.step,
            curve: self.curve,
        };
        let about = serde_json::to_vec(&about)
            .map_err(|error| Error::invalid(format!("an index cannot be described: {error}")))?;
        output.finish(rows.len() as u32, about)
    }
}

/// What the bits of the rows at these places are.
fn cells(
    encoder: &Encoder,
    source: &dyn VectorSource,
    places: &[u32],
    cancel: &Cancel,
) -> Result<Vec<u64>> {
    let Encoder { metric, center, .. } = encoder;
    let width = bits::words(center.len());
    let mut cells = vec![0; places.len() * width];
    let rows = cells.par_chunks_mut(width).zip(places);
    let rooms = <(Vec<f32>, Vec<f32>)>::default;
    rows.try_for_each_init(rooms, |(room, rest), (cell, place)| {
        cancel.check_at(*place)?;
        let (values, scale) = source.vector(*place, room)?;
        encoder.subtract(1.0, values, scale, rest);
        bits::encode(*metric, center, rest, cell);
        Ok::<_, Error>(())
    })?;
    Ok(cells)
}

/// The node of each row.
fn nodes_of(rows: &[u32]) -> Vec<u32> {
    let len = rows.iter().max().map_or(0, |last| *last as usize + 1);
    let mut nodes = vec![NONE; len];
    for (node, row) in (0..).zip(rows) {
        nodes[*row as usize] = node;
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::hnsw::Order;

    #[test]
    fn the_memory_of_a_build_is_that_of_its_parts() {
        for m in [2, 5, 16, 64] {
            let params = Params {
                m,
                ef_construction: 100,
                seed: 1,
            };
            let Order { places, counts, .. } = plan(50_000, &params, None);
            let lists = counts.iter().zip(0..).map(|(count, level)| {
                // Links and scores of 4 bytes each, and a count of 2.
                *count as usize * (params.width(level) * 8 + 2)
            });
            let row = size_of::<u32>() + 100 + size_of::<Factors>() + bits::words(100) * 8;
            let parts = places.len() * row;
            let parts = (parts + lists.sum::<usize>()) as f64;
            let said = memory(50_000, 100, params) as f64;
            assert!(
                (0.98..1.02).contains(&(said / parts)),
                "m {m}: {said}, not {parts}"
            );
        }
    }
}
