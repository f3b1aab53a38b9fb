//! What comes in without a certificate: garbage, half a handshake, thousands that say nothing. Members are served all the
//! same, and nothing grows.

use super::{Node, World, in_time, until};
use mesolith::base::rng::Rng;
use mesolith::cluster::identity::{Roles, Token, tls, wall_now};
use mesolith::cluster::link::{Doors, Limits};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

/// Everything there is of descriptors.
fn descriptors() -> usize {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("known");
    let wanted = hard.min(20_000).max(soft);
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).expect("set");
    usize::try_from(wanted).expect("fits")
}

#[tokio::test]
async fn five_thousand_idle_strangers_do_not_keep_members_out() {
    // Both ends are in this process, and other tests run beside.
    let crowd = 5000.min((descriptors() - 1000) / 2);
    let world = World::default();
    let limits = Limits { strangers: 64, handshake: super::DEADLINE, ..Limits::default() };
    let a = Node::start(world.credentials(Roles::FULL, wall_now()), Doors::default(), limits).await;
    let mut idle = Vec::new();
    for n in 0..crowd {
        // From several addresses: no single one holds all places.
        let socket = TcpSocket::new_v4().expect("a socket");
        let from = format!("127.0.1.{}:0", n % 7 + 1).parse().expect("an address");
        socket.bind(from).expect("one of this machine's");
        let to = a.address().parse().expect("an address");
        idle.push(socket.connect(to).await.expect("connects"));
        if n % 500 == 0 {
            let member = world.client(Roles::AGENT);
            in_time("a member among strangers", member.to(&a).hello()).await.expect("is served");
            member.link.close();
        }
    }
    a.until("accepted", |n| n >= crowd as f64).await;
    assert!(a.count("strangers") <= 64.0, "{}", a.count("strangers"));
    assert!(a.count("strangers_evicted") >= crowd as f64 - 64.0 - 11.0);
    // Those that lost their place are closed, not forgotten.
    let mut byte = [0];
    let ended = in_time("the first is closed", idle[0].read(&mut byte)).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    let member = world.client(Roles::FULL);
    in_time("a member at the end", member.to(&a).hello()).await.expect("is served");
}

#[tokio::test]
async fn garbage_is_dropped_and_counted() {
    let world = World::default();
    let a = world.node(Roles::FULL, Doors::default()).await;
    let mut rng = Rng::new(4);
    let rounds = 50;
    for round in 0..rounds {
        let mut socket = TcpStream::connect(a.address()).await.expect("connects");
        let mut bytes: Vec<u8> = (0..rng.below(3000)).map(|_| rng.next_u64() as u8).collect();
        match round % 3 {
            // The head of a TLS record, with a length that is a lie.
            0 => bytes.splice(0..0, [0x16, 3, 1, 0xff, 0xff]).for_each(drop),
            1 => bytes.splice(0..0, *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").for_each(drop),
            _ => {}
        }
        // It may be cut off before it has said all.
        let _ = socket.write_all(&bytes).await;
        let _ = socket.shutdown().await;
        let mut rest = Vec::new();
        let _ = in_time("it is closed", socket.read_to_end(&mut rest)).await;
    }
    a.until("handshakes_failed", |n| n >= f64::from(rounds)).await;
    a.until("strangers", |n| n == 0.0).await;
    world.client(Roles::FULL).to(&a).hello().await.expect("is served");
}

/// A TLS connection without a certificate.
async fn stranger(
    world: &World,
    at: &Node,
    alpn: &[u8],
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let token = Token::make(world.authorities.current().expect("one"), Roles::FULL).expect("made");
    let mut config = tls::joining(token.authority).expect("made");
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = tls::name(world.authority.cluster(), None).expect("well formed");
    let socket = TcpStream::connect(at.address()).await?;
    TlsConnector::from(Arc::new(config)).connect(name, socket).await
}

#[tokio::test]
async fn a_stranger_gets_through_no_door_but_one() {
    let world = World::default();
    let a = world.node(Roles::FULL, Doors::default()).await;
    let stream = stranger(&world, &a, tls::ALPN).await.expect("a handshake");
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut send, connection) =
        hyper::client::conn::http2::handshake(executor, io).await.expect("speaks");
    tokio::spawn(connection);
    let mut ask = async |path: &str, bytes: usize| {
        let body = http_body_util::Full::new(bytes::Bytes::from(vec![b'x'; bytes]));
        let uri = format!("https://mesolith{path}");
        let request = hyper::Request::post(uri).body(body).expect("well formed");
        send.ready().await.expect("open");
        send.send_request(request).await.expect("an answer").status().as_u16()
    };
    for door in mesolith::cluster::link::Door::ALL {
        let path = match door {
            mesolith::cluster::link::Door::Face(_) => format!("{}/state", door.path()),
            _ => door.path().to_owned(),
        };
        let expected = if path == "/join" { 400 } else { 403 };
        assert_eq!(ask(&path, 10).await, expected, "{path}");
    }
    assert_eq!(ask("/nonsense", 0).await, 404);
    assert_eq!(ask("/join", 20_000).await, 400, "too large");
    assert_eq!(a.count("forbidden"), (mesolith::cluster::link::Door::ALL.len() - 1) as f64);
    assert_eq!(a.count("unknown_doors"), 1.0);
    assert_eq!(a.count("bad_messages"), 2.0);
    assert_eq!(a.count("strangers"), 1.0);
}

#[tokio::test]
async fn a_stranger_stays_for_a_short_time_and_speaks_our_protocol_or_goes() {
    let world = World::default();
    let limits = Limits {
        handshake: Duration::from_millis(200),
        stranger_stay: Duration::from_millis(200),
        ..Limits::default()
    };
    let a = Node::start(world.credentials(Roles::FULL, wall_now()), Doors::default(), limits).await;
    // Half a handshake, then nothing.
    let mut half = TcpStream::connect(a.address()).await.expect("connects");
    half.write_all(&[0x16, 3, 1, 0, 200, 1, 0]).await.expect("is sent");
    let mut rest = Vec::new();
    let _ = in_time("half a handshake is given up", half.read_to_end(&mut rest)).await;
    // A whole one, then nothing; or nonsense within.
    let mut idle = stranger(&world, &a, tls::ALPN).await.expect("a handshake");
    let _ = in_time("an idle one goes", idle.read_to_end(&mut rest)).await;
    let mut mad = stranger(&world, &a, tls::ALPN).await.expect("a handshake");
    mad.write_all(&[0x42; 5000]).await.expect("is sent");
    let _ = in_time("a mad one goes", mad.read_to_end(&mut rest)).await;
    // Another protocol is not even greeted.
    let other = stranger(&world, &a, b"h2").await;
    assert!(other.is_err(), "the handshake names what is spoken");
    a.until("strangers", |n| n == 0.0).await;
    until("all are counted", || a.count("handshakes_failed") >= 2.0).await;
}
