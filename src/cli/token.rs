//! `mesolith token`: secrets with which machines join. A token's secret is shown once, when it is made.

use super::client::Method;
use super::confirm::confirm;
use super::output::{
    Fit, Format, list, now_ms, passed, print, print_json, table, terminal_width, text,
};
use super::roster::{Ask, PATH, no_cluster};
use super::state::find;
use super::watch;
use crate::base::error::{Code, Error, Result};
use crate::cli::client::encode;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::time::Duration;

/// So many seeds are named in a line to paste: any one of them would do.
const SEEDS_MAX: usize = 3;

/// What to do with tokens.
#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    verb: Option<TokenVerb>,
}

#[derive(Debug, Subcommand)]
enum TokenVerb {
    /// Make a token; prints it, and the line that joins a machine with it
    #[command(before_help = "  mesolith token create --ttl 1h\n  \
                             mesolith token create --note 'rack 7'\n  \
                             TOKEN=$(mesolith token create)")]
    Create {
        /// For machines that run tasks and never vote; the node's part of that is not there yet
        #[arg(long)]
        agent_only: bool,
        /// How long it lets machines in, e.g. 1h; without this, until it is revoked
        #[arg(long, value_name = "DURATION", value_parser = ttl)]
        ttl: Option<Duration>,
        /// What it is for
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        note: String,
    },
    /// List tokens, without their secrets (the default)
    Ls {
        /// Ids only, one a line
        #[arg(short, long)]
        quiet: bool,
    },
    /// Let no more machines in with a token; those that are in stay
    #[command(before_help = "  mesolith token revoke 7c1e")]
    Revoke {
        /// Token id, or the beginning of one
        id: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Put a new token in the place of one, with the same roles and note
    #[command(before_help = "  mesolith token rotate 7c1e")]
    Rotate {
        /// Token id, or the beginning of one
        id: String,
    },
}

/// A time to live: at least a second, in whole ones.
fn ttl(text: &str) -> std::result::Result<Duration, String> {
    match watch::duration(text)? {
        short if short < Duration::from_secs(1) => Err("a token lives at least 1s".into()),
        ttl => Ok(ttl),
    }
}

/// Runs the verb.
///
/// # Errors
/// As [`crate::cli::client::Client::change`]; not found, not confirmed.
pub async fn run(ask: &Ask<'_>, args: TokenArgs) -> Result<()> {
    match args.verb {
        None => ls(ask, false).await,
        Some(TokenVerb::Ls { quiet }) => ls(ask, quiet).await,
        Some(TokenVerb::Create { agent_only, ttl, note }) => {
            let roles = if agent_only { "agent" } else { "node" };
            let ttl = ttl.map(|ttl| ttl.as_secs());
            let body = json!({"roles": roles, "ttl_seconds": ttl, "note": note});
            let path = tokens_path();
            let answer = ask.master.change(Method::POST, &path, &[], Some(&body)).await;
            let answer = answer.map_err(|e| no_cluster(ask.master, e))?.json();
            made(ask, &answer, agent_only)
        }
        Some(TokenVerb::Revoke { id, yes }) => revoke(ask, &id, yes).await,
        Some(TokenVerb::Rotate { id }) => rotate(ask, &id).await,
    }
}

fn tokens_path() -> String {
    format!("{PATH}/tokens")
}

fn token_path(id: &str) -> String {
    format!("{PATH}/tokens/{}", encode(id))
}

/// Shows a new token: itself on stdout, so that it can be piped on; how to use it on stderr.
fn made(ask: &Ask<'_>, answer: &Value, agent_only: bool) -> Result<()> {
    let token = text(answer, "token");
    if token.is_empty() {
        return Err(Error::new(Code::Internal, "the cluster made a token and did not say which"));
    }
    match ask.format {
        Format::Json => print_json(answer)?,
        Format::Table => print(&format!("{token}\n"))?,
    }
    eprint!("{}", usage(answer, agent_only, now_ms()));
    Ok(())
}

/// How to use a new token, and how long that works.
fn usage(answer: &Value, agent_only: bool, now_ms: u64) -> String {
    let seeds: Vec<&str> = list(answer, "join").iter().filter_map(Value::as_str).collect();
    let mut line = String::from("mesolith up");
    for seed in seeds.iter().take(SEEDS_MAX) {
        line.push_str(&format!(" --join {seed}"));
    }
    line.push_str(&format!(" --token {}", text(answer, "token")));
    if agent_only {
        line.push_str(" --roles agent");
    }
    let until = match answer["expires"].as_u64() {
        Some(at) => format!("for {}", passed(at.saturating_sub(now_ms).div_ceil(1_000))),
        None => "until it is revoked".into(),
    };
    let mut out = format!("it lets machines in {until}; on the other machine:\n\n  {line}\n\n");
    if seeds.is_empty() {
        out.push_str("(no node tells an address that others reach: add --join HOST of one)\n");
    }
    out
}

async fn tokens(ask: &Ask<'_>) -> Result<Value> {
    let told = ask.master.get(&tokens_path(), &[]).await;
    told.map_err(|e| no_cluster(ask.master, e))
}

/// The token of this id, or with an id that begins so.
async fn found(ask: &Ask<'_>, id: &str) -> Result<Value> {
    let answer = tokens(ask).await?;
    if id.is_empty() {
        return Err(Error::new(Code::NotFound, "there is no token \"\"")
            .hint("list them with `mesolith token`"));
    }
    find(list(&answer, "tokens"), "token", id).cloned()
}

async fn ls(ask: &Ask<'_>, quiet: bool) -> Result<()> {
    let answer = tokens(ask).await?;
    let tokens = list(&answer, "tokens");
    if quiet {
        return print(&tokens.iter().map(|t| text(t, "id") + "\n").collect::<String>());
    }
    if ask.format == Format::Json {
        return print_json(&answer);
    }
    if tokens.is_empty() {
        eprintln!("no tokens (make one: `mesolith token create`)");
        return Ok(());
    }
    print(&listing(tokens, now_ms(), terminal_width()))
}

fn listing(tokens: &[Value], now_ms: u64, width: Option<u16>) -> String {
    let rows = tokens.iter().map(|token| {
        vec![
            text(token, "id"),
            kind(token).into(),
            text(token, "state"),
            format!("{} ago", since(token, "created", now_ms)),
            end(token, now_ms),
            text(token, "note"),
        ]
    });
    let headers = ["ID", "FOR", "STATE", "MADE", "EXPIRES", "NOTE"];
    table(&headers, rows.collect(), Fit { whole: &["ID", "STATE"], spare: &["MADE"] }, width)
}

/// What a machine may be that joins with it.
fn kind(token: &Value) -> &'static str {
    match list(token, "roles").iter().any(|r| r == "master") {
        true => "nodes",
        false => "agents",
    }
}

fn since(token: &Value, key: &str, now_ms: u64) -> String {
    let at = token[key].as_u64().unwrap_or(now_ms);
    passed(now_ms.saturating_sub(at) / 1_000)
}

/// When it ends or ended.
fn end(token: &Value, now_ms: u64) -> String {
    if token["revoked"].is_u64() {
        return format!("revoked {} ago", since(token, "revoked", now_ms));
    }
    match token["expires"].as_u64() {
        None => "never".into(),
        Some(at) if at > now_ms => format!("in {}", passed((at - now_ms) / 1_000)),
        Some(_) => format!("{} ago", since(token, "expires", now_ms)),
    }
}

async fn revoke(ask: &Ask<'_>, id: &str, yes: bool) -> Result<()> {
    let token = found(ask, id).await?;
    let id = text(&token, "id");
    let note = match text(&token, "note") {
        note if note.is_empty() => String::new(),
        note => format!(" ({note})"),
    };
    confirm(yes, &format!("this revokes token {id}{note}: no machine can join with it any more"))?;
    let answer = ask.master.change(Method::DELETE, &token_path(&id), &[], None).await?.json();
    if ask.format == Format::Json && !answer.is_null() {
        print_json(&answer)?;
    }
    eprintln!("revoked token {id}");
    Ok(())
}

async fn rotate(ask: &Ask<'_>, id: &str) -> Result<()> {
    let token = found(ask, id).await?;
    let id = text(&token, "id");
    let path = format!("{}/rotate", token_path(&id));
    let answer = ask.master.change(Method::POST, &path, &[], None).await?.json();
    eprintln!("token {id} lets no more machines in");
    made(ask, &answer, kind(&token) == "agents")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_to_paste_is_whole() {
        let mut answer = json!({"token": "MESO1-x", "id": "7c", "expires": 3_600_500,
            "join": ["10.0.0.1:5052", "10.0.0.2:5052", "10.0.0.3:5052", "10.0.0.4:5052"]});
        assert_eq!(
            usage(&answer, false, 500),
            "it lets machines in for 60m; on the other machine:\n\n  mesolith up --join \
             10.0.0.1:5052 --join 10.0.0.2:5052 --join 10.0.0.3:5052 --token MESO1-x\n\n"
        );
        answer["expires"] = Value::Null;
        answer["join"] = json!([]);
        assert_eq!(
            usage(&answer, true, 500),
            "it lets machines in until it is revoked; on the other machine:\n\n  \
             mesolith up --token MESO1-x --roles agent\n\n\
             (no node tells an address that others reach: add --join HOST of one)\n"
        );
    }

    #[test]
    fn a_list_says_for_whom_and_how_long() {
        let now = 1_000_000_000;
        let tokens = [
            json!({"id": "7c1e9a55", "roles": ["master", "agent", "marathon", "chronos"],
                "created": now - 7_200_000, "expires": null, "revoked": null, "state": "valid",
                "note": ""}),
            json!({"id": "80aa0001", "roles": ["agent"], "created": now - 60_000,
                "expires": now + 3_540_000, "revoked": null, "state": "valid",
                "note": "the machines of rack 7, which come one after the other until Friday"}),
            json!({"id": "91bb0002", "roles": ["agent"], "created": now - 90_000,
                "expires": now - 30_000, "revoked": null, "state": "expired", "note": ""}),
            json!({"id": "a2cc0003", "roles": ["master", "agent"], "created": now - 259_200_000,
                "expires": now - 30_000, "revoked": now - 120_000, "state": "revoked", "note": "x"}),
        ];
        let head = " ID        FOR     STATE    MADE     EXPIRES         NOTE";
        let first = " 7c1e9a55  nodes   valid    2h ago   never";
        let second =
            " 80aa0001  agents  valid    60s ago  in 59m          the machines of rack 7, which";
        let rest = [
            " 91bb0002  agents  expired  90s ago  30s ago",
            " a2cc0003  nodes   revoked  3d ago   revoked 2m ago  x",
            "",
        ]
        .join("\n");
        let whole = format!("{second} come one after the other until Friday");
        assert_eq!(listing(&tokens, now, None), [head, first, &whole, &rest].join("\n"));
        // A column is left out before words are wrapped.
        let wide = [
            " ID        FOR     STATE    EXPIRES         NOTE",
            " 7c1e9a55  nodes   valid    never",
            " 80aa0001  agents  valid    in 59m          the machines of rack 7, which come one after the other until Friday",
            " 91bb0002  agents  expired  30s ago",
            " a2cc0003  nodes   revoked  revoked 2m ago  x",
            "",
        ];
        assert_eq!(listing(&tokens, now, Some(120)), wide.join("\n"));
        let narrow = [
            " ID        FOR     STATE    EXPIRES         NOTE",
            " 7c1e9a55  nodes   valid    never",
            " 80aa0001  agents  valid    in 59m          the machines of rack 7, which come",
            &format!("{}one after the other until Friday", " ".repeat(44)),
            " 91bb0002  agents  expired  30s ago",
            " a2cc0003  nodes   revoked  revoked 2m ago  x",
            "",
        ];
        assert_eq!(listing(&tokens, now, Some(80)), narrow.join("\n"));
    }

    #[test]
    fn a_token_lives_at_least_a_second() {
        assert_eq!(ttl("1h"), Ok(Duration::from_secs(3_600)));
        assert!(ttl("0s").is_err() && ttl("200ms").is_err() && ttl("soon").is_err());
    }
}
