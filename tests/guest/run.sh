#!/usr/bin/env bash
# Runs the container tests in a guest of its own with cgroup v2 (and nothing of v1), under qemu.
#
#   tests/guest/run.sh [arguments of the test binary, e.g. a part of a test's name]
#
# Needs root for nothing; qemu-system-x86_64, a kernel package's files and its modules are fetched with apt-get when they are
# not there. Emulated it takes some ten minutes; MESOLITH_GUEST_ACCEL=kvm makes it one where that works.
set -euo pipefail
cd "$(dirname "$0")/../.."
repo=$PWD

work=${MESOLITH_GUEST_DIR:-$repo/target/guest}
mkdir -p "$work"

need() { command -v "$1" >/dev/null 2>&1 || { echo "$1 is missing: apt-get install $2" >&2; exit 1; }; }
need qemu-system-x86_64 qemu-system-x86
need cpio cpio

# 1. A kernel: the distribution's, unpacked, not installed.
if ! compgen -G "$work/kernel/boot/vmlinuz-*" >/dev/null; then
    package=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image-/ {print $2; exit}')
    echo "== fetching $package"
    (cd "$work" && apt-get download -qq "$package")
    rm -rf "$work/kernel"
    dpkg-deb -x "$work/$package"_*.deb "$work/kernel"
    rm -f "$work/$package"_*.deb
fi
kernel=$(compgen -G "$work/kernel/boot/vmlinuz-*" | head -1)
version=${kernel##*/vmlinuz-}
modules=$(find "$work/kernel" -type d -path "*/modules/$version" | head -1)

# 2. The tests, built as always; a release build of the program is not needed.
echo "== building the tests"
binary=$(cargo test --locked --test containers --no-run --message-format=json 2>/dev/null |
    python3 -c '
import json, sys
for line in sys.stdin:
    m = json.loads(line)
    if m.get("reason") == "compiler-artifact" and m["target"]["name"] == "containers" and m.get("executable"):
        print(m["executable"])
' | tail -1)
[ -n "$binary" ] || { echo "the tests do not build: cargo test --test containers --no-run" >&2; exit 1; }

# 3. The guest sees this machine's files read-only below an overlay in memory: the same libraries, shell, users.
root=$work/initramfs
rm -rf "$root"
mkdir -p "$root"/{bin,proc,sys,dev,lib/modules,host,upper,new}
# What the networks of containers need comes last.
for name in 9pnet 9pnet_virtio 9p overlay virtio_pci virtio_ring virtio virtio_pci_modern_dev \
    virtio_pci_legacy_dev netfs fscache \
    llc stp bridge veth dummy crc32c_generic libcrc32c nfnetlink nf_defrag_ipv4 nf_defrag_ipv6 nf_conntrack nf_nat \
    nf_tables nft_chain_nat nft_nat nft_ct nft_masq nft_fib nft_fib_ipv4; do
    file=$(find "$modules" -name "$name.ko*" | head -1)
    # What is not there is built in.
    [ -z "$file" ] || case $file in
        *.xz) xz -dc "$file" >"$root/lib/modules/$name.ko" ;;
        *.zst) zstd -qdc "$file" >"$root/lib/modules/$name.ko" ;;
        *) cp "$file" "$root/lib/modules/$name.ko" ;;
    esac
done
# A busybox of one file, from the distribution too.
if ! [ -x "$work/busybox" ]; then
    (cd "$work" && apt-get download -qq busybox-static)
    dpkg-deb --fsys-tarfile "$work"/busybox-static_*.deb | tar -xO --wildcards '*bin/busybox' >"$work/busybox"
    chmod +x "$work/busybox"
    rm -f "$work"/busybox-static_*.deb
fi
cp "$work/busybox" "$root/bin/busybox"
cp tests/guest/init "$root/init"
chmod +x "$root/init"
printf '%s\n' "$repo" >"$root/repo"
printf '%s\n' "$binary" >"$root/binary"
printf '%s\n' "$@" >"$root/arguments"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initramfs.gz"

# 4. Run.
# Emulated, unless told otherwise: KVM inside a virtual machine hangs more often than it works.
accel=${MESOLITH_GUEST_ACCEL:-tcg,thread=multi}
echo "== the guest: Linux $version, $accel"
log=$work/console.log
timeout "${MESOLITH_GUEST_SECONDS:-1800}" qemu-system-x86_64 -accel "$accel" -cpu max -m 3072 -smp 2 \
    -nographic -no-reboot -nodefaults -serial stdio -monitor none \
    -kernel "$kernel" -initrd "$work/initramfs.gz" \
    -append "console=ttyS0 quiet panic=-1 cgroup_no_v1=all" \
    -fsdev "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap" \
    -device virtio-9p-pci,fsdev=host,mount_tag=host | tee "$log"
grep -q '^guest: 0' "$log"
