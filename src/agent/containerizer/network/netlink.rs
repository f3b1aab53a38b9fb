//! The few requests of rtnetlink that a bridge needs, made one at a time over a plain socket: the process that makes them
//! has one thread and no runtime.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto,
    socket,
};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// The longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Size of a message's head: length, type, flags, number, port.
const HEAD_BYTES: usize = 16;
/// The kind of an answer that carries an error number, 0 for none.
const ERROR: u16 = libc::NLMSG_ERROR as u16;
/// What a veth's peer is described in (`VETH_INFO_PEER`).
const VETH_PEER: u16 = 1;

/// The body of a request.
#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// An attribute: length, kind, value, padding to four bytes.
    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.put(&length.to_ne_bytes());
        self.put(&kind.to_ne_bytes());
        self.put(value);
        while !self.0.len().is_multiple_of(4) {
            self.0.push(0);
        }
    }

    fn text(&mut self, kind: u16, text: &str) {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes);
    }

    /// `ifinfomsg`: of any family and type.
    fn link(index: u32, flags: u32, change: u32) -> Self {
        let mut body = Self::default();
        body.put(&[0; 4]);
        body.put(&index.to_ne_bytes());
        body.put(&flags.to_ne_bytes());
        body.put(&change.to_ne_bytes());
        body
    }

    fn kind(&mut self, kind: &str, data: Option<Body>) {
        let mut info = Self::default();
        info.text(libc::IFLA_INFO_KIND, kind);
        if let Some(data) = data {
            info.attribute(libc::IFLA_INFO_DATA, &data.0);
        }
        self.attribute(libc::IFLA_LINKINFO, &info.0);
    }
}

/// A socket in the network namespace in which it was opened.
pub struct Netlink {
    socket: OwnedFd,
    number: u32,
}

type Result<T> = std::result::Result<T, Errno>;

impl Netlink {
    /// Opens one in this thread's network namespace.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open() -> Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Self { socket, number: 0 })
    }

    fn ask(&mut self, kind: u16, flags: i32, body: &Body) -> Result<()> {
        self.number += 1;
        let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags).unwrap_or(0);
        let length = u32::try_from(HEAD_BYTES + body.0.len()).unwrap_or(u32::MAX);
        let mut message = Body::default();
        message.put(&length.to_ne_bytes());
        message.put(&kind.to_ne_bytes());
        message.put(&flags.to_ne_bytes());
        message.put(&self.number.to_ne_bytes());
        message.put(&0u32.to_ne_bytes());
        message.put(&body.0);
        let fd = self.socket.as_raw_fd();
        sendto(fd, &message.0, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        loop {
            let mut answer = [0; ANSWER_BYTES_MAX];
            let length = recv(fd, &mut answer, MsgFlags::empty())?;
            if let Some(error) = acknowledged(answer.get(..length).unwrap_or_default(), self.number)
            {
                return match error {
                    0 => Ok(()),
                    e => Err(Errno::from_raw(-e)),
                };
            }
        }
    }

    /// Brings a device up.
    ///
    /// # Errors
    /// The kernel's.
    pub fn up(&mut self, index: u32) -> Result<()> {
        let up = libc::IFF_UP as u32;
        self.ask(libc::RTM_NEWLINK, 0, &Body::link(index, up, up))
    }

    /// Makes a bridge.
    ///
    /// # Errors
    /// The kernel's; `EEXIST` when the name is taken.
    pub fn add_bridge(&mut self, name: &str) -> Result<()> {
        let mut body = Body::link(0, 0, 0);
        body.text(libc::IFLA_IFNAME, name);
        body.kind("bridge", None);
        self.ask(libc::RTM_NEWLINK, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &body)
    }

    /// Makes a pair of devices: `name` here, at the bridge `master`, `peer` in the namespace behind that descriptor.
    ///
    /// # Errors
    /// The kernel's.
    pub fn add_pair(
        &mut self,
        name: &str,
        master: u32,
        peer: &str,
        namespace: RawFd,
    ) -> Result<()> {
        let mut other = Body::link(0, 0, 0);
        other.text(libc::IFLA_IFNAME, peer);
        let fd = u32::try_from(namespace).map_err(|_| Errno::EBADF)?;
        other.attribute(libc::IFLA_NET_NS_FD, &fd.to_ne_bytes());
        let mut data = Body::default();
        data.attribute(VETH_PEER, &other.0);
        let mut body = Body::link(0, libc::IFF_UP as u32, libc::IFF_UP as u32);
        body.text(libc::IFLA_IFNAME, name);
        body.attribute(libc::IFLA_MASTER, &master.to_ne_bytes());
        body.kind("veth", Some(data));
        self.ask(libc::RTM_NEWLINK, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &body)
    }

    /// Removes a device, and with it its other end.
    ///
    /// # Errors
    /// The kernel's; `ENODEV` when it is not there.
    pub fn remove(&mut self, index: u32) -> Result<()> {
        self.ask(libc::RTM_DELLINK, 0, &Body::link(index, 0, 0))
    }

    /// Gives a device an address.
    ///
    /// # Errors
    /// The kernel's; `EEXIST` when it has it.
    pub fn add_address(&mut self, index: u32, address: Ipv4Addr, prefix: u8) -> Result<()> {
        let mut body = Body::default();
        body.put(&[libc::AF_INET as u8, prefix, 0, 0]);
        body.put(&index.to_ne_bytes());
        body.attribute(libc::IFA_LOCAL, &address.octets());
        body.attribute(libc::IFA_ADDRESS, &address.octets());
        self.ask(libc::RTM_NEWADDR, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &body)
    }

    /// Sends everything that has no other way to `gateway`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn add_default_route(&mut self, gateway: Ipv4Addr) -> Result<()> {
        let mut body = Body::default();
        // Family; no bits of destination, source, service; table, who made it, scope, type; flags.
        let (table, by) = (libc::RT_TABLE_MAIN, libc::RTPROT_STATIC);
        let (scope, kind) = (libc::RT_SCOPE_UNIVERSE, libc::RTN_UNICAST);
        body.put(&[libc::AF_INET as u8, 0, 0, 0, table, by, scope, kind, 0, 0, 0, 0]);
        body.attribute(libc::RTA_GATEWAY, &gateway.octets());
        self.ask(libc::RTM_NEWROUTE, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &body)
    }
}

/// The error number that answers the request with that number, if it is among the messages.
fn acknowledged(mut bytes: &[u8], number: u32) -> Option<i32> {
    while bytes.len() >= HEAD_BYTES {
        let length = u32::from_ne_bytes(*bytes.first_chunk::<4>()?) as usize;
        let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
        let of = u32::from_ne_bytes(bytes.get(8..12)?.try_into().ok()?);
        if kind == ERROR && of == number {
            return Some(i32::from_ne_bytes(bytes.get(16..20)?.try_into().ok()?));
        }
        bytes = bytes.get(length.next_multiple_of(4).max(HEAD_BYTES)..)?;
    }
    None
}

/// The number of a device in this thread's network namespace; none: there is none of that name.
pub fn index(name: &str) -> Option<u32> {
    nix::net::if_::if_nametoindex(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded() {
        let mut body = Body::default();
        body.text(3, "ab");
        assert_eq!(body.0.len(), 8);
        assert_eq!(body.0.get(..2), Some(&7u16.to_ne_bytes()[..]));
    }

    #[test]
    fn an_answer_is_found_by_its_number() {
        let message = |kind: u16, number: u32, error: i32| {
            let mut m = Body::default();
            m.put(&20u32.to_ne_bytes());
            m.put(&kind.to_ne_bytes());
            m.put(&0u16.to_ne_bytes());
            m.put(&number.to_ne_bytes());
            m.put(&0u32.to_ne_bytes());
            m.put(&error.to_ne_bytes());
            m.0
        };
        let mut both = message(ERROR, 1, -17);
        both.extend(message(ERROR, 2, 0));
        assert_eq!(acknowledged(&both, 1), Some(-17));
        assert_eq!(acknowledged(&both, 2), Some(0));
        assert_eq!(acknowledged(&both, 3), None);
        assert_eq!(acknowledged(&[0; 16], 0), None);
    }
}
