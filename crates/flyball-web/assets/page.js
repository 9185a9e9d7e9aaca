// Asks the daemon once a second what a service does, and hands the answers to the panels and the
// charts; passes on what is asked by hand. An answer that does not come leaves the last one
// standing, marked as old.

import { chart } from "./charts.js";
import * as panels from "./panels.js";
import { clock } from "./words.js";

const LOOK_MS = 1_000;
const ANSWER_MS = 3_000;
const POINTS = 600;
const NAMES_EVERY = 5;

const at = (id) => document.getElementById(id);
const draw = chart(at("chart"), explainAt);
const asked = new URLSearchParams(location.hash.slice(1));

const page = {
  service: asked.get("service"),
  rangeMs: 1000 * (Number(asked.get("range")) || 900),
  token: null,
  view: null,
  samples: [],
  samplesAt: 0,
  told: [],
  toldFor: "",
  older: false,
  lostSince: null,
  looks: 0,
  epoch: 0,
};

class Refusal extends Error {
  constructor(problem) {
    super(problem.detail ?? problem.title ?? `status ${problem.status}`);
    this.status = problem.status;
  }
}

async function ask(path, request = {}) {
  const response = await fetch(path, { ...request, cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
  const answer = await response.json();
  if (!response.ok) throw new Refusal(answer);
  return answer;
}

const pathOf = (part) => `/api/v1/services/${encodeURIComponent(page.service)}${part}`;

async function look() {
  const epoch = page.epoch;
  try {
    if (page.looks % NAMES_EVERY === 0) await lookAtNames();
    page.looks += 1;
    if (page.service == null) return panels.connection("no service is configured", false);
    const view = await ask(pathOf(""));
    const [samples, told] = await Promise.all([newSamples(view), newDecisions(view)]);
    if (epoch !== page.epoch) return;
    Object.assign(page, { view, told, samples, lostSince: null });
    panels.connection(`live, ${clock(view.now_wall_ms)}`, false);
    await show();
  } catch (error) {
    if (error instanceof Refusal) {
      if (error.status === 404) page.looks = 0;
      return panels.connection(error.message, true);
    }
    page.lostSince ??= Date.now();
    page.looks = 0;
    panels.connection(`no connection since ${clock(page.lostSince)}`, true);
  }
}

async function lookAtNames() {
  const names = (await ask("/api/v1/services")).map((view) => view.name);
  if (!names.includes(page.service)) page.service = names[0] ?? null;
  panels.picker(names, page.service);
}

// Short ranges grow at their end; long ones are thinned out by the daemon and asked for anew.
async function newSamples(view) {
  const now = view.now_wall_ms;
  const from = now - page.rangeMs;
  const stepMs = page.rangeMs / POINTS;
  const last = page.samples.at(-1)?.wall_ms;
  const ahead = now < page.samplesAt;
  if (last == null || ahead || now - last > 60_000 || stepMs > 1_500) {
    if (last != null && !ahead && now - page.samplesAt < Math.min(10 * stepMs, 15_000)) return page.samples;
    const all = await ask(pathOf(`/samples?from=${from}&to=${now + 1}&points=${POINTS}`));
    page.samplesAt = now;
    return all;
  }
  const more = await ask(pathOf(`/samples?from=${last + 1}&to=${now + 1}&points=${POINTS}`));
  page.samplesAt = now;
  return [...page.samples.filter((s) => s.wall_ms >= from), ...more];
}

// The list is asked for again when the service did something, and every few looks.
async function newDecisions(view) {
  const { decision } = view;
  const state = decision ? `${decision.desired} ${JSON.stringify(decision.plan)}` : "";
  if (state === page.toldFor && page.looks % NAMES_EVERY !== 1) return page.told;
  const latest = await ask(pathOf("/decisions?limit=50"));
  page.toldFor = state;
  if (page.told.length === 0) at("older").hidden = latest.length < 50;
  const oldest = latest.at(-1)?.decision.wall_ms ?? Infinity;
  return [...latest, ...page.told.filter((t) => t.decision.wall_ms < oldest)].slice(0, 1_000);
}

async function show() {
  const { view, samples, told } = page;
  if (view == null || document.hidden) return;
  at("main").setAttribute("aria-busy", "false");
  panels.headline(view);
  panels.figures(view, samples.at(-1));
  panels.replicas(view);
  panels.decisions(told, panels.explanation);
  offerCount(view);
  const window = [view.now_wall_ms - page.rangeMs, view.now_wall_ms];
  await draw({ samples, told, thresholds: view.policy.thresholds, window });
}

function offerCount(view) {
  const input = at("count");
  input.min = view.bounds.min;
  input.max = view.bounds.max;
  const touched = document.activeElement === input || input.dataset.touched;
  if (!touched && view.decision) input.value = view.decision.desired;
  at("resume").disabled = view.manual == null;
}

async function explainAt(wallMs) {
  try {
    panels.explanation(await ask(pathOf(`/explain?at=${wallMs}`)));
  } catch (error) {
    panels.said(error.message, true);
  }
}

async function wish(part, body, done) {
  const headers = { "content-type": "application/json", "flyball-client": "dashboard" };
  if (page.token) headers.authorization = `Bearer ${page.token}`;
  try {
    const view = await ask(pathOf(part), { method: "POST", headers, body: JSON.stringify(body) });
    const until = view.manual?.until_wall_ms;
    panels.said(`${done}${until == null ? "" : ` until ${clock(until)}`}.`);
    delete at("count").dataset.touched;
    page.view = view;
    await show();
  } catch (error) {
    if (error.status !== 401) return panels.said(error.message, true);
    panels.said("Not done: a token is needed.", true);
    at("asking").showModal();
    at("token-form").onsubmit = (event) => {
      event.preventDefault();
      page.token = at("token").value.trim();
      at("token").value = "";
      at("asking").close();
      wish(part, body, done);
    };
  }
}

function listen() {
  const lasting = () => at("lasting").value;
  at("hand").addEventListener("submit", (event) => {
    event.preventDefault();
    const to = at("count").valueAsNumber;
    wish("/scale", { to, for: lasting() }, `Pinned at ${to}`);
  });
  for (const button of document.querySelectorAll("[data-by]")) {
    const by = Number(button.dataset.by);
    button.addEventListener("click", () => wish("/scale", { by, for: lasting() }, by > 0 ? "One more" : "One fewer"));
  }
  at("count").addEventListener("input", () => { at("count").dataset.touched = "yes"; });
  at("pause").addEventListener("click", () => wish("/pause", { for: lasting() }, "Paused"));
  at("resume").addEventListener("click", () => wish("/resume", {}, "The policy decides again"));
  at("older").addEventListener("click", showOlder);
  at("range").value = String(page.rangeMs / 1000);
  at("range").addEventListener("change", () => choose({ rangeMs: 1000 * Number(at("range").value) }));
  at("service").addEventListener("change", () => choose({ service: at("service").value, view: null, told: [], toldFor: "" }));
  for (const button of document.querySelectorAll("[data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  document.addEventListener("visibilitychange", show);
}

function choose(change) {
  Object.assign(page, change, { samples: [], samplesAt: 0, epoch: page.epoch + 1 });
  history.replaceState(null, "", `#${new URLSearchParams({ service: page.service ?? "", range: page.rangeMs / 1000 })}`);
  look();
}

async function showOlder() {
  const oldest = page.told.at(-1)?.decision.wall_ms;
  if (oldest == null) return;
  try {
    const older = await ask(pathOf(`/decisions?before=${oldest}&limit=50`));
    page.told = [...page.told, ...older];
    at("older").hidden = older.length < 50;
    panels.decisions(page.told, panels.explanation);
  } catch (error) {
    panels.said(error.message, true);
  }
}

async function live() {
  for (;;) {
    const started = performance.now();
    if (!document.hidden) await look();
    const left = LOOK_MS - (performance.now() - started);
    await new Promise((wake) => setTimeout(wake, Math.max(200, left)));
  }
}

listen();
live();
