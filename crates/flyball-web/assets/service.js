// One service's page: keeps its samples and decisions as they come in, and shows them. What comes
// through the event stream is added; what was missed, or is too long ago for it, is asked for.

import { ask, pathOf } from "./ask.js";
import { chart } from "./charts.js";
import * as panels from "./panels.js";
import { at, setText } from "./parts.js";
import { clock } from "./words.js";

const POINTS = 600;
const WINDOW_MS_MIN = 60_000;
// Up to this range each sample is a point of its own, so that the stream alone can go on.
const GROWING_RANGE_MS = 900_000;
// A longer range is requested again when a point of it has passed, every 15 s at most.
const ANEW_MS_MAX = 15_000;
const PAGE = 100;
const TOLD_MAX = 1_000;
// Marks on the time axis; beyond a day only decisions that move the count are drawn.
const MARKS_MAX = 500;
const ALL_MARKS_RANGE_MS = 3_600_000;

const one = { name: null, rangeMs: 300_000, view: null, samples: [], samplesAt: 0, begins: null, told: [], marks: [], older: false, stale: true };

const draw = chart(at("chart"), explainAt);

export const current = () => one;

// Shows another service or another range, starting from scratch.
export function choose(name, rangeMs) {
  if (name === one.name && rangeMs === one.rangeMs) return;
  if (name !== one.name) {
    Object.assign(one, { view: null, told: [] });
    at("main").setAttribute("aria-busy", "true");
    panels.decisions([], panels.explanation);
  }
  Object.assign(one, { name, rangeMs, samples: [], samplesAt: 0, begins: null, marks: [], stale: true });
}

// Events were missed: the kept samples cannot be continued.
export function forget() {
  Object.assign(one, { samplesAt: 0, stale: true });
}

export function hear(kind, data) {
  if (kind === "sample" && data.service === one.name && one.rangeMs <= GROWING_RANGE_MS && one.samples.length > 0) {
    one.samples.push(data.sample);
  }
  if (kind === "decision" && data.decision.service === one.name && !one.stale) {
    one.told = [data, ...one.told].slice(0, TOLD_MAX);
    one.marks = [data, ...one.marks].slice(0, MARKS_MAX);
  }
}

export async function look() {
  const { name } = one;
  const view = await ask(pathOf(name));
  const [samples, history] = await Promise.all([newSamples(view), one.stale ? newHistory(view) : {}]);
  if (name !== one.name) return;
  Object.assign(one, { view, ...samples, ...history });
  await show();
}

async function newSamples(view) {
  const now = view.now_wall_ms;
  const from = now - one.rangeMs;
  const stepMs = one.rangeMs / POINTS;
  const growing = one.rangeMs <= GROWING_RANGE_MS && one.samples.length > 0;
  if (one.samplesAt > 0 && growing) return { samples: one.samples.filter((s) => s.wall_ms >= from) };
  if (now >= one.samplesAt && now - one.samplesAt < Math.min(stepMs, ANEW_MS_MAX)) return {};
  const within = (since) => ask(pathOf(one.name, `/samples?from=${since}&to=${now + 1}&points=${POINTS}`));
  const samples = await within(Math.max(from, one.begins ?? from));
  const first = samples[0]?.wall_ms;
  // Points of a range that is far longer than the history are few and far between: all of them for
  // the time in which there is one.
  if (one.begins == null && isYoung(first, from, one.rangeMs)) {
    return { samples: await within(first), samplesAt: now, begins: first };
  }
  return { samples, samplesAt: now };
}

const isYoung = (first, from, rangeMs) => first != null && first > from + rangeMs / 20;

async function newHistory(view) {
  const only = one.rangeMs > ALL_MARKS_RANGE_MS ? "&only=moves" : "";
  const from = view.now_wall_ms - one.rangeMs;
  const [told, marks] = await Promise.all([
    ask(pathOf(one.name, `/decisions?limit=${PAGE}`)),
    ask(pathOf(one.name, `/decisions?from=${from}&limit=${MARKS_MAX}${only}`)),
  ]);
  return { told, marks, older: told.length === PAGE, stale: false };
}

export async function show() {
  const { view, samples, told, marks, rangeMs } = one;
  if (view == null || document.hidden) return;
  at("main").setAttribute("aria-busy", "false");
  panels.headline(view);
  panels.figures(view, samples.at(-1));
  panels.generations(view);
  panels.replicas(view);
  panels.decisions(told, panels.explanation);
  at("older").hidden = !one.older;
  panels.offerCount(view);
  const window = shownWindow(view.now_wall_ms, rangeMs, samples[0]?.wall_ms);
  await draw({ samples, told: marks, thresholds: view.policy.thresholds, window });
}

// A history younger than the range fills the whole width, and is said to begin where it does.
function shownWindow(now, rangeMs, first) {
  const from = now - rangeMs;
  const begins = isYoung(first, from, rangeMs);
  setText("begins", begins ? `history begins ${clock(first)}` : "");
  return [begins ? Math.max(from, Math.min(first, now - WINDOW_MS_MIN)) : from, now];
}

export async function showOlder() {
  const oldest = one.told.at(-1)?.decision.wall_ms;
  if (oldest == null) return;
  const older = await ask(pathOf(one.name, `/decisions?before=${oldest}&limit=${PAGE}`));
  Object.assign(one, { told: [...one.told, ...older].slice(0, TOLD_MAX), older: older.length === PAGE });
  await show();
}

async function explainAt(wallMs) {
  try {
    panels.explanation(await ask(pathOf(one.name, `/explain?at=${wallMs}`)));
  } catch (error) {
    panels.said(error.message, true);
  }
}

// Why there are as many as there are now.
export function explainNow() {
  return ask(pathOf(one.name, "/explain")).then(panels.explanation, (error) => panels.said(error.message, true));
}

export async function took(view) {
  one.view = view;
  await show();
}
