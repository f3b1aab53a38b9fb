//! A Mesos framework in 100 lines: runs `echo` a few times, prints what becomes of each task, and ends.
//!
//! `cargo run --example framework -- [MASTER] [TASKS] [json|protobuf]`
//! e.g. `cargo run --example framework -- 127.0.0.1:5050 5 json`

use mesolith::base::resources::Resources;
use mesolith::framework::http::HttpOptions;
use mesolith::framework::scheduler::{Endpoint, Port, PortEvent};
use mesolith::mesos::codec::Codec;
use mesolith::mesos::convert::{Format, resources_from_v1, resources_to_v1};
use mesolith::mesos::make::{is_terminal, state_name};
use mesolith::mesos::v1::framework_info::{Capability, capability};
use mesolith::mesos::v1::{CommandInfo, FrameworkInfo, Offer, TaskId, TaskInfo};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut options = HttpOptions::new([args.next().unwrap_or("127.0.0.1:5050".into())]);
    let tasks: usize = args.next().map_or(Ok(3), |n| n.parse())?;
    if args.next().as_deref() == Some("json") {
        options.codec = Codec::Json;
    }

    // Who we are. Without an id the master gives us one; the port keeps it when it has to subscribe again.
    let capabilities = [capability::Type::MultiRole, capability::Type::ReservationRefinement];
    let framework = FrameworkInfo {
        user: std::env::var("USER").unwrap_or("root".into()),
        name: "framework example".into(),
        roles: vec!["*".into()],
        capabilities: capabilities.map(|kind| Capability { r#type: Some(kind.into()) }).to_vec(),
        ..Default::default()
    };
    let (port, mut events) = Endpoint::http(options)?.connect(framework, Vec::new());

    // Everything else is answering events.
    let (mut launched, mut ended) = (0, 0);
    while ended < tasks {
        let event = match events.next().await {
            Some(PortEvent::Event(event)) => event,
            Some(PortEvent::Connected(subscribed)) => {
                println!("subscribed as {}", subscribed.framework_id.value);
                // After a gap, ask what became of our tasks; the first time there are none.
                port.reconcile(Vec::new()).await?;
                continue;
            }
            Some(PortEvent::Disconnected { why }) => {
                eprintln!("disconnected: {why}");
                continue;
            }
            Some(PortEvent::Failed(error)) => return Err(error.into()),
            None => break,
        };
        for offer in event.offers.iter().flat_map(|offers| &offers.offers) {
            launched += answer(&port, offer, launched, tasks).await?;
        }
        if let Some(status) = event.update.as_ref().map(|update| &update.status) {
            let message = status.message.as_deref().unwrap_or_default();
            println!("{}: {} {message}", status.task_id.value, state_name(status.state));
            // An update comes again until it is acknowledged.
            port.acknowledge(status).await?;
            ended += usize::from(is_terminal(status.state()));
        }
    }
    // Without this the master would wait for us to come back.
    Ok(port.teardown().await?)
}

/// Launches as many of the remaining tasks as the offer holds; what is left of it goes back.
async fn answer(port: &Port, offer: &Offer, launched: usize, tasks: usize) -> Result<usize> {
    let wanted = Resources::parse("cpus:0.1;mem:32", "*")?;
    let mut left = resources_from_v1(&offer.resources)?;
    let mut batch = Vec::new();
    for number in launched..tasks {
        let Some(picked) = left.find(&wanted, "*") else { break };
        left -= &picked;
        let value = Some(format!("echo hello from task {number}"));
        batch.push(TaskInfo {
            name: format!("echo {number}"),
            task_id: TaskId { value: format!("echo-{number}") },
            agent_id: offer.agent_id.clone(),
            resources: resources_to_v1(&picked, Format::Post),
            command: Some(CommandInfo { value, ..Default::default() }),
            ..Default::default()
        });
    }
    let count = batch.len();
    match count {
        0 => port.decline(vec![offer.id.clone()], None).await?,
        _ => port.launch(vec![offer.id.clone()], batch, None).await?,
    }
    Ok(count)
}
