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
// Enough decisions for the marks of a quarter of an hour, then enough for a few looks.
const TOLD_AT_FIRST = 200;
const TOLD_LATER = 20;
const TOLD_MAX = 1_000;
// A short range grows unless it was not looked at for this long; a long one is this old at most.
const RANGE_GROWS_MS = 60_000;
const RANGE_ANEW_MS = 15_000;

const at = (id) => document.getElementById(id);
const draw = chart(at("chart"), explainAt);
const asked = new URLSearchParams(location.hash.slice(1));

const page = {
  service: asked.get("service"),
  rangeMs: 1000 * (Number(asked.get("range")) || 300),
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
  const { epoch } = page;
  try {
    if (page.looks % NAMES_EVERY === 0) await lookAtNames();
    page.looks += 1;
    if (page.service == null) return panels.connection("no service is configured", false);
    const view = await ask(pathOf(""));
    const [samples, told] = await Promise.all([newSamples(view), newDecisions(view)]);
    if (epoch !== page.epoch) return;
    Object.assign(page, { view, ...samples, ...told, lostSince: null });
    panels.connection(`live, ${clock(view.now_wall_ms)}`, false);
    await show();
  } catch (error) {
    page.looks = 0;
    if (error instanceof Refusal) return panels.connection(error.message, true);
    page.lostSince ??= Date.now();
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
  const { samples, samplesAt } = page;
  const now = view.now_wall_ms;
  const from = now - page.rangeMs;
  const stepMs = page.rangeMs / POINTS;
  const last = samples.at(-1)?.wall_ms;
  const usable = last != null && now >= samplesAt;
  const upTo = `to=${now + 1}&points=${POINTS}`;
  if (usable && stepMs <= LOOK_MS * 1.5 && now - last < RANGE_GROWS_MS) {
    const more = await ask(pathOf(`/samples?from=${last + 1}&${upTo}`));
    return { samples: [...samples.filter((s) => s.wall_ms >= from), ...more], samplesAt: now };
  }
  if (usable && now - samplesAt < Math.min(10 * stepMs, RANGE_ANEW_MS)) return {};
  return { samples: await ask(pathOf(`/samples?from=${from}&${upTo}`)), samplesAt: now };
}

// The list is asked for again when the service did something, and every few looks.
async function newDecisions(view) {
  const { told } = page;
  const { decision } = view;
  const toldFor = decision ? `${decision.desired} ${JSON.stringify(decision.plan)}` : "";
  if (toldFor === page.toldFor && page.looks % NAMES_EVERY !== 1) return {};
  const limit = told.length === 0 ? TOLD_AT_FIRST : TOLD_LATER;
  const latest = await ask(pathOf(`/decisions?limit=${limit}`));
  const oldest = latest.at(-1)?.decision.wall_ms ?? Infinity;
  const all = [...latest, ...told.filter((t) => t.decision.wall_ms < oldest)].slice(0, TOLD_MAX);
  return { told: all, toldFor, ...(limit === TOLD_AT_FIRST && { older: latest.length === limit }) };
}

async function show() {
  const { view, samples, told } = page;
  if (view == null || document.hidden) return;
  at("main").setAttribute("aria-busy", "false");
  panels.headline(view);
  panels.figures(view, samples.at(-1));
  panels.replicas(view);
  panels.decisions(told, panels.explanation);
  at("older").hidden = !page.older;
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
  at("service").addEventListener("change", () => choose({ service: at("service").value, view: null, told: [], toldFor: "", older: false }));
  for (const button of document.querySelectorAll("[data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  document.addEventListener("visibilitychange", () => wake());
}

function choose(change) {
  Object.assign(page, change, { samples: [], samplesAt: 0, epoch: page.epoch + 1 });
  history.replaceState(null, "", `#${new URLSearchParams({ service: page.service ?? "", range: page.rangeMs / 1000 })}`);
  wake();
}

async function showOlder() {
  const oldest = page.told.at(-1)?.decision.wall_ms;
  if (oldest == null) return;
  try {
    const older = await ask(pathOf(`/decisions?before=${oldest}&limit=${TOLD_AT_FIRST}`));
    page.told = [...page.told, ...older];
    page.older = older.length === TOLD_AT_FIRST;
    await show();
  } catch (error) {
    panels.said(error.message, true);
  }
}

// One look at a time: what changes in between only makes the next one come sooner.
let wake = () => {};

async function live() {
  for (;;) {
    const started = performance.now();
    if (!document.hidden) await look();
    const left = Math.max(200, LOOK_MS - (performance.now() - started));
    await new Promise((resolve) => {
      wake = resolve;
      setTimeout(resolve, left);
    });
  }
}

listen();
live();
