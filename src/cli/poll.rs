//! Watching what is told by no event: looks again and again, shows how far it is, and knows when to stop.
//!
//! Looking changes nothing: whoever stops it leaves what was asked for as it is.

use super::exit::End;
use super::watch::{Interrupt, Progress};
use crate::base::error::{Code, Error, Result};
use std::time::Duration;
use tokio::time::Instant;

/// How patient watching is.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Between two looks.
    look: Duration,
    /// How long nobody may answer, while another node comes to lead, before watching ends.
    silence: Duration,
}

const PACE: Pace = Pace { look: Duration::from_millis(250), silence: Duration::from_secs(60) };

/// What a look has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// It is not there yet, but this far.
    Goes(String),
    /// It has ended so; the text says how.
    Over(End, String),
}

/// Looks until it is over, or the time is up. `goes_on` is what stays when nobody watches any more.
///
/// # Errors
/// What a look fails with; when nobody answers, only after a while.
pub async fn until(
    interrupt: &Interrupt,
    goes_on: &str,
    timeout: Option<Duration>,
    look: impl AsyncFnMut() -> Result<Look>,
) -> Result<End> {
    at_pace(PACE, interrupt, goes_on, timeout, look).await
}

async fn at_pace(
    pace: Pace,
    interrupt: &Interrupt,
    goes_on: &str,
    timeout: Option<Duration>,
    mut look: impl AsyncFnMut() -> Result<Look>,
) -> Result<End> {
    interrupt.says(format!("stopped watching; {goes_on}"));
    let started = Instant::now();
    let deadline = timeout.map(|t| started + t);
    let mut progress = Progress::default();
    let mut answered = started;
    let mut last = String::new();
    loop {
        let Some(looked) = before(deadline, look()).await else {
            return Ok(time_is_up(progress, &last, goes_on));
        };
        match looked {
            Ok(Look::Over(end, text)) => {
                drop(progress);
                eprintln!("{text}");
                return Ok(end);
            }
            Ok(Look::Goes(line)) => {
                answered = Instant::now();
                progress.show(&line);
                last = line;
            }
            Err(e) if is_silence(&e) => {
                if answered.elapsed() > pace.silence {
                    return Err(e.context(format!("watching ended; {goes_on}")));
                }
                progress.show("no answer; trying again");
            }
            Err(e) => return Err(e),
        }
        if before(deadline, tokio::time::sleep(pace.look)).await.is_none() {
            return Ok(time_is_up(progress, &last, goes_on));
        }
    }
}

/// Whether an error only says that nobody can answer now.
pub fn is_silence(e: &Error) -> bool {
    matches!(e.code, Code::Unavailable | Code::Timeout)
}

/// None when the deadline comes first.
async fn before<T>(deadline: Option<Instant>, what: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(at) => tokio::time::timeout_at(at, what).await.ok(),
        None => Some(what.await),
    }
}

fn time_is_up(progress: Progress, last: &str, goes_on: &str) -> End {
    drop(progress);
    match last {
        "" => eprintln!("the time is up; {goes_on}"),
        _ => eprintln!("the time is up: {last}; {goes_on}"),
    }
    End::TimedOut
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Pace = Pace { look: Duration::from_millis(1), silence: Duration::from_millis(30) };

    /// How looks end that show these one after the other, the last for ever.
    async fn ended(looks: Vec<Result<Look>>, timeout: Option<Duration>) -> Result<End> {
        let mut looks = looks.into_iter();
        let mut next = looks.next().unwrap();
        let interrupt = Interrupt::default();
        let end = at_pace(QUICK, &interrupt, "it goes on", timeout, async || {
            let now = next.clone();
            next = looks.next().unwrap_or_else(|| now.clone());
            now
        })
        .await;
        assert_eq!(interrupt.text().as_deref(), Some("stopped watching; it goes on"));
        end
    }

    fn goes() -> Result<Look> {
        Ok(Look::Goes("on".into()))
    }

    fn over(end: End) -> Result<Look> {
        Ok(Look::Over(end, "over".into()))
    }

    fn silence() -> Result<Look> {
        Err(Error::new(Code::Unavailable, "nobody"))
    }

    #[tokio::test]
    async fn it_ends_as_the_last_look_says() {
        for end in [End::Done, End::Cancelled, End::Failed] {
            assert_eq!(ended(vec![goes(), goes(), over(end)], None).await, Ok(end));
        }
    }

    #[tokio::test]
    async fn the_time_may_be_up_first() {
        let short = Some(Duration::from_millis(20));
        assert_eq!(ended(vec![goes()], short).await, Ok(End::TimedOut));
        // A look that never comes back does not keep it.
        let never = async || std::future::pending::<Result<Look>>().await;
        let end = at_pace(QUICK, &Interrupt::default(), "x", short, never).await;
        assert_eq!(end, Ok(End::TimedOut));
    }

    #[tokio::test]
    async fn silence_is_borne_for_a_while_and_refusals_are_not() {
        let end = ended(vec![goes(), silence(), silence(), over(End::Done)], None).await;
        assert_eq!(end, Ok(End::Done));
        let error = ended(vec![goes(), silence()], None).await.unwrap_err();
        assert_eq!(error.code, Code::Unavailable);
        assert!(error.cause.contains("it goes on"), "{error:?}");
        let refused = Err(Error::new(Code::Forbidden, "no"));
        let end = ended(vec![refused, over(End::Done)], None).await;
        assert_eq!(end.unwrap_err().code, Code::Forbidden);
    }
}
