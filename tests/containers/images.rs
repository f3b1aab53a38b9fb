//! Containers of images, without an engine: from files and from a registry of the tests' own, put together as overlays and as
//! copies; what they see, what they may, and images that mean harm.

use crate::made::{Image, Registry, base, busybox, layer};
use crate::world::{World, read, run};
use mesolith::agent::containerizer::{
    Backend as Containers, Command, ContainerSpec, Containerizer, ExecRequest, ImageRoot,
    ImageVolume,
};
use mesolith::agent::provisioner::credentials::Credentials;
use mesolith::agent::provisioner::{
    Backend, Collection, Home, Options, Provisioned, Provisioner, Wanted, users,
};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

pub fn provisioner(w: &World, home: Home, backend: Backend) -> Provisioner {
    let options = Options {
        store_dir: w.dir.path().join("store"),
        containers_dir: w.dir.path().join("provisioned"),
        home,
        credentials: Credentials::default(),
        backend,
        stall_timeout: Duration::from_secs(20),
        pull_timeout: Duration::from_secs(60),
        ignore_runtime: false,
        collection: Collection::default(),
    };
    Provisioner::open(options, &[]).unwrap()
}

fn wanted(name: &str) -> Wanted {
    Wanted { name: name.into(), cached: true, credentials: None }
}

/// A folder of saved images.
pub fn saved(w: &World, images: &[(&str, Image)]) -> Home {
    let dir = w.dir.path().join("images");
    std::fs::create_dir_all(&dir).unwrap();
    for (name, image) in images {
        image.save(&dir.join(format!("{name}:latest.tar")));
    }
    Home::Folder(dir)
}

/// The container of what was provisioned: the command is the image's unless `shell` is given.
fn of(mut spec: ContainerSpec, provisioned: &Provisioned) -> ContainerSpec {
    let (image, root) = provisioned.image.as_ref().unwrap();
    let account = image.runtime.user.as_ref().map(|user| users::find(root, user).unwrap());
    spec.host_root = false;
    spec.env = image.runtime.environment(&[], |_| false);
    spec.image = Some(ImageRoot {
        root: root.clone(),
        sandbox: "/mnt/mesos/sandbox".into(),
        cwd: image.runtime.folder().unwrap_or("/mnt/mesos/sandbox".into()).into(),
        account: account.map(|a| (a.uid, a.gid, a.groups)),
    });
    spec
}

pub async fn container(w: &mut World, p: &Provisioner, name: &str, shell: &str) -> ContainerSpec {
    let spec = w.spec(Containers::Mesos, shell);
    let provisioned = p.provision(&spec.id, Some(&wanted(name)), &[], &|_| {}).await.unwrap();
    of(spec, &provisioned)
}

fn out(spec: &ContainerSpec) -> String {
    let (out, err) = (read(&spec.sandbox.join("stdout")), read(&spec.sandbox.join("stderr")));
    assert_eq!(err, "", "{out}");
    out
}

/// Nothing is left of these containers but the images.
pub async fn released(w: &World, p: &Provisioner, specs: &[&ContainerSpec]) {
    for spec in specs {
        p.release(&spec.id).await.unwrap();
    }
    let left = std::fs::read_dir(w.dir.path().join("provisioned")).unwrap().count();
    assert_eq!(left, 0);
}

// covers: MES-0888, MES-0899, MES-0901
#[test]
fn a_saved_image_runs_and_each_container_writes_for_itself() {
    let Some(busybox) = busybox("a_saved_image_runs_and_each_container_writes_for_itself") else {
        return;
    };
    for backend in [Backend::Overlay, Backend::Copy] {
        let busybox = busybox.clone();
        run(|mut w| async move {
            let upper = layer(&[("etc/name", b"high\n"), ("srv/", b"")]);
            let config = json!({"WorkingDir": "/made/here", "Env": ["PATH=/bin", "A=image"]});
            let image = Image::new(vec![base(&busybox), upper], config);
            let p = provisioner(&w, saved(&w, &[("app", image)]), backend);
            let text = "cat /etc/name; pwd; echo $A; test -e /usr && echo the hosts; ls /srv
                echo x >/srv/written; echo y >/etc/name; echo z >$MESOS_SANDBOX/file; ls /srv";
            let (one, two) = (
                container(&mut w, &p, "app", text).await,
                container(&mut w, &p, "app", text).await,
            );
            assert_eq!(w.whole(&one).await.code(), Some(0));
            assert_eq!(w.whole(&two).await.code(), Some(0));
            for spec in [&one, &two] {
                assert_eq!(out(spec), "high\n/made/here\nimage\nwritten\n");
                assert_eq!(read(&spec.sandbox.join("file")), "z\n");
            }
            released(&w, &p, &[&one, &two]).await;
            w
        });
    }
}

// covers: MES-0887, MES-0890, MES-0893
#[test]
fn an_image_of_a_registry_runs_as_its_own_user_or_as_the_tasks() {
    let test = "an_image_of_a_registry_runs_as_its_own_user_or_as_the_tasks";
    let Some(busybox) = busybox(test) else { return };
    run(|mut w| async move {
        let registry = Registry::start().await;
        // One static program, and nothing else.
        let only = Image::new(vec![layer(&[("b", &busybox)])], json!({}));
        registry.push("only", "latest", &only);
        let own = json!({"Entrypoint": ["/bin/id"], "User": "web"});
        registry.push("own", "1", &Image::new(vec![base(&busybox)], own));
        let home = Home::Registry(format!("http://{}", registry.address));
        let p = provisioner(&w, home, Backend::Auto);
        let mut bare = container(&mut w, &p, "only", "").await;
        let argv = ["echo".to_string(), "hello".into()];
        bare.command = Command::Exec { program: "/b".into(), argv: argv.into() };
        assert_eq!(w.whole(&bare).await.code(), Some(0));
        assert_eq!(out(&bare), "hello\n");
        let mut own = container(&mut w, &p, "own:1", "").await;
        own.command = Command::Exec { program: "/bin/id".into(), argv: vec!["id".into()] };
        std::os::unix::fs::chown(&own.sandbox, Some(4321), None).unwrap();
        assert_eq!(w.whole(&own).await.code(), Some(0));
        assert_eq!(out(&own), "uid=4321(web) gid=4322(web) groups=7(log),4322(web)\n");
        // A task's user is one of the host, whatever the image calls him.
        let mut hosts = container(&mut w, &p, "own:1", "id -u").await;
        hosts.user = Some("nobody".into());
        if let Some(image) = &mut hosts.image {
            image.account = None;
        }
        w.whole(&hosts).await;
        assert_eq!(out(&hosts), "65534\n");
        released(&w, &p, &[&bare, &own, &hosts]).await;
        w
    });
}

#[test]
fn a_container_of_an_image_sees_little_of_the_host_and_changes_nothing() {
    let test = "a_container_of_an_image_sees_little_of_the_host_and_changes_nothing";
    let Some(busybox) = busybox(test) else { return };
    run(|mut w| async move {
        let image = Image::new(vec![base(&busybox)], json!({}));
        let p = provisioner(&w, saved(&w, &[("app", image)]), Backend::Auto);
        let tries = "mknod /disk b 8 0 2>/dev/null && echo a device
            mknod /dev/disk b 8 0 2>/dev/null && echo a device in dev
            (: >>/proc/1/exe) 2>/dev/null && echo the hosts program
            mount -t tmpfs x /mnt 2>/dev/null && echo a mount
            echo x 2>/dev/null >/sys/kernel/mm/ksm/run && echo sys
            echo x 2>/dev/null >/proc/sys/kernel/hostname && echo proc
            head -c 1 /proc/1/exe >/dev/null 2>&1 && echo the keepers program
            for f in /proc/1/fd/*; do readlink $f && echo the keepers files; done
            cat /etc/hosts >/dev/null; (echo x >>/etc/hosts) 2>/dev/null && echo hosts
            echo x >/dev/null && test -c /dev/zero && echo ok; true";
        let spec = container(&mut w, &p, "app", tries).await;
        w.whole(&spec).await;
        assert_eq!(out(&spec), "ok\n");
        let unlike = container(&mut w, &p, "app", "cat /etc/hosts").await;
        w.whole(&unlike).await;
        assert_eq!(out(&unlike), read(Path::new("/etc/hosts")), "names of the host's network");
        released(&w, &p, &[&spec, &unlike]).await;
        w
    });
}

#[test]
fn images_that_mean_harm_fail_or_stay_inside() {
    let Some(busybox) = busybox("images_that_mean_harm_fail_or_stay_inside") else { return };
    run(|mut w| async move {
        let bad = w.dir.path().join("victim");
        std::fs::create_dir(&bad).unwrap();
        std::fs::write(bad.join("kept"), "kept").unwrap();
        let to = |path: &Path| format!("->../../../../../../../../..{}", path.display());
        let elsewhere = to(&bad);
        let link = |name: &'static str| {
            Image::new(vec![base(&busybox), layer(&[(name, elsewhere.as_bytes())])], json!({}))
        };
        let cwd = json!({"WorkingDir": "/out/side"});
        let images = [
            ("proc", link("proc")),
            ("dev", link("dev")),
            ("sys", link("sys")),
            ("mnt", link("mnt")),
            ("out", Image::new(vec![base(&busybox), layer(&[("out", elsewhere.as_bytes())])], cwd)),
            (
                "names",
                Image::new(
                    vec![base(&busybox), layer(&[("etc/resolv.conf", b"->/run/none/at/all")])],
                    json!({}),
                ),
            ),
            (
                "null",
                Image::new(
                    vec![base(&busybox), layer(&[("dev/", b""), ("dev/null", b"->/etc/name")])],
                    json!({}),
                ),
            ),
        ];
        let p = provisioner(&w, saved(&w, &images), Backend::Auto);
        for (name, may_run) in [
            ("proc", false),
            ("dev", false),
            ("sys", false),
            ("mnt", true),
            ("out", true),
            ("names", true),
            ("null", true),
        ] {
            let text = "echo ran; cat /etc/name; touch $MESOS_SANDBOX/t; echo >/dev/null";
            let spec = container(&mut w, &p, name, text).await;
            match w.agent.create(spec.clone()).await {
                Ok(()) => {
                    w.agent.start(&spec.id).await.unwrap();
                    w.end(&spec).await;
                    assert_eq!(out(&spec), "ran\nlow\n", "{name}");
                    assert!(spec.sandbox.join("t").exists(), "{name}");
                    w.agent.destroy(&spec.id).await.unwrap();
                    w.agent.forget(&spec.id).await.unwrap();
                }
                Err(e) => assert!(!may_run, "{name}: {e}"),
            }
            let left: Vec<_> = std::fs::read_dir(&bad).unwrap().flatten().collect();
            assert_eq!(left.len(), 1, "{name}");
            p.release(&spec.id).await.unwrap();
        }
        w
    });
}

#[test]
fn images_are_volumes_of_containers_of_either_kind() {
    let Some(busybox) = busybox("images_are_volumes_of_containers_of_either_kind") else { return };
    run(|mut w| async move {
        let data = Image::new(vec![layer(&[("a", b"1\n"), ("b/c", b"2\n")])], json!({}));
        let app = Image::new(vec![base(&busybox)], json!({}));
        let p = provisioner(&w, saved(&w, &[("data", data), ("app", app)]), Backend::Auto);
        let text = |at: &str| {
            format!(
                "cat {at}/ro/a {at}/rw/b/c; (echo x >{at}/ro/a) 2>/dev/null && echo written
                echo 3 >{at}/rw/a; cat {at}/rw/a"
            )
        };
        let both = [wanted("data"), wanted("data")];
        let volumes = |provisioned: &Provisioned, at: &Path| {
            let one = |n: usize, name: &str, read_only: bool| ImageVolume {
                root: provisioned.volumes[n].clone(),
                target: at.join(name),
                read_only,
            };
            vec![one(0, "ro", true), one(1, "rw", false)]
        };
        let mut host = w.spec(Containers::Mesos, "");
        host.command = Command::Shell(text(&host.sandbox.display().to_string()));
        let provisioned = p.provision(&host.id, None, &both, &|_| {}).await.unwrap();
        host.image_volumes = volumes(&provisioned, &host.sandbox);
        w.whole(&host).await;
        assert_eq!(out(&host), "1\n2\n3\n");
        let own = w.spec(Containers::Mesos, &text("/data"));
        let app = wanted("app");
        let provisioned = p.provision(&own.id, Some(&app), &both, &|_| {}).await.unwrap();
        let mut own = of(own, &provisioned);
        own.image_volumes = volumes(&provisioned, Path::new("/data"));
        w.whole(&own).await;
        assert_eq!(out(&own), "1\n2\n3\n");
        // A link in the sandbox leads nowhere else: nothing is made there.
        let victim = w.dir.path().join("victim");
        std::fs::create_dir(&victim).unwrap();
        let mut linked = w.spec(Containers::Mesos, "true");
        std::os::unix::fs::symlink(&victim, linked.sandbox.join("out")).unwrap();
        let provisioned = p.provision(&linked.id, None, &both, &|_| {}).await.unwrap();
        linked.image_volumes = volumes(&provisioned, &linked.sandbox.join("out"));
        let why = w.agent.create(linked.clone()).await.unwrap_err();
        assert!(why.cause.contains("'out' in the sandbox: a link"), "{why}");
        assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0);
        released(&w, &p, &[&host, &own, &linked]).await;
        w
    });
}

#[test]
fn commands_run_in_the_image_and_an_agent_that_comes_back_finds_it() {
    let test = "commands_run_in_the_image_and_an_agent_that_comes_back_finds_it";
    let Some(busybox) = busybox(test) else { return };
    run(|mut w| async move {
        let config = json!({"WorkingDir": "/etc", "Env": ["PATH=/bin"]});
        let image = Image::new(vec![base(&busybox)], config);
        let home = saved(&w, &[("app", image)]);
        let p = provisioner(&w, home.clone(), Backend::Auto);
        let mut spec = container(&mut w, &p, "app", "echo up; exec sleep 1000").await;
        spec.user = Some("nobody".into());
        std::os::unix::fs::chown(&spec.sandbox, Some(65534), None).unwrap();
        w.start(&spec).await;
        assert_eq!(w.written(&spec, "stdout").await, "up\n");
        w.reattach();
        drop(p);
        let options = Options {
            store_dir: w.dir.path().join("store"),
            containers_dir: w.dir.path().join("provisioned"),
            home,
            credentials: Credentials::default(),
            backend: Backend::Auto,
            stall_timeout: Duration::from_secs(20),
            pull_timeout: Duration::from_secs(60),
            ignore_runtime: false,
            collection: Collection::default(),
        };
        let p = Provisioner::open(options, std::slice::from_ref(&spec.id)).unwrap();
        assert_eq!(p.prune(&[]).await.unwrap(), Default::default(), "it is used");
        let argv = ["sh", "-c", "pwd; cat name; id -u"].map(str::to_owned).into();
        let request = ExecRequest { argv, timeout: Duration::from_secs(30), ..Default::default() };
        let outcome = w.agent.exec(&spec.id, request).await.unwrap();
        assert_eq!((outcome.status, &*outcome.output), (Some(0), "/etc\nlow\n65534\n"));
        w.agent.destroy(&spec.id).await.unwrap();
        w.agent.forget(&spec.id).await.unwrap();
        released(&w, &p, &[&spec]).await;
        assert_eq!(p.prune(&[]).await.unwrap().layers, 1);
        w
    });
}
