//! Identities as files, certificates and tokens, without a network.

use super::*;
use crate::base::time::{Mono, Wall};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn authority(now: Wall) -> Authority {
    Authority::create(ClusterId(7), now).expect("made")
}

fn trust(authorities: Authorities) -> Trust {
    Trust { authorities, revoked: Revoked::default() }
}

#[test]
fn names_are_sixteen_digits_and_nothing_else() {
    let node = NodeId(0xab);
    assert_eq!(node.to_string(), "00000000000000ab");
    assert_eq!("00000000000000ab".parse::<NodeId>().expect("read"), node);
    for bad in ["", "ab", "00000000000000AG", "+0000000000000ab", "00000000000000ab0"] {
        assert!(bad.parse::<NodeId>().is_err(), "{bad}");
    }
    assert_eq!(Roles::FULL.to_string(), "master and agent");
    assert!(Roles::AGENT.within(Roles::FULL) && !Roles::FULL.within(Roles::AGENT));
}

#[test]
fn a_key_is_its_node_and_survives_its_stored_form() {
    let key = NodeKey::generate().expect("made");
    let again = NodeKey::from_pkcs8(key.pkcs8()).expect("read");
    assert_eq!(again.node(), key.node());
    assert_ne!(NodeKey::generate().expect("made").node(), key.node());
    let signature = key.sign(b"message");
    assert!(key.public().signed(b"message", &signature));
    assert!(!key.public().signed(b"massage", &signature));
    assert!(NodeKey::from_pkcs8(&key.pkcs8()[1..]).is_err());
    assert!(!format!("{key:?}").contains("pkcs8"));
}

#[test]
fn a_certificate_says_who_of_which_cluster_with_which_roles_until_when() {
    let now = wall_now();
    let authority = Authority::decode(&authority(now).encode().expect("a form")).expect("read");
    let key = NodeKey::generate().expect("made");
    let certificate = authority.sign(&key.public(), Roles::AGENT, now).expect("signed");
    assert_eq!(
        Certificate::decode(&certificate.encode().expect("a form")).expect("read"),
        certificate
    );
    let trust = trust(Authorities::of(&authority));
    for usage in [Usage::Server, Usage::Client] {
        let member = trust.check(&certificate.leaf, usage, now).expect("believed");
        assert_eq!((member.node, member.cluster), (key.node(), ClusterId(7)));
        assert_eq!((member.roles, member.key), (Roles::AGENT, key.public()));
    }
    let check = |at| trust.check(&certificate.leaf, Usage::Client, at);
    assert_eq!(check(now + 31 * DAY), Err(Distrust::Expired));
    assert!(check(now + 29 * DAY).is_ok());
    assert_eq!(check(Wall(now.0 - 2 * HOUR.as_nanos() as u64)), Err(Distrust::NotYet));
    assert!(check(Wall(now.0 - HOUR.as_nanos() as u64 / 2)).is_ok(), "clocks differ a little");
    let renew = certificate.renew_at() - now;
    assert!(renew > 19 * DAY && renew < 21 * DAY, "{renew:?}");
    trust.revoked.set(BTreeSet::from([key.node()]));
    assert_eq!(check(now), Err(Distrust::Revoked(key.node())));
    assert!(authority.sign(&key.public(), Roles::NONE, now).is_err());
}

#[test]
fn what_another_authority_signed_or_nobody_is_not_believed() {
    let now = wall_now();
    let (ours, theirs) = (authority(now), authority(now));
    let key = NodeKey::generate().expect("made");
    let forged = theirs.sign(&key.public(), Roles::FULL, now).expect("signed");
    let trust = trust(Authorities::of(&ours));
    let check = |leaf: &[u8]| trust.check(leaf, Usage::Client, now);
    assert_eq!(check(&forged.leaf), Err(Distrust::Foreign), "same cluster id, another key");
    assert_eq!(check(b"nonsense"), Err(Distrust::Malformed));
    assert_eq!(check(&[]), Err(Distrust::Malformed));
    let good = ours.sign(&key.public(), Roles::FULL, now).expect("signed");
    for cut in [1, 10, good.leaf.len() / 2, good.leaf.len() - 1] {
        assert!(check(&good.leaf[..cut]).is_err(), "cut at {cut}");
    }
    for at in 0..good.leaf.len() {
        let mut bent = good.leaf.clone();
        bent[at] ^= 1;
        assert!(check(&bent).is_err(), "byte {at} is another one");
    }
    // An authority is no node.
    assert!(check(ours.certificate()).is_err());
}

#[test]
fn a_rotation_shuts_nobody_out() {
    let start = wall_now();
    let (old, new) = (authority(start), authority(start));
    let key = NodeKey::generate().expect("made");
    let mut all = Authorities::of(&old);
    let by_old = old.sign(&key.public(), Roles::FULL, start).expect("signed");
    assert!(all.rotate(start).is_err(), "nothing is announced");
    all.announce(&new, start).expect("announced");
    all.announce(&new, start).expect("again is the same");
    assert!(all.announce(&authority(start), start).is_err(), "one at a time");
    assert_eq!(all.current(), Some(old.hash()), "it does not sign yet");
    let by_new = new.sign(&key.public(), Roles::FULL, start).expect("signed");
    let believed = |all: &Authorities, leaf: &[u8], at| {
        trust(all.clone()).check(leaf, Usage::Client, at).is_ok()
    };
    assert!(believed(&all, &by_old.leaf, start) && believed(&all, &by_new.leaf, start));
    all.rotate(start + DAY).expect("rotates");
    let all = Authorities::decode(&all.encode().expect("a form")).expect("read");
    assert_eq!(all.current(), Some(new.hash()));
    assert!(all.knows(old.hash(), start + 30 * DAY));
    assert!(believed(&all, &by_old.leaf, start + 29 * DAY));
    assert!(!all.knows(old.hash(), start + 33 * DAY), "its time is over");
    let mut all = all;
    all.announce(&authority(start), start + 33 * DAY).expect("there is room again");
    let foreign = Authority::create(ClusterId(8), start).expect("made");
    assert!(all.announce(&foreign, start).is_err());
}

#[test]
fn the_folder_keeps_the_key_and_the_membership_for_its_owner_alone() {
    let data = tempfile::tempdir().expect("a folder");
    let folder = Folder::open(data.path()).expect("made");
    let node = folder.key().node();
    assert!(folder.load().expect("read").is_none());
    let authority = authority(wall_now());
    let certificate =
        authority.sign(&folder.key().public(), Roles::FULL, wall_now()).expect("signed");
    folder.store(&certificate, &Authorities::of(&authority)).expect("kept");
    let path = data.path().join("identity");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for entry in std::fs::read_dir(&path).expect("read").flatten() {
        assert_eq!(mode(&entry.path()), 0o600, "{entry:?}");
    }
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path.join("node.key"), std::fs::Permissions::from_mode(0o644))
        .expect("set");
    let again = Folder::open(data.path()).expect("opens");
    assert_eq!(again.key().node(), node);
    assert_eq!(mode(&path.join("node.key")), 0o600);
    assert_eq!(again.load().expect("read").expect("there").certificate, certificate);
    // Another node's membership, a cut one, a key that is gone.
    let other = NodeKey::generate().expect("made");
    let foreign = authority.sign(&other.public(), Roles::FULL, wall_now()).expect("signed");
    folder.store(&foreign, &Authorities::of(&authority)).expect("kept");
    assert!(again.load().expect_err("foreign").cause.contains("is of node"));
    std::fs::write(path.join("membership"), [1, 2]).expect("written");
    assert!(again.load().is_err());
    std::fs::remove_file(path.join("node.key")).expect("gone");
    let gone = Folder::open(data.path()).expect_err("never silently another node");
    assert!(gone.cause.contains("node.key") && gone.hint.is_some(), "{gone}");
    std::fs::remove_file(path.join("membership")).expect("gone");
    assert_ne!(Folder::open(data.path()).expect("a wiped one").key().node(), node);
}

fn hash() -> AuthorityHash {
    AuthorityHash([0xa5; 20])
}

#[test]
fn a_token_is_text_that_no_shell_minds_and_no_slip_gets_past() {
    let token = Token::make(hash(), Roles::AGENT).expect("made");
    let text = token.text().expect("a form");
    assert!(text.starts_with("MESO1-a-"), "{text}");
    assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{text}");
    assert!(text.len() < 100, "{text}");
    let read: Token = format!(" {text}\n").parse().expect("read");
    assert_eq!(read, token);
    assert_eq!(text.to_ascii_uppercase().parse::<Token>().expect("read"), token);
    assert!(!format!("{token:?}").contains(&text[50..80]));
    for cut in 0..text.len() {
        assert!(text[..cut].parse::<Token>().is_err(), "cut at {cut}");
    }
    let mut slips = 0;
    for at in 6..text.len() {
        let mut slip = text.clone().into_bytes();
        slip[at] = if slip[at] == b'b' { b'c' } else { b'b' };
        let slip = String::from_utf8(slip).expect("text");
        slips += usize::from(slip.parse::<Token>().is_ok());
    }
    assert_eq!(slips, 0, "a slip was read");
    let unknown: Error = "MESO2-n-x".parse::<Token>().expect_err("newer");
    assert!(unknown.cause.contains("does not know"), "{unknown}");
    assert!("K10abc".parse::<Token>().expect_err("not ours").cause.contains("MESO1"));
    let e = text[..text.len() - 1].parse::<Token>().expect_err("cut");
    assert!(!e.cause.contains(&text[50..60]), "no secret in messages");
    assert!(Token::make(hash(), Roles::MASTER).is_err());
}

#[test]
fn base_32_is_that_of_the_standard() {
    assert_eq!(super::base32::encode(b"foobar"), "mzxw6ytboi");
    assert_eq!(super::base32::decode::<6>("MZXW6YTBOI"), Some(*b"foobar"));
    assert_eq!(super::base32::decode::<6>("mzxw6ytboj"), None, "bits left over");
    assert_eq!(super::base32::decode::<6>("mzxw6ytbo1"), None);
    assert_eq!(super::base32::decode::<5>("mzxw6ytboi"), None);
}

struct Case {
    name: &'static str,
    shown: Presented,
    at: Wall,
    expected: std::result::Result<Roles, TokenRefusal>,
}

#[test]
fn the_book_lets_in_whom_it_should_and_says_why_not() {
    let now = Wall::from_secs(1e9);
    let authorities = Authorities::of(&authority(now));
    let mut book = TokenBook::default();
    let issue = |book: &mut TokenBook, roles, life| {
        let new = NewToken { roles, life, note: "rack 1".into() };
        let (token, record, _) = book.issue(new, &authorities, now).expect("issued");
        assert_eq!(TokenRecord::decode(&record.encode().expect("a form")).expect("read"), record);
        token
    };
    let full = issue(&mut book, Roles::FULL, None);
    let agent = issue(&mut book, Roles::AGENT, Some(HOUR));
    let revoked = issue(&mut book, Roles::FULL, None);
    book.revoke(revoked.id, now).expect("revoked");
    let (rotated, records, _) =
        book.rotate(agent.id, &authorities, now + HOUR / 2).expect("rotated");
    assert_eq!(records[1].expires, Some(now + HOUR + HOUR / 2));
    assert!(records[0].revoked.is_some());
    let stranger = Token::make(authorities.current().expect("one"), Roles::FULL).expect("made");
    let foreign = Token::make(hash(), Roles::FULL).expect("made");
    let message = b"I am node 1";
    let show = |token: &Token, roles| Presented {
        id: token.id,
        authority: token.authority,
        roles,
        proof: token.prove(message),
    };
    let wrong = Presented { proof: foreign.prove(message), ..show(&full, Roles::FULL) };
    let other_message = Presented { proof: full.prove(b"I am node 2"), ..show(&full, Roles::FULL) };
    let wrong_and_expired = Presented { proof: [0; 32], ..show(&rotated, Roles::AGENT) };
    let case = |name, shown, at, expected| Case { name, shown, at, expected };
    let late = now + 2 * HOUR;
    let cases = [
        case("full", show(&full, Roles::FULL), now, Ok(Roles::FULL)),
        case("less than it gives", show(&full, Roles::AGENT), now, Ok(Roles::FULL)),
        case("for ever", show(&full, Roles::MASTER), now + 9000 * DAY, Ok(Roles::FULL)),
        case("agent", show(&rotated, Roles::AGENT), now, Ok(Roles::AGENT)),
        case(
            "more than it gives",
            show(&rotated, Roles::FULL),
            now,
            Err(TokenRefusal::Role { asked: Roles::FULL, gives: Roles::AGENT }),
        ),
        case(
            "nothing",
            show(&full, Roles::NONE),
            now,
            Err(TokenRefusal::Role { asked: Roles::NONE, gives: Roles::FULL }),
        ),
        case(
            "expired",
            show(&rotated, Roles::AGENT),
            late,
            Err(TokenRefusal::Expired { at: now + HOUR + HOUR / 2 }),
        ),
        case("rotated away", show(&agent, Roles::AGENT), now, Err(TokenRefusal::Revoked)),
        case("revoked", show(&revoked, Roles::FULL), now, Err(TokenRefusal::Revoked)),
        case("unknown", show(&stranger, Roles::FULL), now, Err(TokenRefusal::Unknown)),
        case("another cluster", show(&foreign, Roles::FULL), now, Err(TokenRefusal::OtherCluster)),
        case("another secret", wrong, now, Err(TokenRefusal::Wrong)),
        case("another message", other_message, now, Err(TokenRefusal::Wrong)),
        case("guessers learn nothing of it", wrong_and_expired, late, Err(TokenRefusal::Wrong)),
    ];
    // What is kept is enough.
    let book = TokenBook::of(book.list().cloned());
    let mut texts = BTreeSet::new();
    for Case { name, shown, at, expected } in cases {
        let gives = |id| book.list().find(|token| token.id == id).expect("it is there").roles;
        let answer = book.check(&shown, message, &authorities, at).map(gives);
        assert_eq!(answer, expected, "{name}");
        if let Err(why) = answer {
            texts.insert(why.to_string());
            assert_eq!(why.is_guess(), matches!(why, TokenRefusal::Unknown | TokenRefusal::Wrong));
        }
    }
    assert_eq!(texts.len(), 7, "each its own text: {texts:#?}");
    assert!(book.clone().revoke(stranger.id, now).is_err());
}

#[test]
fn an_open_door_lets_in_while_it_is_open() {
    let now = Wall::from_secs(1e9);
    let authorities = Authorities::of(&authority(now));
    let pin = authorities.current().expect("one");
    let message = b"let me in";
    let show = |roles: Roles| {
        let token = OpenDoor.token(pin, roles);
        Presented { id: token.id, authority: pin, roles, proof: token.prove(message) }
    };
    let mut book = TokenBook::default();
    let shown = show(Roles::FULL);
    let closed = book.check(&shown, message, &authorities, now);
    assert_eq!(closed, Err(TokenRefusal::Unknown));
    book.leave_open(Some(OpenDoor));
    for roles in [Roles::FULL, Roles::AGENT] {
        let id = show(roles).id;
        assert_eq!(book.check(&show(roles), message, &authorities, now), Ok(id));
    }
    assert_eq!(book.check(&shown, b"another", &authorities, now), Err(TokenRefusal::Wrong));
    assert_eq!(book.list().count(), 0, "it is no token that could be listed, or would be kept");
    let other = Authorities::of(&authority(now));
    assert_eq!(book.check(&shown, message, &other, now), Err(TokenRefusal::OtherCluster));
}

#[test]
fn a_book_is_bounded() {
    let now = Wall::from_secs(1e9);
    let authorities = Authorities::of(&authority(now));
    let mut book = TokenBook::default();
    let new = |life| NewToken { roles: Roles::AGENT, life, note: String::new() };
    for _ in 0..TOKENS_MAX {
        book.issue(new(Some(HOUR)), &authorities, now).expect("room");
    }
    let full = book.issue(new(None), &authorities, now).expect_err("full");
    assert_eq!(full.code, Code::Overloaded);
    let later = now + 2 * HOUR;
    for _ in 0..TOKENS_MAX {
        book.issue(new(Some(HOUR)), &authorities, later).expect("the others are over");
    }
    let (token, _, forgotten) =
        book.issue(new(None), &authorities, later + 2 * HOUR).expect("room");
    assert_eq!(forgotten.len(), 1, "the one over longest");
    assert_eq!(book.list().count(), 512);
    assert!(book.list().any(|t| t.id == token.id));
    let long = NewToken { note: "x".repeat(257), ..new(None) };
    assert!(book.issue(long, &authorities, now).is_err());
    assert!(book.issue(new(Some(Duration::ZERO)), &authorities, now).is_err());
}

#[test]
fn guessing_is_slowed_by_source_and_in_all_and_its_memory_is_bounded() {
    let limits = GuessesLimits { per_source: 3, in_all: 6, window: Duration::from_secs(60) };
    let mut guesses = Guesses::new(limits);
    let at = |secs: u64| Mono(secs * 1_000_000_000);
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    for second in 0..3 {
        guesses.admit(ip("10.0.0.1"), at(second)).expect("may try");
        guesses.wrong(ip("10.0.0.1"), at(second));
    }
    assert_eq!(guesses.admit(ip("10.0.0.1"), at(10)), Err(Duration::from_secs(50)));
    assert_eq!(guesses.admit(ip("::ffff:10.0.0.1"), at(10)), Err(Duration::from_secs(50)));
    guesses.admit(ip("10.0.0.2"), at(10)).expect("another source");
    for _ in 0..3 {
        guesses.wrong(ip("2001:db8::1"), at(11));
    }
    assert!(guesses.admit(ip("2001:db8::ffff"), at(12)).is_err(), "the same /64");
    assert!(guesses.admit(ip("10.0.0.2"), at(12)).is_err(), "too many in all");
    guesses.admit(ip("10.0.0.1"), at(61)).expect("the window is over");
    guesses.admit(ip("10.0.0.2"), at(61)).expect("the window is over");
    let mut many = Guesses::new(GuessesLimits { in_all: u32::MAX, ..limits });
    for n in 0..5000u32 {
        many.wrong(IpAddr::V4(n.into()), at(u64::from(n)));
    }
    assert_eq!(many.sources(), 1024);
}
