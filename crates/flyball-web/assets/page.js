// Which view is shown, and when it is refreshed: on events, once a second at most, and every few
// seconds anyway. If a request fails, the last answer stays on the page, marked as old.

import { Refusal, ask, pathOf } from "./ask.js";
import { askToken, listen } from "./hand.js";
import { follow } from "./live.js";
import { overview } from "./overview.js";
import * as panels from "./panels.js";
import { at } from "./parts.js";
import * as service from "./service.js";
import { standby } from "./standby.js";
import { clock } from "./words.js";

const LOOK_MS = 1_000;
const ANYWAY_MS = 5_000;
const CURVE_POINTS = 120;
const CURVE_MS = 900_000;

const page = { names: [], shown: null, dirty: true, lookedAt: 0, lostSince: null, curves: new Map() };

function chosen() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const rangeMs = 1000 * (Number(asked.get("range")) || 300);
  // With only one service, its page shows more than a list of one.
  const name = asked.get("service") ?? (page.names.length === 1 ? page.names[0] : null);
  return { name, rangeMs };
}

async function look() {
  const [leadership, views] = await Promise.all([ask("/api/v1/leader"), ask("/api/v1/services")]);
  const isStandby = leadership.role === "standby";
  at("standby").hidden = !isStandby;
  if (isStandby) {
    for (const id of ["all", "main", "picker"]) at(id).hidden = true;
    return standby(leadership, views);
  }
  page.names = views.map((view) => view.name);
  const { name, rangeMs } = chosen();
  panels.picker(page.names, name);
  at("all").hidden = name != null;
  at("main").hidden = name == null;
  if (name != null) {
    service.choose(name, rangeMs);
    at("range").value = String(rangeMs / 1000);
    return service.look();
  }
  await Promise.all(page.names.filter((own) => !page.curves.has(own)).map(newCurve));
  overview(views, (own) => page.curves.get(own) ?? []);
}

async function newCurve(name) {
  page.curves.set(name, await ask(pathOf(name, `/samples?points=${CURVE_POINTS}`)));
}

function told(kind, data) {
  page.dirty = true;
  if (kind === "begin" ? !data.resumed : kind === "gap") {
    page.curves.clear();
    return service.forget();
  }
  service.hear(kind, data);
  const curve = kind === "sample" ? page.curves.get(data.service) : null;
  // A point every few seconds is enough for so small a curve.
  if (curve && data.sample.wall_ms - (curve.at(-1)?.wall_ms ?? 0) >= CURVE_MS / CURVE_POINTS) {
    curve.push(data.sample);
    while (curve[0].wall_ms < data.sample.wall_ms - CURVE_MS) curve.shift();
  }
}

function connected(error) {
  page.lostSince = error == null ? null : page.lostSince ?? Date.now();
  if (error instanceof Refusal && error.status === 401) askToken(() => { page.dirty = true; });
  tellConnection(error);
}

function tellConnection(error) {
  if (error == null) panels.connection(`live, ${clock(Date.now())}`, false);
  else if (error instanceof Refusal) panels.connection(error.message, true);
  else panels.connection(`no connection since ${clock(page.lostSince ?? Date.now())}`, true);
}

// One refresh at a time: changes in between only make the next one come sooner.
let wake = () => {};

async function live() {
  for (;;) {
    const started = performance.now();
    const due = page.dirty || started - page.lookedAt > ANYWAY_MS;
    if (!document.hidden && due) {
      page.dirty = false;
      page.lookedAt = started;
      await look().then(() => { if (page.lostSince == null) tellConnection(null); }, (error) => {
        page.dirty = true;
        connected(error);
      });
    }
    const left = Math.max(200, LOOK_MS - (performance.now() - started));
    await new Promise((resolve) => { wake = resolve; setTimeout(resolve, left); });
  }
}

function soon() {
  page.dirty = true;
  wake();
}

function goTo(change) {
  const { name, rangeMs } = { ...chosen(), ...change };
  location.hash = name ? new URLSearchParams({ service: name, range: rangeMs / 1000 }) : "";
}

listen();
at("range").addEventListener("change", () => goTo({ rangeMs: 1000 * Number(at("range").value) }));
at("service").addEventListener("change", () => goTo({ name: at("service").value || null }));
at("explain").addEventListener("click", service.explainNow);
at("guide-open").addEventListener("click", () => at("guide").showModal());
at("older").addEventListener("click", () => service.showOlder().catch((error) => panels.said(error.message, true)));
for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
addEventListener("hashchange", soon);
document.addEventListener("visibilitychange", soon);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", soon);
follow(told, connected);
live();
