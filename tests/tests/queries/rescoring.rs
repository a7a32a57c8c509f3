//! What prefetches find, scored anew.

use super::{Subject, filters, number, ranked, words};
use amphora::{Mmr, Query};
use amphora_tests::random::Random;

#[test]
fn nothing_but_the_hits_of_prefetches_is_scored_and_as_it_always_is() {
    Subject::everywhere(|subject| {
        let mut random = Random(9);
        let anew = || {
            let sparse = words(&mut random.clone());
            [
                Query::text("name", "name 7 12 25"),
                Query::sparse("words", sparse),
                Query::nearest("manhattan", [1.0, 0.0, 2.0, -1.0]).exact(),
                Query::context("dot", [([1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0])]),
            ]
        };
        for query in anew() {
            let everything = ranked(&subject.search(query.clone().limit(10_000)));
            let first = Query::nearest("dot", super::values(&mut random)).limit(40);
            let second = Query::text("name", "3 7 25").limit(30);
            let both = [first, second];
            let mut among = Vec::new();
            for prefetch in both.clone() {
                among.extend(subject.search(prefetch).iter().map(|hit| number(&hit.id)));
            }
            let [first, second] = both;
            let query = query.prefetch(first).prefetch(second);
            let mut expected = everything;
            expected.retain(|(_, id)| among.contains(id));
            let hits = subject.search(query.clone().limit(500).with_scores(true));
            assert_eq!(ranked(&hits), expected);
            assert!(
                hits.iter()
                    .all(|hit| hit.scores.iter().flatten().count() > 0)
            );
            let page = subject.search(query.clone().offset(2).limit(7));
            assert!(ranked(&page).iter().eq(expected.iter().skip(2).take(7)));
            if let Some((least, _)) = expected.get(3) {
                let some = subject.search(query.clone().limit(500).score_threshold(*least));
                let enough = expected.iter().filter(|(score, _)| score >= least);
                assert!(ranked(&some).iter().eq(enough));
            }
            let diverse = query.clone().limit(5).mmr(Mmr::new(1.0).vector("dot"));
            assert!(
                ranked(&subject.search(diverse))
                    .iter()
                    .eq(expected.iter().take(5))
            );
            // A filter holds for prefetches too, which then find others.
            for (filter, keep) in filters() {
                let some = subject.search(query.clone().limit(500).filter(filter));
                assert!(some.iter().all(|hit| keep(number(&hit.id))));
            }
        }
    });
}
