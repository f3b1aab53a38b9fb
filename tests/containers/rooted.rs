//! Volumes, networks and devices of containers that have an image for their root.

use crate::images::{container, provisioner, released, saved};
use crate::made::{Image, base, busybox, layer};
use crate::world::{mounts, read, run};
use mesolith::agent::containerizer::isolators::seccomp::Seccomp;
use mesolith::agent::containerizer::linux::{Source, Target, Volume};
use mesolith::agent::containerizer::{Containerizer, Network};
use mesolith::agent::provisioner::Backend;
use serde_json::json;

fn volume(source: Source, target: Target, read_only: bool) -> Volume {
    Volume { source, target, read_only }
}

// covers: MES-0861, MES-0863, MES-0871
#[test]
fn volumes_and_networks_are_seen_in_an_image() {
    let Some(busybox) = busybox("volumes_and_networks_are_seen_in_an_image") else { return };
    run(|mut w| async move {
        let config = json!({"Env": ["PATH=/bin"]});
        let image = Image::new(vec![base(&busybox)], config);
        let p = provisioner(&w, saved(&w, &[("app", image)]), Backend::Auto);
        let data = w.dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("f"), "data\n").unwrap();
        let text = "cat /made/deep/f in/f; echo mine >/own/f && cat /own/f
            (echo x >in/g) 2>/dev/null && echo written
            cat key; tail -n 1 /etc/hosts; cat /etc/hostname; test -s /etc/resolv.conf && echo resolver
            ls /sys/class/net; for d in null zero full random urandom tty; do test -c /dev/$d || echo no $d; done
            id -u; pwd";
        let mut spec = container(&mut w, &p, "app", text).await;
        spec.user = Some("nobody".into());
        spec.hostname = Some("inside".into());
        spec.network = Network::Own;
        spec.linux.seccomp = Seccomp::Default;
        let host = || Source::Host { path: data.clone(), make: false };
        spec.linux.volumes = vec![
            volume(host(), Target::Root("/made/deep".into()), false),
            volume(host(), Target::Sandbox("in".into()), true),
            volume(Source::Sandbox("own".into()), Target::Root("/own".into()), false),
            volume(Source::Secret(b"hush\n".to_vec()), Target::Sandbox("key".into()), true),
        ];
        let before = mounts();
        let record = w.whole(&spec).await;
        assert_eq!(record.code(), Some(0), "{}", read(&spec.sandbox.join("stderr")));
        let expected = "data\ndata\nmine\nhush\n127.0.1.1\tinside\ninside\nresolver\nlo\n65534\n/mnt/mesos/sandbox\n";
        assert_eq!(read(&spec.sandbox.join("stdout")), expected);
        assert_eq!(read(&spec.sandbox.join("own/f")), "mine\n");
        assert!(!data.join("g").exists());
        assert_eq!(mounts(), before);
        released(&w, &p, &[&spec]).await;
        w
    });
}

#[test]
fn links_of_an_image_lead_no_mount_out_of_it() {
    let Some(busybox) = busybox("links_of_an_image_lead_no_mount_out_of_it") else { return };
    run(|mut w| async move {
        let outside = w.dir.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        let to = |name: &str| format!("->{}/{name}", outside.display()).into_bytes();
        let up = format!("->../../../../../../../..{}/up", outside.display()).into_bytes();
        let links = layer(&[("data", &to("data")), ("up", &up), ("etc/hosts", &to("hosts"))]);
        let config = json!({"Env": ["PATH=/bin"]});
        let plain = Image::new(vec![base(&busybox), links], config.clone());
        let dev = layer(&[("dev", &to("dev"))]);
        let device = Image::new(vec![base(&busybox), dev], config);
        let p = provisioner(&w, saved(&w, &[("links", plain), ("dev", device)]), Backend::Auto);
        let data = w.dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let mut specs = Vec::new();
        for (name, target) in [("links", "/data"), ("links", "/up/x"), ("dev", "/data")] {
            let mut spec = container(&mut w, &p, name, "echo ran; echo x >/dev/null").await;
            spec.network = Network::Own;
            let host = Source::Host { path: data.clone(), make: false };
            spec.linux.volumes = vec![volume(host, Target::Root(target.into()), false)];
            // It is refused, or stays within the root: either is well.
            if w.agent.create(spec.clone()).await.is_ok() {
                w.agent.start(&spec.id).await.unwrap();
                w.end(&spec).await;
            }
            w.agent.destroy(&spec.id).await.unwrap();
            w.agent.forget(&spec.id).await.unwrap();
            let left: Vec<_> = std::fs::read_dir(&outside).unwrap().flatten().collect();
            assert!(left.is_empty(), "{name} {target}: {left:?}");
            specs.push(spec);
        }
        released(&w, &p, &specs.iter().collect::<Vec<_>>()).await;
        w
    });
}
