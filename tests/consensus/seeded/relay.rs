//! What stands between nodes: a relay for each that connects to each other one, which passes bytes on as it is told. It
//! knows nothing of what they say.
//!
//! A rule is about a way, from one node to another, and holds for the bytes of all connections that go that way, whoever
//! connected: so what is cut one way stays open the other, as on a network. What is held is passed on when the way is
//! opened again, as a kernel would send it again, or lost when the connections are broken instead.

use socket2::SockRef;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// How much is passed on at once, in bytes.
const PIECE_BYTES: usize = 16 << 10;
/// How long nothing more comes of a connection that is torn, before it is reset.
const SILENT_AFTER_TEAR: Duration = Duration::from_millis(60);

/// How bytes go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rule {
    held: bool,
    delay: Duration,
}

/// What happens to one piece, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// What follows is lost, and the connection is reset a little later.
    Tear,
    /// One bit is another, and all goes on.
    Garble,
}

#[derive(Default)]
struct Way {
    rule: watch::Sender<Rule>,
    /// What happens after so many more bytes.
    harm: Mutex<Option<(usize, Harm)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Way {
    /// What befalls a piece of so many bytes, and after how many of them.
    fn spend(&self, bytes: usize) -> Option<(usize, Harm)> {
        let mut harm = lock(&self.harm);
        let (left, what) = (*harm)?;
        let reached = left < bytes;
        *harm = if reached { None } else { Some((left - bytes, what)) };
        reached.then_some((left, what))
    }

    async fn open(&self) -> Duration {
        let mut rule = self.rule.subscribe();
        // The sender is here, so the waiting ends only when the way is open.
        rule.wait_for(|rule| !rule.held).await.map_or(Duration::ZERO, |rule| rule.delay)
    }
}

/// The network between so many nodes.
pub struct Net {
    nodes: usize,
    /// By node from, node to.
    ways: Vec<Arc<Way>>,
    /// Told anew when the connections from one to another are reset; by who connected, and to whom.
    resets: Vec<watch::Sender<u64>>,
    /// Where each node listens at present.
    places: Vec<watch::Sender<Option<SocketAddr>>>,
    relays: Vec<Option<SocketAddr>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Net {
    pub async fn between(nodes: usize) -> Self {
        let pairs = nodes * nodes;
        let mut net = Self {
            nodes,
            ways: (0..pairs).map(|_| Arc::default()).collect(),
            resets: (0..pairs).map(|_| watch::Sender::new(0)).collect(),
            places: (0..nodes).map(|_| watch::Sender::new(None)).collect(),
            relays: vec![None; pairs],
            tasks: Vec::new(),
        };
        for (from, to) in net.pairs() {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let at = net.at(from, to);
            net.relays[at] = Some(listener.local_addr().expect("an address"));
            let relay = Relay {
                there: net.ways[at].clone(),
                back: net.ways[net.at(to, from)].clone(),
                resets: net.resets[at].clone(),
                place: net.places[to].subscribe(),
            };
            net.tasks.push(tokio::spawn(relay.accept(listener)));
        }
        net
    }

    fn at(&self, from: usize, to: usize) -> usize {
        from * self.nodes + to
    }

    fn pairs(&self) -> Vec<(usize, usize)> {
        let all = (0..self.nodes).flat_map(|from| (0..self.nodes).map(move |to| (from, to)));
        all.filter(|(from, to)| from != to).collect()
    }

    /// Where a node finds another.
    pub fn address(&self, from: usize, to: usize) -> String {
        let relay = self.relays[self.at(from, to)];
        relay.expect("there is a relay between any two").to_string()
    }

    /// A node listens there now.
    pub fn up(&self, node: usize, place: SocketAddr) {
        self.places[node].send_replace(Some(place));
    }

    /// A node is gone: its connections are reset, and nobody reaches it.
    pub fn down(&self, node: usize) {
        self.places[node].send_replace(None);
        self.reset(|from, to| from == node || to == node);
    }

    /// Holds what goes from some to others.
    pub fn cut(&self, which: impl Fn(usize, usize) -> bool) {
        for (from, to) in self.pairs().into_iter().filter(|(from, to)| which(*from, *to)) {
            self.ways[self.at(from, to)].rule.send_modify(|rule| rule.held = true);
        }
    }

    /// Passes one piece on after the other, each later than it came: little goes over such a way in a second.
    pub fn slow(&self, delay: Duration, which: impl Fn(usize, usize) -> bool) {
        for (from, to) in self.pairs().into_iter().filter(|(from, to)| which(*from, *to)) {
            self.ways[self.at(from, to)].rule.send_modify(|rule| rule.delay = delay);
        }
    }

    /// Does harm to the piece that comes after so many bytes.
    pub fn harm(&self, harm: Harm, bytes: usize, which: impl Fn(usize, usize) -> bool) {
        for (from, to) in self.pairs().into_iter().filter(|(from, to)| which(*from, *to)) {
            *lock(&self.ways[self.at(from, to)].harm) = Some((bytes, harm));
        }
    }

    /// Resets connections, by who connected and to whom.
    pub fn reset(&self, which: impl Fn(usize, usize) -> bool) {
        for (from, to) in self.pairs().into_iter().filter(|(from, to)| which(*from, *to)) {
            self.resets[self.at(from, to)].send_modify(|resets| *resets += 1);
        }
    }

    /// All ways are as at the beginning.
    pub fn heal(&self) {
        for way in &self.ways {
            *lock(&way.harm) = None;
            way.rule.send_replace(Rule::default());
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The relay for the connections of one node to another.
struct Relay {
    there: Arc<Way>,
    back: Arc<Way>,
    resets: watch::Sender<u64>,
    place: watch::Receiver<Option<SocketAddr>>,
}

impl Relay {
    async fn accept(self, listener: TcpListener) {
        let mut carried = JoinSet::new();
        while let Ok((near, _)) = listener.accept().await {
            let (there, back) = (self.there.clone(), self.back.clone());
            let (resets, place) = (self.resets.subscribe(), self.place.clone());
            carried.spawn(carry(near, there, back, resets, place));
            while carried.try_join_next().is_some() {}
        }
    }
}

/// One connection, until either side ends it or it is reset.
async fn carry(
    mut near: TcpStream,
    there: Arc<Way>,
    back: Arc<Way>,
    mut resets: watch::Receiver<u64>,
    place: watch::Receiver<Option<SocketAddr>>,
) {
    let connected = async {
        // What says that somebody connects needs the way there, what answers it the way back.
        let _ = tokio::join!(there.open(), back.open());
        let place = *place.borrow();
        TcpStream::connect(place?).await.ok()
    };
    let far = tokio::select! {
        far = connected => far,
        _ = resets.changed() => None,
    };
    let Some(mut far) = far else { return reset(&near) };
    for socket in [&near, &far] {
        let _ = socket.set_nodelay(true);
    }
    let whole = {
        let ((near_in, near_out), (far_in, far_out)) = (near.split(), far.split());
        let both = async {
            tokio::try_join!(pump(near_in, far_out, &there), pump(far_in, near_out, &back))
        };
        tokio::select! {
            ended = both => ended.is_ok(),
            _ = resets.changed() => false,
        }
    };
    if !whole {
        reset(&near);
        reset(&far);
    }
}

/// The other side sees a reset when the socket is dropped.
fn reset(socket: &TcpStream) {
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

/// The connection is not whole any more.
struct Broken;

async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, way: &Way) -> Result<(), Broken> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let bytes = from.read(&mut piece).await.map_err(|_| Broken)?;
        let delay = way.open().await;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if bytes == 0 {
            return to.shutdown().await.map_err(|_| Broken);
        }
        let mut rest = &mut piece[..bytes];
        match way.spend(bytes) {
            None => {}
            Some((at, Harm::Garble)) => rest[at] ^= 0x10,
            Some((at, Harm::Tear)) => {
                rest = &mut rest[..at];
                to.write_all(rest).await.map_err(|_| Broken)?;
                tokio::time::sleep(SILENT_AFTER_TEAR).await;
                return Err(Broken);
            }
        }
        to.write_all(rest).await.map_err(|_| Broken)?;
    }
}

/// Two nodes, a connection from the first to the second, and what arrives.
#[cfg(test)]
mod tests {
    use super::*;

    struct Pair {
        net: Net,
        listener: TcpListener,
        near: TcpStream,
        far: TcpStream,
    }

    async fn pair() -> Pair {
        let net = Net::between(2).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        net.up(1, listener.local_addr().expect("an address"));
        let near = TcpStream::connect(net.address(0, 1)).await.expect("the relay listens");
        let (far, _) = listener.accept().await.expect("it connects on");
        Pair { net, listener, near, far }
    }

    async fn arrives(socket: &mut TcpStream, bytes: &[u8]) {
        let mut found = vec![0; bytes.len()];
        let read = socket.read_exact(&mut found);
        tokio::time::timeout(crate::DEADLINE, read).await.expect("in time").expect("whole");
        assert_eq!(found, bytes);
    }

    async fn is_reset(socket: &mut TcpStream) {
        let read = tokio::time::timeout(crate::DEADLINE, socket.read(&mut [0; 8])).await;
        let e = read.expect("in time").expect_err("no end in order");
        assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn what_is_cut_one_way_goes_the_other_and_comes_late() {
        let mut pair = pair().await;
        pair.near.write_all(b"one").await.expect("is taken");
        arrives(&mut pair.far, b"one").await;
        pair.net.cut(|from, to| (from, to) == (0, 1));
        pair.near.write_all(b"two").await.expect("is taken");
        // What went the other way is there, and what was cut is not.
        pair.far.write_all(b"back").await.expect("is taken");
        arrives(&mut pair.near, b"back").await;
        let e = pair.far.try_read(&mut [0; 8]).expect_err("nothing came");
        assert_eq!(e.kind(), std::io::ErrorKind::WouldBlock);
        // A new connection waits, too.
        let mut second = TcpStream::connect(pair.net.address(0, 1)).await.expect("listens");
        second.write_all(b"three").await.expect("is taken");
        pair.net.heal();
        arrives(&mut pair.far, b"two").await;
        let (mut other, _) = pair.listener.accept().await.expect("it connects on");
        arrives(&mut other, b"three").await;
    }

    #[tokio::test]
    async fn what_is_torn_ends_within_a_piece_and_is_reset() {
        let mut pair = pair().await;
        pair.net.harm(Harm::Tear, 5, |from, _| from == 0);
        pair.near.write_all(b"some more").await.expect("is taken");
        arrives(&mut pair.far, b"some ").await;
        is_reset(&mut pair.far).await;
        is_reset(&mut pair.near).await;
    }

    #[tokio::test]
    async fn what_is_garbled_is_wrong_once() {
        let mut pair = pair().await;
        pair.net.harm(Harm::Garble, 1, |from, _| from == 0);
        pair.near.write_all(b"abc").await.expect("is taken");
        arrives(&mut pair.far, b"arc").await;
        pair.near.write_all(b"abc").await.expect("is taken");
        arrives(&mut pair.far, b"abc").await;
    }

    #[tokio::test]
    async fn a_node_that_is_down_is_reset_and_reached_no_more_until_it_is_up() {
        let mut pair = pair().await;
        pair.net.down(1);
        is_reset(&mut pair.near).await;
        let mut again = TcpStream::connect(pair.net.address(0, 1)).await.expect("listens");
        is_reset(&mut again).await;
        pair.net.up(1, pair.listener.local_addr().expect("an address"));
        let mut again = TcpStream::connect(pair.net.address(0, 1)).await.expect("listens");
        again.write_all(b"hello").await.expect("is taken");
        let (mut far, _) = pair.listener.accept().await.expect("it connects on");
        arrives(&mut far, b"hello").await;
    }
}
