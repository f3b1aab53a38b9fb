use super::*;

const LEADER: u64 = 1;

fn sight(me: u64, leader: Option<u64>, term: u64) -> Sight {
    Sight { me, leader, term, voters: BTreeSet::from([1, 2, 3]) }
}

fn at(millis: u64) -> Mono {
    Mono::default() + Duration::from_millis(millis)
}

/// Runs one node without anything changing; answers when it asked, in milliseconds.
fn asked(hasten: &mut Hasten, sight: &Sight, word: Word, from: u64) -> Vec<u64> {
    let mut rng = Rng::new(7);
    let mut asked = Vec::new();
    let mut now = at(from);
    while let Some(wake) = hasten.wake_at() {
        now = now.max(wake);
        if hasten.step(now, sight, word, &mut rng).contains(&Act::Campaign) {
            asked.push(u64::try_from(now.since(Mono::default()).as_millis()).expect("small"));
        }
    }
    asked
}

#[test]
fn who_acts_on_which_word() {
    let voters = |voters: &[u64]| voters.iter().copied().collect::<BTreeSet<u64>>();
    let all = [1, 2, 3];
    // (me, leader, voters, word) → whether it gives the leader up
    type Row<'a> = (u64, Option<u64>, &'a [u64], Word, bool);
    let table: [Row<'_>; 10] = [
        (2, Some(1), &all, Word::Gone(1), true),
        (3, Some(1), &all, Word::Gone(1), true),
        // Nothing is known, or the contrary.
        (2, Some(1), &all, Word::Nothing, false),
        (2, Some(1), &all, Word::There(1), false),
        // Somebody else is gone.
        (2, Some(1), &all, Word::Gone(3), false),
        // Nobody leads, or this node does.
        (2, None, &all, Word::Gone(1), false),
        (1, Some(1), &all, Word::Gone(1), false),
        // This node does not vote, or has nobody to ask.
        (4, Some(1), &all, Word::Gone(1), false),
        (2, Some(1), &[2], Word::Gone(1), false),
        // The leader does not vote: it leads all the same.
        (2, Some(1), &[2, 3], Word::Gone(1), true),
    ];
    for (me, leader, voting, word, gives_up) in table {
        let mut hasten = Hasten::default();
        let sight = Sight { me, leader, term: 5, voters: voters(voting) };
        let acts = hasten.step(at(0), &sight, word, &mut Rng::new(1));
        let release = Act::Release { leader: LEADER, term: 5 };
        assert_eq!(acts.contains(&release), gives_up, "{sight:?} {word:?}");
        assert_eq!(hasten.wake_at().is_some(), gives_up, "{sight:?} {word:?}");
    }
}

#[test]
fn voters_ask_one_after_the_other_and_then_leave_it_to_the_time_out() {
    let word = Word::Gone(LEADER);
    let mut first = Vec::new();
    for me in [2, 3] {
        let (mut hasten, sight) = (Hasten::default(), sight(me, Some(LEADER), 5));
        let acts = hasten.step(at(0), &sight, word, &mut Rng::new(me));
        assert_eq!(acts.first(), Some(&Act::Release { leader: LEADER, term: 5 }), "at once");
        let asked = asked(&mut hasten, &sight, word, 0);
        assert_eq!(asked.len(), AGAIN.len() + 1, "{asked:?}");
        assert!(asked.windows(2).all(|two| two[1] > two[0]), "{asked:?}");
        assert!(asked.last().is_some_and(|last| *last < 1000), "{asked:?}");
        first.push(asked[0]);
        // Spent: the same word does not begin it again.
        assert!(hasten.step(at(2000), &sight, word, &mut Rng::new(me)).is_empty());
    }
    assert!(first[0] <= 5, "the first does not wait: {first:?}");
    assert!(first[1] >= 25, "the second lets it go first: {first:?}");
}

#[test]
fn it_ends_when_there_is_a_leader_or_the_old_one_lives() {
    // (sight, word) after the leader 1 of term 5 was gone → whether it goes on
    let table = [
        (sight(3, Some(1), 5), Word::Gone(1), true),
        // Connections that end one after the other are no sign of life.
        (sight(3, Some(1), 5), Word::Nothing, true),
        (sight(3, None, 6), Word::Gone(1), true),
        (sight(3, Some(1), 5), Word::There(1), false),
        (sight(3, Some(2), 6), Word::Gone(1), false),
        (sight(3, Some(3), 6), Word::Gone(1), false),
        // This node votes no more.
        (Sight { voters: BTreeSet::from([1, 2]), ..sight(3, Some(1), 5) }, Word::Gone(1), false),
    ];
    for (then, word, goes_on) in table {
        let (mut hasten, mut rng) = (Hasten::default(), Rng::new(1));
        hasten.step(at(0), &sight(3, Some(1), 5), Word::Gone(1), &mut rng);
        let acts = hasten.step(at(1), &then, word, &mut rng);
        assert_eq!(acts, [], "{then:?} {word:?}");
        assert_eq!(hasten.wake_at().is_some(), goes_on, "{then:?} {word:?}");
    }
}

#[test]
fn an_election_under_way_is_left_alone_for_a_while() {
    let (mut hasten, mut rng) = (Hasten::default(), Rng::new(1));
    hasten.step(at(0), &sight(3, Some(1), 5), Word::Gone(1), &mut rng);
    // Another has asked for votes in the next term before this one's turn.
    let voting = sight(3, None, 6);
    assert_eq!(hasten.step(at(10), &voting, Word::Gone(1), &mut rng), []);
    assert_eq!(hasten.step(at(60), &voting, Word::Gone(1), &mut rng), []);
    let asked = asked(&mut hasten, &voting, Word::Gone(1), 60);
    assert!(asked.first().is_some_and(|first| *first >= 130), "{asked:?}");
}

#[test]
fn one_that_leads_again_on_the_same_node_is_another_leader() {
    let (mut hasten, mut rng) = (Hasten::default(), Rng::new(1));
    hasten.step(at(0), &sight(2, Some(1), 5), Word::Gone(1), &mut rng);
    // It came back and was elected, and is gone once more.
    let acts = hasten.step(at(500), &sight(2, Some(1), 7), Word::Gone(1), &mut rng);
    assert_eq!(acts.first(), Some(&Act::Release { leader: 1, term: 7 }));
}
