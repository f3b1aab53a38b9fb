//! A custom executor in 100 lines: tasks that live until they are killed, and an echo of every framework message.
//!
//! An agent starts it as the `command` of an `ExecutorInfo` (`cargo build --example executor`, then give its path) and
//! tells it all it needs by `MESOS_*`. A scheduler sends it MESSAGE, and gets the same bytes back.

use mesolith::framework::executor::{ExecutorEnv, ExecutorEvent, ExecutorPort};
use mesolith::mesos::codec::Codec;
use mesolith::mesos::v1::executor::{Event, event};
use mesolith::mesos::v1::{TaskId, TaskState, TaskStatus};
use std::collections::BTreeSet;
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How long the agent may take to acknowledge our last updates.
const LAST_WORDS: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> Result<()> {
    let env = ExecutorEnv::read(|name| std::env::var(name).ok())?;
    let endpoint = env.endpoint(Codec::Protobuf)?;
    let (port, mut events) = ExecutorPort::connect(endpoint, env.options);
    let mut running = BTreeSet::new();
    while let Some(event) = events.next().await {
        match event {
            ExecutorEvent::Connected(subscribed) => {
                println!("subscribed at {}", subscribed.agent_info.hostname);
            }
            // The port keeps our updates meanwhile, and tells them again.
            ExecutorEvent::Disconnected { why } => println!("disconnected: {why}"),
            ExecutorEvent::Event(event) => answer(&port, &event, &mut running).await?,
            ExecutorEvent::Shutdown { why } => {
                println!("shutting down: {why}");
                for task in std::mem::take(&mut running) {
                    tell(&port, &task, TaskState::TaskKilled).await?;
                }
                port.drained(LAST_WORDS).await;
                return Ok(());
            }
            ExecutorEvent::Failed(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn answer(port: &ExecutorPort, event: &Event, running: &mut BTreeSet<String>) -> Result<()> {
    if let Some(launch) = &event.launch {
        let task = &launch.task.task_id.value;
        println!("task {task} runs");
        running.insert(task.clone());
        tell(port, task, TaskState::TaskStarting).await?;
        tell(port, task, TaskState::TaskRunning).await?;
    }
    if let Some(kill) = &event.kill
        && running.remove(&kill.task_id.value)
    {
        tell(port, &kill.task_id.value, TaskState::TaskKilled).await?;
    }
    if let Some(message) = &event.message {
        println!("a message of {} bytes, sent back", message.data.len());
        port.message(message.data.clone()).await?;
    }
    if event.r#type() == event::Type::LaunchGroup {
        println!("task groups are for the default executor; this one runs single tasks");
    }
    Ok(())
}

async fn tell(port: &ExecutorPort, task: &str, state: TaskState) -> Result<()> {
    let task_id = TaskId { value: task.to_string() };
    Ok(port.update(TaskStatus { task_id, state: state.into(), ..Default::default() }).await?)
}
