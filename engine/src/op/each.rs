//! Several operations at a time.

use super::Op;
use crate::error::Result;
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

/// The answers of all operations, in their order, of which so many are under way at a time. The
/// first error ends it, and cancels those that are under way.
pub(crate) async fn each<T: Send + 'static>(
    ops: impl IntoIterator<Item = Op<T>>,
    at_a_time: usize,
) -> Result<Vec<T>> {
    let mut ops = ops.into_iter().enumerate();
    let mut running: Vec<(usize, Op<T>)> = ops.by_ref().take(at_a_time.max(1)).collect();
    let mut answers = Vec::new();
    while !running.is_empty() {
        let (at, answer) = poll_fn(|context| {
            let polled = running.iter_mut().enumerate().find_map(|(at, (_, op))| {
                match Pin::new(op).poll(context) {
                    Poll::Ready(answer) => Some((at, answer)),
                    Poll::Pending => None,
                }
            });
            polled.map_or(Poll::Pending, Poll::Ready)
        })
        .await;
        let (place, _) = running.swap_remove(at);
        answers.push((place, answer?));
        running.extend(ops.next());
    }
    answers.sort_unstable_by_key(|(place, _)| *place);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}
