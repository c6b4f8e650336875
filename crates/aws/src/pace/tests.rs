use super::*;

fn driven() -> (Arc<Pace>, Arc<AtomicI64>) {
    let passed = Arc::<AtomicI64>::default();
    let pace = Pace::new(Clock::Driven(passed.clone()), Allowance::OfAnAccount);
    (Arc::new(pace), passed)
}

fn deployment(number: u128) -> DeploymentId {
    DeploymentId::new(uuid::Uuid::from_u128(number))
}

#[tokio::test]
async fn no_ten_seconds_have_more_than_three_a_second_after_the_first() {
    let (pace, passed) = driven();
    let mut times = Vec::new();
    for _ in 0..300 {
        assert!(pace.turn(Rank::Look).await);
        times.push(passed.load(Ordering::SeqCst));
    }
    assert!(times[5] < 100, "a pause may be made up for");
    let later = &times[6..];
    let most = later
        .iter()
        .map(|from| later.iter().filter(|at| (*from..from + 10_000).contains(at)).count())
        .max();
    assert!(most <= Some(31), "{most:?}");
}

#[tokio::test]
async fn who_would_wait_too_long_is_told_and_who_takes_users_away_never_waits() {
    let (pace, passed) = driven();
    for _ in 0..6 {
        assert!(pace.turn(Rank::Look).await);
    }
    for _ in 0..30 {
        assert!(paced(&pace, Who::Step, turn(Call::DescribeRules)).await);
    }
    assert_eq!(passed.load(Ordering::SeqCst), 0);
    pace.state().left = -16.0;
    assert!(!pace.turn(Rank::Look).await);
    pace.state().left = -OWED_AT_MOST;
    assert!(pace.turn(Rank::Look).await);
    let waited = passed.load(Ordering::SeqCst);
    assert!(
        (1_300..1_400).contains(&waited),
        "a second's worth is owed, and one's own turn: {waited} ms"
    );
}

#[tokio::test]
async fn a_page_leaves_a_person_and_a_person_leaves_a_look_what_it_asks_at_once() {
    let (pace, passed) = driven();
    let at_once = async |rank: Rank| {
        let mut asked = 0;
        while passed.load(Ordering::SeqCst) == 0 && pace.turn(rank).await {
            asked += 1;
        }
        // The last one waited.
        passed.store(0, Ordering::SeqCst);
        pace.state().counted_at = Duration::ZERO;
        asked - 1
    };
    assert_eq!(at_once(Rank::Page).await, 2);
    assert_eq!(at_once(Rank::Person).await, 2);
    assert_eq!(at_once(Rank::Look).await, 2);
}

#[tokio::test]
async fn while_looks_want_all_that_there_is_nobody_else_is_served() {
    let (pace, passed) = driven();
    let mut served = Vec::new();
    pace.state().left = 0.0;
    let page = async {
        for _ in 0..3 {
            assert!(pace.turn(Rank::Page).await);
        }
        "page"
    };
    let looks = async {
        for _ in 0..40 {
            assert!(pace.turn(Rank::Look).await);
        }
        "looks"
    };
    let (mut page, mut looks) = (std::pin::pin!(page), std::pin::pin!(looks));
    let (mut page_done, mut looks_done) = (false, false);
    while !(page_done && looks_done) {
        tokio::select! {
            biased;
            name = &mut page, if !page_done => { page_done = true; served.push(name); }
            name = &mut looks, if !looks_done => { looks_done = true; served.push(name); }
        }
    }
    assert_eq!(served, ["looks", "page"]);
    assert!(passed.load(Ordering::SeqCst) < 60_000);
}

#[tokio::test]
async fn only_listings_count() {
    let (pace, _) = driven();
    let work = async {
        for call in [
            Call::DescribeRules,
            Call::DescribeInstances,
            Call::ListObjectsV2,
            Call::CreateRule,
        ] {
            assert!(turn(call).await);
        }
    };
    let ((), _) = look(&pace, deployment(1), work).await;
    assert!((pace.state().left - (AT_ONCE - 2.0)).abs() < 1e-9);
}

#[test]
fn one_alone_looks_as_often_as_it_likes_and_twenty_share() {
    let (alone, _) = driven();
    assert!(alone.looked(deployment(0), 6).unwrap() <= Duration::from_secs(2));
    let (pace, passed) = driven();
    for round in 0..20 {
        for number in 0..20 {
            let wait = pace.looked(deployment(number), 4).unwrap();
            if round > 3 {
                assert!((28..=31).contains(&wait.as_secs()), "{wait:?}");
            }
        }
        passed.fetch_add(27_000, Ordering::SeqCst);
    }
}

#[test]
fn one_that_moves_gets_what_the_quiet_leave() {
    let (pace, passed) = driven();
    for second in 0_u64..100 {
        let moving = pace.looked(deployment(1), 5).unwrap();
        if second % 5 == 0 {
            pace.looked(deployment(2), 6);
        }
        if second > 50 {
            assert!(moving < Duration::from_millis(2500), "{moving:?}");
        }
        passed.fetch_add(2_000, Ordering::SeqCst);
    }
}

#[test]
fn only_awss_own_endpoints_have_an_allowance() {
    for aws in [
        "",
        "https://vpce-1.ec2.eu-west-1.vpce.amazonaws.com",
        "https://ec2.cn-north-1.amazonaws.com.cn/",
    ] {
        assert_eq!(Allowance::at(aws), Allowance::OfAnAccount, "{aws}");
    }
    for own in ["http://127.0.0.1:5000", "http://moto.test/amazonaws.com"] {
        assert_eq!(Allowance::at(own), Allowance::Unlimited, "{own}");
    }
}

#[test]
fn connections_to_one_account_share_its_allowance() {
    let key = |region: &str| ("123456789012".to_owned(), region.to_owned(), "tests".to_owned());
    let of = |region| Pace::of(key(region), Clock::Real, Allowance::OfAnAccount);
    let first = of("eu-west-1");
    assert!(Arc::ptr_eq(&first, &of("eu-west-1")));
    assert!(!Arc::ptr_eq(&first, &of("us-east-1")));
}
