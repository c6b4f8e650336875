//! How often a monitor is asked.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;

use super::*;
use crate::prometheus::batch::{Batch, Need};

fn need(name: &str, from: i64) -> Need {
    Need {
        names: BTreeSet::from([name.to_owned()]),
        from: at(from),
    }
}

/// What is asked for these needs up to the second 1000.
async fn asked(needs: &[Need]) -> Vec<Need> {
    let batch = Batch::new(at(1000), &needs[0]);
    assert!(needs[1..].iter().all(|need| batch.join(at(1000), need)));
    let questions = Mutex::new(Vec::new());
    let answers = needs.iter().map(|need| {
        batch.answer(need, |group| {
            questions.lock().unwrap().push(group);
            async { Ok(Arc::default()) }
        })
    });
    assert!(join_all(answers).await.iter().all(Result::is_ok));
    assert!(
        !batch.join(at(1000), &needs[0]),
        "a batch that was asked takes nobody in"
    );
    questions.into_inner().unwrap()
}

#[tokio::test]
async fn metrics_of_one_look_are_one_question() {
    let both = Need {
        names: ["a".to_owned(), "b".to_owned()].into(),
        from: at(985),
    };
    assert_eq!(asked(&[need("a", 990), need("b", 985)]).await, [both]);
}

#[tokio::test]
async fn one_that_lags_is_asked_for_itself() {
    let needs = [need("a", 990), need("b", 600)];
    assert_eq!(asked(&needs).await, needs);
}

#[tokio::test]
async fn whoever_comes_with_another_moment_is_not_in_it() {
    let batch = Batch::new(at(1000), &need("a", 990));
    assert!(!batch.join(at(1001), &need("b", 990)));
}

#[tokio::test]
async fn a_question_that_was_given_up_is_asked_again() {
    let (batch, tries) = (Batch::new(at(1000), &need("a", 990)), AtomicUsize::new(0));
    let need = need("a", 990);
    let never = batch.answer(&need, |_| {
        tries.fetch_add(1, Ordering::Relaxed);
        std::future::pending()
    });
    // One poll, as of a look that is cut off.
    assert!(futures_util::FutureExt::now_or_never(never).is_none());
    let answer = batch.answer(&need, |_| {
        tries.fetch_add(1, Ordering::Relaxed);
        async { Ok(Arc::default()) }
    });
    assert!(answer.await.is_ok());
    assert_eq!(tries.load(Ordering::Relaxed), 2);
}
