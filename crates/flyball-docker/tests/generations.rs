//! What containers are made as, on a real Docker daemon: originals, copies and images.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod rig;

mod alone {
    use bollard::models::ContainerCreateBody;
    use bollard::query_parameters::{
        CommitContainerOptionsBuilder, RemoveContainerOptionsBuilder, TagImageOptionsBuilder,
    };
    use flyball_core::generation::Generation;
    use flyball_core::observation::Phase;
    use flyball_docker::labels::{GENERATION, PORT, SERVICE};
    use flyball_docker::{DockerEngine, DockerError};

    use crate::rig::*;
    use flyball_testkit::docker::{IMAGE, Lab};

    /// Runs a container of the service as Compose would; `version` is in its environment.
    async fn run(lab: &Lab, name: &str, version: &str) {
        let labels = [
            (SERVICE, "web"),
            (PORT, "8080"),
            // Nobody believes it.
            (GENERATION, "0123456789ab"),
            ("com.docker.compose.project", "shop"),
            ("com.docker.compose.service", "web"),
            ("com.docker.compose.config-hash", version),
            ("com.docker.compose.container-number", "1"),
        ];
        let body = ContainerCreateBody {
            image: Some(IMAGE.into()),
            env: Some(vec![format!("VERSION={version}")]),
            labels: Some(labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into()),
            ..Default::default()
        };
        lab.run_body(name, body).await;
    }

    async fn remove(lab: &Lab, name: &str) {
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        lab.client().await.remove_container(name, Some(options)).await.unwrap();
    }

    async fn until_current(engine: &DockerEngine) -> Generation {
        until(engine, "a generation", |e| e.observe().value()?.generation).await
    }

    async fn until_not(engine: &DockerEngine, old: Generation) -> Generation {
        let other = |e: &DockerEngine| e.observe().value()?.generation.filter(|it| *it != old);
        until(engine, "another generation", other).await
    }

    async fn env_of(lab: &Lab, container: &str) -> Vec<String> {
        let seen = lab.client().await.inspect_container(container, None).await.unwrap();
        seen.config.unwrap().env.unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn copies_have_the_generation_of_their_original_and_an_old_one_can_be_copied_again() {
        let Some(lab) = Lab::up().await else { return };
        run(&lab, "shop-web-1", "one").await;
        let engine = engine(&lab, |_| {});
        let first = until_current(&engine).await;
        assert_ne!(first.to_string(), "0123456789ab");
        engine.start(&id(2), Some(first));
        until_started(&engine, 2).await;
        assert_eq!(report(&engine, 2).unwrap().generation, Some(first));
        assert_eq!(named(&engine, "shop-web-1").unwrap().generation, Some(first));

        // Made again just so, it is the same; with another environment, it is not.
        remove(&lab, "shop-web-1").await;
        run(&lab, "shop-web-1", "one").await;
        let same = |e: &DockerEngine| named(e, "shop-web-1")?.generation;
        assert_eq!(until(&engine, "the next one", same).await, first);
        remove(&lab, "shop-web-1").await;
        run(&lab, "shop-web-1", "two").await;
        let second = until_not(&engine, first).await;
        // A deploy by hand is for copies, too: it is what their original is.
        assert_eq!(engine.deploy(None).await.unwrap(), second);
        assert!(engine.deploy(Some("shop:2".into())).await.is_err(), "it has no image of its own");
        for (number, generation, version) in [(3, second, "two"), (4, first, "one")] {
            engine.start(&id(number), Some(generation));
            until_started(&engine, number).await;
            assert_eq!(report(&engine, number).unwrap().generation, Some(generation));
            let env = env_of(&lab, &format!("shop-web-fb-{number}")).await;
            assert!(env.contains(&format!("VERSION={version}")), "{env:?}");
            assert!(env.contains(&format!("FLYBALL_REPLICA=web-{number}")), "{env:?}");
        }

        // While there is no original, the last one counts, also for the next run.
        remove(&lab, "shop-web-1").await;
        until(&engine, "its end", |e| named(e, "shop-web-1").is_none().then_some(())).await;
        assert_eq!(value(&engine).generation, Some(second));
        let unknown = Generation::of_digest(1 << 32);
        engine.start(&id(9), Some(unknown));
        let exit = until_exit(&engine).await;
        assert!(exit.reason.contains("no container of generation 000000010000"), "{exit:?}");
        let refused = engine.deploy(Some("shop:2".into())).await;
        assert_eq!(refused, Err(DockerError::NoImage { service: "web".into() }));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_deployed_image_makes_a_new_generation_and_the_old_one_can_be_gone_back_to() {
        let Some(lab) = Lab::up().await else { return };
        let docker = lab.client().await;
        let tag = |name: &'static str| TagImageOptionsBuilder::new().repo(name).tag("1").build();
        docker.tag_image(IMAGE, Some(tag("shop"))).await.unwrap();
        let engine = engine(&lab, |settings| {
            image(settings);
            settings.image = Some("shop:1".into());
        });
        let first = until_current(&engine).await;
        engine.start(&id(1), Some(first));
        until_ready(&engine, 1).await;

        // Another image under the same name is none before it is deployed.
        run(&lab, "other", "two").await;
        let commit = CommitContainerOptionsBuilder::new().container("other").repo("shop").tag("1");
        let config = bollard::models::ContainerConfig {
            env: Some(vec!["VERSION=two".into()]),
            ..Default::default()
        };
        docker.commit_container(commit.build(), config).await.unwrap();
        remove(&lab, "other").await;
        engine.start(&id(2), Some(first));
        until_started(&engine, 2).await;
        assert!(!env_of(&lab, "web-2").await.contains(&"VERSION=two".to_owned()));
        let second = engine.deploy(None).await.unwrap();
        assert_ne!(second, first);
        assert_eq!(value(&engine).generation, Some(second));
        assert!(
            value(&engine).notices[0].contains("shop:1 was not pulled"),
            "{:?}",
            value(&engine)
        );
        engine.start(&id(3), Some(second));
        until_started(&engine, 3).await;
        assert!(env_of(&lab, "web-3").await.contains(&"VERSION=two".to_owned()));
        let known = engine.generations();
        assert_eq!(known.len(), 2, "{known:?}");
        let current = known.last().unwrap();
        assert_eq!(current.generation, second);
        assert!(current.what.starts_with("shop:1 ("), "{}", current.what);

        // The next run does not know the old image, and copies what runs of it.
        engine.shutdown().await;
        drop(engine);
        let engine = self::engine(&lab, |settings| {
            image(settings);
            settings.image = Some("shop:1".into());
        });
        assert_eq!(until_current(&engine).await, second);
        until_listed(&engine).await;
        engine.start(&id(4), Some(first));
        until_started(&engine, 4).await;
        assert_eq!(report(&engine, 4).unwrap().generation, Some(first));
        assert!(!env_of(&lab, "web-4").await.contains(&"VERSION=two".to_owned()));

        let missing = engine.deploy(Some("127.0.0.1:1/none:1".into())).await.unwrap_err();
        assert!(missing.to_string().contains("127.0.0.1:1/none:1"), "{missing}");
        assert_eq!(value(&engine).generation, Some(second), "nothing has changed");
        assert_eq!(phase(&engine, 1), Some(Phase::Starting), "it runs on");
    }
}
