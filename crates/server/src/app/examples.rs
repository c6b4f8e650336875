//! Evidence that came with the program, recorded from canaries of `arya try`: something to judge again before anything
//! was deployed.

use std::sync::LazyLock;

use arya_engine::Kept;
use arya_judge::backtest::Run;
use arya_judge::{Block, Timestamp};
use arya_plan::identity::DeploymentId;
use serde::Deserialize;
use uuid::Uuid;

/// One recorded canary.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    name: String,
    run: Run,
}

static EXAMPLES: LazyLock<Vec<Kept>> = LazyLock::new(|| {
    let recorded: Vec<Recorded> =
        serde_json::from_str(include_str!("examples.json")).expect("a test reads the file that came with the program");
    recorded.into_iter().map(kept).collect()
});

/// The recorded canaries.
pub(super) fn examples() -> &'static [Kept] {
    &EXAMPLES
}

fn kept(recorded: Recorded) -> Kept {
    let times = || {
        let blocks = recorded.run.evidence.iter().flat_map(|evidence| &evidence.blocks);
        blocks.map(Block::ends_at)
    };
    Kept {
        id: DeploymentId::new(Uuid::nil()),
        name: recorded.name.clone(),
        created_at: times().min().unwrap_or(Timestamp::UNIX_EPOCH),
        closed_at: times().max(),
        said: None,
        run: recorded.run,
    }
}

#[cfg(test)]
mod tests {
    use arya_judge::Outcome;
    use arya_judge::backtest::Change;

    use super::*;

    #[test]
    fn the_recorded_canaries_show_what_the_judge_can_say() {
        let outcomes = |change: &Change| -> Vec<Outcome> {
            let again = |kept: &Kept| kept.run.judged_by(&change.applied(&kept.run.config).unwrap()).outcome;
            examples().iter().map(again).collect()
        };
        assert_eq!(outcomes(&Change::default()), [Outcome::Harmful, Outcome::Inconclusive]);
        // A quarter of an hour at 20 requests a second suffices for a wider margin.
        let wider = Change {
            pass_margin: Some(3.0),
            ..Change::default()
        };
        assert_eq!(outcomes(&wider), [Outcome::Harmful, Outcome::NoWorse]);
    }
}
