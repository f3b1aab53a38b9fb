//! A framework's part of the registry.

use super::{open, put};
use mesolith::base::error::Code;
use mesolith::cluster::consensus::{Namespace, Op};

#[tokio::test]
async fn namespaces_do_not_see_each_other_and_compare_versions() {
    let tmp = tempfile::tempdir().expect("a directory");
    let (_dir, registry) = open(tmp.path()).await;
    let epoch = registry.begin().await.expect("begins");
    let open = async |name| Namespace::open(&registry, epoch, name, 1 << 20).await;
    let marathon = open("marathon").await.expect("opens");
    let chronos = open("chronos").await.expect("opens");
    put(&registry, epoch, "agents/a", "1").await.expect("is written");
    let v = marathon.put("apps/x", b"1".to_vec(), Some(None)).await.expect("is new").index;
    chronos.put("apps/x", b"2".to_vec(), None).await.expect("is written");
    assert_eq!(marathon.get("apps/x").expect("is read"), Some((b"1".to_vec(), v)));

    let exists = marathon.put("apps/x", b"3".to_vec(), Some(None)).await.expect_err("exists");
    assert_eq!(exists.code, Code::Conflict);
    assert!(exists.cause.contains("\"apps/x\""), "without the namespace: {exists}");
    let w = marathon.put("apps/x", b"3".to_vec(), Some(Some(v))).await.expect("fits").index;
    let old = marathon.delete("apps/x", Some(v)).await.expect_err("is old");
    assert_eq!(old.code, Code::Conflict);
    let y = marathon.put("apps/y", vec![], None).await.expect("is written").index;
    let listed = marathon.list("apps/").expect("is read");
    let listed: Vec<_> = listed.iter().map(|s| (s.key.as_str(), s.version)).collect();
    assert_eq!(listed, [("apps/x", w), ("apps/y", y)]);
    marathon.delete("apps/x", Some(w)).await.expect("fits");
    assert_eq!(marathon.list("").expect("is read").len(), 1);
    for name in ["", "a/b"] {
        let refused = open(name).await.map(|_| ()).expect_err("is no name");
        assert_eq!(refused.code, Code::Invalid);
    }
}

#[tokio::test]
async fn a_quota_refuses_growth_and_allows_shrinking() {
    let tmp = tempfile::tempdir().expect("a directory");
    let (_dir, registry) = open(tmp.path()).await;
    let epoch = registry.begin().await.expect("begins");
    let small = Namespace::open(&registry, epoch, "small", 1000).await.expect("opens");
    small.put("a", vec![0; 400], None).await.expect("fits");
    small.put("b", vec![0; 400], None).await.expect("fits");
    let used = small.used();
    let refused = small.put("c", vec![0; 400], None).await.expect_err("is too much");
    assert_eq!(refused.code, Code::Overloaded);
    assert_eq!(small.get("c").expect("is read"), None);
    // A batch that conflicts was counted for a moment only.
    let conflict = small.write(vec![Op::put("d", [0; 100]), Op::check("a", None)]).await;
    assert_eq!(conflict.expect_err("conflicts").code, Code::Conflict);
    small.put("a", vec![0; 300], None).await.expect("shrinks");
    assert_eq!(small.used(), used - 100);
    small.write(vec![Op::delete("b"), Op::put("c", [0; 400])]).await.expect("replaces");
    // A new incarnation counts what is there.
    let epoch = registry.begin().await.expect("begins");
    let again = Namespace::open(&registry, epoch, "small", 500).await.expect("opens");
    assert_eq!(again.used(), small.used());
    assert!(again.put("d", vec![0; 10], None).await.is_err(), "over its new quota");
    again.put("c", vec![0; 200], None).await.expect("over its quota, but shrinks");
    again.delete("a", None).await.expect("shrinks");
    again.put("d", vec![0; 10], None).await.expect("fits again");
    let fenced = small.delete("d", None).await.expect_err("is of an old leader");
    assert_eq!(fenced.code, Code::Unavailable);
}
