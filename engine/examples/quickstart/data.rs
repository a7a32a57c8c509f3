//! Reads the bundled passages, questions and embeddings.

use half::f16;
use serde::{Deserialize, de::DeserializeOwned};
use std::{fs, path::Path};

#[derive(Deserialize)]
pub(crate) struct Passage {
    pub(crate) id: String,
    pub(crate) work: String,
    pub(crate) author: String,
    pub(crate) year: u32,
    pub(crate) text: String,
    #[serde(skip)]
    pub(crate) embedding: Vec<f32>,
}

#[derive(Deserialize)]
pub(crate) struct Question {
    pub(crate) text: String,
    #[serde(skip)]
    pub(crate) embedding: Vec<f32>,
}

pub(crate) fn passages(folder: &Path) -> Vec<Passage> {
    let with = |passage, embedding| Passage {
        embedding,
        ..passage
    };
    read(folder, "passages", with)
}

pub(crate) fn questions(folder: &Path) -> Vec<Question> {
    let with = |question, embedding| Question {
        embedding,
        ..question
    };
    read(folder, "questions", with)
}

/// Line by line from `name.jsonl`, each with its row of `name.f16.npy`.
fn read<T: DeserializeOwned>(folder: &Path, name: &str, with: impl Fn(T, Vec<f32>) -> T) -> Vec<T> {
    let path = folder.join(format!("{name}.jsonl"));
    let lines = fs::read_to_string(&path).expect("the bundled data is beside the example");
    let array = fs::read(folder.join(format!("{name}.f16.npy"))).expect("so are the embeddings");
    let array = npyz::NpyFile::new(&array[..]).expect("a header of the npy format");
    let dimensions = array.shape()[1] as usize;
    let numbers: Vec<f16> = array.into_vec().expect("float16 values");
    lines
        .lines()
        .zip(numbers.chunks_exact(dimensions))
        .map(|(line, row)| {
            let record = serde_json::from_str(line).expect("a JSON object in each line");
            with(record, row.iter().map(|value| value.to_f32()).collect())
        })
        .collect()
}
