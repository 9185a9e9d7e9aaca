//! The page in a real browser: it needs nothing from elsewhere, shows what happens, and its buttons
//! do what they promise.

pub(crate) mod chromium;

/// Loads the machine: a demo and a browser.
mod alone {
    use std::fs::{self, File};
    use std::process::{Child, Command};

    use rustix::process::Signal;

    use super::chromium::{Chromium, Key};
    use crate::support::{Daemon, FLYBALL, Place, Steady, clean, installed, sample, signal, until};
    use crate::visible::{troubled, until_notice};

    /// A running `flyball demo`, ended by a signal as a person would end it.
    struct Demo {
        child: Child,
        url: String,
        _place: Place,
    }

    impl Demo {
        fn start() -> Self {
            let place = Place::new();
            let log = place.path().join("log");
            let mut command = Command::new(FLYBALL);
            command.args(["demo", "--seconds", "120"]).env("TMPDIR", place.path());
            clean(&mut command);
            let child = command.stderr(File::create(&log).unwrap()).spawn().unwrap();
            let url = until("the demo's page", || {
                let output = fs::read_to_string(&log).unwrap();
                let (_, rest) = output.split_once("watch it: ")?;
                rest.split_whitespace().next().map(str::to_owned)
            });
            Self { child, url, _place: place }
        }
    }

    impl Drop for Demo {
        fn drop(&mut self) {
            signal(self.child.id(), Signal::INT);
            drop(self.child.wait());
        }
    }

    fn browser() -> Option<Chromium> {
        Some(Chromium::start(&installed("chromium", "chromium")?))
    }

    fn assert_clean(browser: &Chromium, url: &str) {
        let foreign: Vec<_> = browser
            .requests()
            .into_iter()
            .filter(|it| {
                !it.starts_with(url) && !it.starts_with("data:") && !it.starts_with("about:")
            })
            .collect();
        assert!(foreign.is_empty(), "asked elsewhere: {foreign:?}");
        assert!(browser.requests().len() > 10, "the browser reported its requests");
        assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
    }

    const SHOWN: &str = "document.getElementById('chart').data?.[0]?.x?.length > 3";
    const OPEN: &str = "document.getElementById('explanation').open";

    #[test]
    fn the_page_of_a_demo_is_live_explains_itself_and_takes_overrides() {
        let Some(mut browser) = browser() else { return };
        let demo = Demo::start();
        browser.look_like(1280, "light");
        browser.open(&demo.url);
        browser.until(SHOWN);
        moves_on(&mut browser);
        explains(&mut browser);
        takes_overrides(&mut browser);
        takes_every_range(&mut browser);
        assert_names(&mut browser);
        pictures(&mut browser, "service");
        assert_clean(&browser, &demo.url);
    }

    fn moves_on(browser: &mut Chromium) {
        let last = "document.getElementById('chart').data[0].x.at(-1)";
        let before = browser.value(last);
        browser.until(&format!("{last} > {before}"));
        browser.until("new Set(document.getElementById('chart').data.find((t) => t.name === 'arrivals').y).size > 3");
        browser.until("document.querySelector('#connection').textContent.startsWith('live')");
    }

    fn explains(browser: &mut Chromium) {
        browser.until("document.querySelector('#decisions button')");
        // By keyboard alone: from the list's first item into its explanation and back.
        browser.value("document.getElementById('range').focus()");
        for _ in 0..2 {
            browser.press(Key::Tab);
        }
        browser.until("document.activeElement.closest('#decisions')");
        browser.press(Key::Enter);
        browser.until(OPEN);
        browser.until("document.getElementById('explanation-text').textContent.includes('plan ')");
        browser.window_picture("explanation-1280-light");
        browser.press(Key::Escape);
        browser.until(&format!("!{OPEN}"));
        browser.until("document.activeElement.closest('#decisions')");
        // A mark on the time axis, found where the chart has drawn it.
        let place = browser.value(
            "(() => { const gd = document.getElementById('chart'), l = gd._fullLayout, box = gd.getBoundingClientRect();
               document.getElementById('chart').scrollIntoView({ block: 'end' });
               const marks = gd.data.at(-1), at = gd.getBoundingClientRect();
               return [at.left + l._size.l + l.xaxis.d2p(marks.x[0]), at.top + l._size.t + l.yaxis5._offset - l._size.t + l.yaxis5.d2p(0.5)]; })()",
        );
        let at = |i: usize| place[i].as_f64().unwrap();
        browser.click_at(at(0), at(1));
        browser.until(OPEN);
        browser.value("document.getElementById('explanation').close()");
    }

    fn takes_overrides(browser: &mut Chromium) {
        browser.value("(() => { const c = document.getElementById('count'); c.value = 3; c.dispatchEvent(new Event('input')); })()");
        browser.value("document.getElementById('hand').requestSubmit()");
        browser.until("document.querySelector('[data-kind=pinned]').textContent.includes('pinned at 3 by dashboard')");
        browser
            .until("document.getElementById('said').textContent.startsWith('Pinned at 3 until')");
        browser.value("document.getElementById('pause').click()");
        browser.until("document.querySelector('#notices [data-kind=paused]')");
        browser.value("document.getElementById('resume').click()");
        browser.until("!document.querySelector('#notices [data-kind=paused]')");
    }

    fn takes_every_range(browser: &mut Chromium) {
        for seconds in ["1209600", "3600", "300"] {
            browser.value(&format!(
                "(() => {{ const r = document.getElementById('range'); r.value = '{seconds}'; r.dispatchEvent(new Event('change')); }})()"
            ));
            browser.until(&format!("location.hash.includes('range={seconds}') && {SHOWN}"));
        }
    }

    /// A control's accessible name begins with its visible text, so that it can be asked for by
    /// that.
    fn assert_names(browser: &mut Chromium) {
        let misnamed = browser.value(
            "[...document.querySelectorAll('button[aria-label], a[aria-label]')]
               .filter((it) => !it.getAttribute('aria-label').includes(it.innerText.trim()))
               .map((it) => it.outerHTML)",
        );
        assert_eq!(misnamed, serde_json::json!([]));
    }

    #[test]
    fn every_trouble_is_on_the_page_with_its_cause() {
        let Some(mut browser) = browser() else { return };
        let place = Place::new();
        troubled(&place);
        let daemon = Daemon::start(&place);
        until("two to be loaded", || {
            let ready = |name| daemon.seen(name, "ready") >= Some(1);
            (ready("shop") && ready("full")).then_some(())
        });
        let loads = [("shop", 40), ("full", 60)]
            .map(|(name, per_s)| Steady::start(daemon.address_of(name), per_s));
        until_notice(&daemon, "api", "blind");
        until_notice(&daemon, "full", "at its maximum of 2");
        let url = format!("http://{}/", daemon.api);
        let shown = |browser: &mut Chromium, name: &str, text: &str| {
            browser.look_like(1280, "light");
            browser.open(&format!("{url}#service={name}"));
            browser.until(&format!("document.querySelector('#main').innerText.includes({text:?})"));
            browser.until(SHOWN);
            assert_names(browser);
            pictures(browser, &format!("trouble-{name}"));
        };
        shown(&mut browser, "web", "web-1 is not ready: GET /healthz at 127.0.0.1:");
        shown(&mut browser, "shop", "failed (100 %): answered with an error by a replica");
        let errors = "document.getElementById('chart').data.find((t) => t.name === 'errors').y";
        browser.until(&format!("Math.max(...{errors}) > 10"));
        shown(
            &mut browser,
            "api",
            "blind, so nothing is started or removed: docker is not running",
        );
        shown(&mut browser, "night", "asleep until the next request");
        shown(&mut browser, "full", "at its maximum of 2, ");
        browser.look_like(1280, "light");
        browser.open(&url);
        browser.until("document.getElementById('overview-title').textContent.startsWith('4 of 5 services need attention')");
        pictures(&mut browser, "trouble-overview");
        assert_clean(&browser, &url);
        loads.into_iter().for_each(|load| drop(load.finish()));
    }

    /// The page in both widths and both schemes, for people to look at.
    fn pictures(browser: &mut Chromium, name: &str) {
        for width in [1280, 390] {
            for scheme in ["light", "dark"] {
                browser.look_like(width, scheme);
                // Until it was drawn for this width: the page does so when it brings itself up to date.
                browser.value("new Promise((done) => setTimeout(done, 1200))");
                let wider =
                    "document.documentElement.scrollWidth - document.documentElement.clientWidth";
                assert_eq!(browser.value(wider), 0, "nothing sticks out at {width}");
                browser.picture(&format!("{name}-{width}-{scheme}"));
            }
        }
    }

    #[test]
    fn all_services_are_shown_at_once_and_an_override_without_the_token_is_refused() {
        let Some(mut browser) = browser() else { return };
        let place = Place::new();
        let token = place.write("token", "correct-horse-battery\n");
        let services = format!(
            "{}{}",
            sample("shop", 1.0, 0.5, "max = 1"),
            sample("web", 1.0, 0.5, "max = 6\nmin = 2")
        );
        let state = place.state();
        place.write("flyball.toml", &format!(
            "[flyball]\nlisten = \"0.0.0.0:0\"\ntoken_file = {token:?}\nstate_dir = {state:?}\n{services}"
        ));
        let daemon = Daemon::start(&place);
        let url = format!("http://127.0.0.1:{}/", daemon.api.port());
        browser.look_like(1280, "light");
        browser.open(&url);
        browser.until("document.querySelectorAll('#services > li').length === 2");
        browser.until("document.querySelector('#services .curve polyline')");
        pictures(&mut browser, "overview");
        browser.look_like(1280, "light");
        browser.value("[...document.querySelectorAll('#services a')].find((a) => a.textContent === 'web').click()");
        browser
            .until("document.getElementById('summary').textContent.startsWith('2 replicas ready')");
        browser.value("document.getElementById('pause').click()");
        browser.until("document.getElementById('asking').open");
        assert_eq!(browser.value("document.querySelectorAll('[data-kind=paused]').length"), 0);
        browser.value("document.getElementById('token').value = 'correct-horse-battery'");
        browser.value("document.getElementById('token-form').requestSubmit()");
        browser.until("document.querySelector('#notices [data-kind=paused]').textContent.includes('paused by dashboard')");
        assert_clean(&browser, &url);
    }

    #[test]
    fn generations_are_on_the_page_and_its_buttons_roll_them() {
        let Some(mut browser) = browser() else { return };
        let more = "policy = \"external\"\nmin = 2\nmax = 4\nabort_after = 2\ninterval = \"50ms\"";
        let place = Place::with(&sample("web", 1.0, 0.5, more));
        let daemon = Daemon::start(&place);
        daemon.until_settled("web", 2);
        let url = format!("http://{}/", daemon.api);
        browser.look_like(1280, "light");
        browser.open(&url);
        let rows = "[...document.querySelectorAll('#generations tr')].map((it) => it.innerText)";
        browser.until(&format!("{rows}.length === 1 && {rows}[0].includes('current')"));
        browser.value("document.getElementById('deploy').click()");
        browser.until(&format!("{rows}.length === 2 && {rows}[0].includes('restart 1')"));
        browser.until(
            "document.getElementById('rollout').textContent.startsWith('Deployed by dashboard')",
        );
        browser.until("document.getElementById('said').textContent.startsWith('Deployed')");
        daemon.until_settled("web", 2);
        place.configure(&sample("web", 1.0, 0.5, more).replace("{port}", "no-port"));
        signal(daemon.pid(), Signal::HUP);
        browser.until("document.querySelector('#notices [data-kind=rollout_aborted]').textContent.includes('no-port')");
        assert_names(&mut browser);
        pictures(&mut browser, "rollout-aborted");
        browser.value("document.getElementById('rollback').click()");
        browser.until("!document.querySelector('#notices [data-kind=rollout_aborted]')");
        browser.until(
            "document.getElementById('rollout').textContent.startsWith('Rolled back by dashboard')",
        );
        assert_clean(&browser, &url);
    }
}
