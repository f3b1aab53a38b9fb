//! Orders about one node that override the policy: given, and watched until the node is what was ordered.

use crate::base::error::{Code, Error, Result};
use crate::cli::client::Method;
use crate::cli::exit::End;
use crate::cli::output::{Format, print_json, text};
use crate::cli::poll::{self, Look};
use crate::cli::roster::{self, Ask, by_id, fetch, host};
use crate::cli::watch::WatchArgs;
use serde_json::Value;

/// What a node is told to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A voter.
    Promote,
    /// No voter.
    Demote,
    /// What it is.
    Pin,
    /// What the policy says.
    Unpin,
}

impl Order {
    /// As the cluster spells it.
    const fn word(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Demote => "demote",
            Self::Pin => "pin",
            Self::Unpin => "unpin",
        }
    }

    /// Whether a node of this standing is what was ordered.
    fn holds(self, standing: &str) -> bool {
        let votes = matches!(standing, "voter" | "leader");
        match self {
            Self::Promote => votes,
            Self::Demote => !votes,
            Self::Pin | Self::Unpin => true,
        }
    }
}

/// Gives the order; says what the cluster makes of it. Answers the node as it was.
///
/// # Errors
/// As [`crate::cli::client::Client::change`]; not found.
async fn give(ask: &Ask<'_>, node: &str, order: Order) -> Result<Value> {
    let cluster = fetch(ask.master).await?;
    let node = roster::find(&cluster, node)?;
    let path = roster::path(&text(node, "node"), order.word());
    let answer = ask.master.change(Method::POST, &path, &[], None).await?.json();
    if ask.format == Format::Json {
        print_json(&answer)?;
    }
    eprintln!("{}: {}", host(node), text(&answer, "explanation"));
    Ok(node.clone())
}

/// An order that holds as soon as it is given.
///
/// # Errors
/// As [`crate::cli::client::Client::change`]; not found.
pub async fn given(ask: &Ask<'_>, node: &str, order: Order) -> Result<()> {
    give(ask, node, order).await.map(drop)
}

/// An order that takes steps; waits for them unless detached.
///
/// # Errors
/// As [`given`]; when nobody answers any more.
pub async fn watched(ask: &Ask<'_>, node: &str, order: Order, how: &WatchArgs) -> Result<End> {
    let node = give(ask, node, order).await?;
    if how.detach {
        return Ok(End::Done);
    }
    let (id, host) = (text(&node, "node"), host(&node));
    let goes_on = format!("the order stays (take it back with `mesolith cluster unpin {host}`)");
    let mut seen = false;
    poll::until(ask.interrupt, &goes_on, how.timeout, async || {
        judge(&fetch(ask.master).await?, &id, order, &mut seen)
    })
    .await
}

/// How far an order is. `seen` remembers that the node that is asked knows of it: it may lag behind.
///
/// # Errors
/// [`Code::NotFound`] when the node was removed.
fn judge(cluster: &Value, id: &str, order: Order, seen: &mut bool) -> Result<Look> {
    let Some(node) = by_id(cluster, id) else {
        return Err(Error::new(Code::NotFound, format!("node {id} was removed meanwhile")));
    };
    let (host, standing) = (host(node), text(node, "standing"));
    if order.holds(&standing) {
        return Ok(Look::Over(End::Done, format!("{host} is {}", article(&standing))));
    }
    let said = text(node, "order");
    if said == order.word() {
        *seen = true;
    } else if *seen {
        let text = match said.as_str() {
            "none" => format!("{host}: the order was taken back"),
            other => format!("{host}: another order took its place: {other}"),
        };
        return Ok(Look::Over(End::Cancelled, text));
    }
    Ok(Look::Goes(format!("{host} is {}: {}", article(&standing), text(node, "explanation"))))
}

/// A standing in a sentence.
fn article(standing: &str) -> String {
    match standing {
        "leader" => "the leader".into(),
        "outside" => "no voter".into(),
        other => format!("a {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn look(standing: &str, said: &str, order: Order, seen: &mut bool) -> Look {
        let node = json!({"node": "a", "hostname": "n1", "standing": standing, "order": said,
            "explanation": "it waits"});
        judge(&json!({"nodes": [node]}), "a", order, seen).unwrap()
    }

    #[test]
    fn an_order_is_done_when_the_node_stands_so() {
        for (order, standing, done) in [
            (Order::Promote, "voter", true),
            (Order::Promote, "leader", true),
            (Order::Promote, "learner", false),
            (Order::Promote, "outside", false),
            (Order::Demote, "learner", true),
            (Order::Demote, "outside", true),
            (Order::Demote, "leader", false),
            (Order::Demote, "voter", false),
        ] {
            let look = look(standing, order.word(), order, &mut false);
            assert_eq!(matches!(look, Look::Over(End::Done, _)), done, "{order:?} {standing}");
        }
    }

    #[test]
    fn an_order_that_was_seen_and_is_another_now_is_cancelled() {
        let mut seen = false;
        let goes = Look::Goes("n1 is a learner: it waits".into());
        // The node that is asked does not know of it yet.
        assert_eq!(look("learner", "none", Order::Promote, &mut seen), goes);
        assert_eq!(look("learner", "promote", Order::Promote, &mut seen), goes);
        for (said, words) in [("none", "taken back"), ("demote", "place: demote")] {
            match look("learner", said, Order::Promote, &mut seen.clone()) {
                Look::Over(End::Cancelled, text) => assert!(text.contains(words), "{text}"),
                other => panic!("{other:?}"),
            }
        }
        let gone = judge(&json!({"nodes": []}), "a", Order::Promote, &mut seen);
        assert_eq!(gone.unwrap_err().code, Code::NotFound);
    }
}
