//! One tab, as somebody uses it: look, click, type; and at the end, what it did wrong.

use super::browser::{Browser, DEADLINE};
use base64::Engine as _;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// Between two looks at a page: it tells of nothing by itself.
const LOOK: Duration = Duration::from_millis(30);

/// A tab on one origin.
pub struct Page {
    browser: Browser,
    session: String,
    origin: String,
    test: String,
}

impl Page {
    /// A tab of a browser of its own that shows `path` of `address`; nothing where there is no browser.
    pub fn open(test: &str, address: &str, path: &str) -> Option<Self> {
        let browser = Browser::start(test)?;
        let target = browser.call(None, "Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call(None, "Target.attachToTarget", attach);
        let session = session["sessionId"].as_str().unwrap().to_owned();
        let (origin, test) = (format!("http://{address}"), test.to_owned());
        let page = Self { browser, session, origin, test };
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        page.size(1280, 900);
        page.go(path);
        Some(page)
    }

    #[track_caller]
    fn call(&self, method: &str, params: Value) -> Value {
        self.browser.call(Some(&self.session), method, params)
    }

    /// Shows a path of its origin.
    #[track_caller]
    pub fn go(&self, path: &str) {
        self.call("Page.navigate", json!({"url": format!("{}{path}", self.origin)}));
        self.until("document.querySelector('main h1, main .empty, main .notice')");
    }

    /// Sets how large the window is.
    pub fn size(&self, width: u32, height: u32) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Sets the system's theme: `light` or `dark`.
    pub fn scheme(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// What an expression gives.
    #[track_caller]
    pub fn eval(&self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", params);
        let failed = &answer["exceptionDetails"];
        assert!(failed.is_null(), "{expression}: {}", failed["exception"]["description"]);
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn until(&self, expression: &str) {
        let since = Instant::now();
        // What is not there yet may be asked for: that is no answer, and no error.
        let asked = format!(
            "(() => {{ try {{ return Boolean({expression}) }} catch {{ return false }} }})()"
        );
        while self.eval(&asked) != true {
            if since.elapsed() > DEADLINE {
                self.shot("failed");
                let text = self.eval("document.body.innerText");
                panic!("never: {expression}\n{}", text.as_str().unwrap_or_default());
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until the page shows a text.
    #[track_caller]
    pub fn shows(&self, text: &str) {
        self.until(&format!("document.body.innerText.includes({})", json!(text)));
    }

    /// Clicks the first thing that the selector finds.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let found = format!("document.querySelector({})", json!(selector));
        self.until(&format!("{found} && !{found}.disabled"));
        self.eval(&format!("{found}.click()"));
    }

    /// Clicks the button or link with that text (in the open dialog, if one is open).
    #[track_caller]
    pub fn press(&self, text: &str) {
        let find = format!(
            "[...(document.querySelector('dialog[open]') || document).querySelectorAll(\
             'button, a, [role=menuitem]')].find((e) => e.innerText.trim() === {} && !e.disabled)",
            json!(text)
        );
        self.until(&format!("({find}) !== undefined"));
        self.eval(&format!("({find}).click()"));
    }

    /// Types a text into a field in place of what is there.
    #[track_caller]
    pub fn fill(&self, selector: &str, text: &str) {
        // In a dialog that is about to open it can be found, and takes no focus yet.
        self.until(&format!(
            "(() => {{ const field = document.querySelector({}); field?.focus(); field?.select?.(); \
             return field !== null && document.activeElement === field; }})()",
            json!(selector)
        ));
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Presses keys one after the other: single characters, or names such as `Escape`.
    pub fn keys(&self, keys: &[&str]) {
        for key in keys {
            let code = match *key {
                "Escape" => 27,
                "Enter" => 13,
                "Tab" => 9,
                _ => 0,
            };
            let mut down = json!({"type": "keyDown", "key": key, "windowsVirtualKeyCode": code});
            if key.chars().count() == 1 {
                down["text"] = (*key).into();
            }
            if *key == "Enter" {
                down["text"] = "\r".into();
            }
            self.call("Input.dispatchKeyEvent", down);
            self.call("Input.dispatchKeyEvent", json!({"type": "keyUp", "key": key}));
        }
    }

    /// Nothing may stick out at the side.
    #[track_caller]
    pub fn fits(&self) {
        let wide = self.eval("document.documentElement.scrollWidth - window.innerWidth");
        assert!(
            wide.as_i64().unwrap() <= 0,
            "sticks out by {wide}: {}",
            self.eval("location.hash")
        );
    }

    /// Keeps a picture, where pictures are wanted.
    pub fn shot(&self, name: &str) {
        let Ok(folder) = std::env::var("MESOLITH_CONSOLE_SHOTS") else { return };
        let taken = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let picture = base64::engine::general_purpose::STANDARD;
        let picture = picture.decode(taken["data"].as_str().unwrap()).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        let file = format!("{}-{name}.png", self.test);
        std::fs::write(Path::new(&folder).join(file), picture).unwrap();
    }

    /// The end of a journey: nothing went wrong on the way.
    #[track_caller]
    pub fn finish(self) {
        self.finish_but(&[]);
    }

    /// The same where errors with one of these words belong to the journey.
    #[track_caller]
    pub fn finish_but(self, expected: &[&str]) {
        let mut faults = Vec::new();
        for event in self.browser.events() {
            let params = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Runtime.consoleAPICalled" if params["type"] == "error" => {
                    faults.push(format!("console: {}", params["args"]));
                }
                "Runtime.exceptionThrown" => {
                    faults.push(format!("thrown: {}", params["exceptionDetails"]["exception"]));
                }
                "Log.entryAdded" if params["entry"]["level"] == "error" => {
                    faults.push(format!(
                        "log: {} {}",
                        params["entry"]["text"], params["entry"]["url"]
                    ));
                }
                "Network.requestWillBeSent" => {
                    let url = params["request"]["url"].as_str().unwrap_or_default();
                    let own = url.starts_with(&format!("{}/", self.origin));
                    if !own && !url.starts_with("data:") && url != "about:blank" {
                        faults.push(format!("asks elsewhere: {url}"));
                    }
                }
                _ => {}
            }
        }
        faults.retain(|fault| !expected.iter().any(|word| fault.contains(word)));
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
