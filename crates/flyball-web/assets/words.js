// Turns figures into words in the reader's own time zone and language.

const none = "–";
const two = (n) => String(n).padStart(2, "0");

// 14:02:10, with the date when it is not today's.
export function clock(ms) {
  const then = new Date(ms);
  const time = `${two(then.getHours())}:${two(then.getMinutes())}:${two(then.getSeconds())}`;
  if (then.toDateString() === new Date().toDateString()) return time;
  return `${then.toLocaleDateString(undefined, { day: "numeric", month: "short" })} ${time}`;
}

// The same moment as Plotly takes it: local time without a zone.
export function axisTime(ms) {
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 23);
}

export function lasting(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return s < 600 && s % 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

export function percent(share) {
  return share == null ? none : `${(share * 100).toFixed(share < 0.0995 ? 1 : 0)} %`;
}

export function rate(perS) {
  return perS == null ? none : `${perS.toFixed(perS < 10 ? 1 : 0)}/s`;
}

// Failed requests of the last minute, per second.
export function errorsPerS(minute) {
  return minute && minute.window_ms > 0 ? minute.failed / minute.window_ms * 1000 : null;
}

export function millis(ms) {
  if (ms == null) return none;
  if (ms >= 10_000) return `${(ms / 1000).toFixed(0)} s`;
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

export function count(n) {
  return n == null ? none : String(n);
}

// "start 4, route web-7": what a decision does, in a few words.
export function planWords(plan) {
  const byKind = new Map();
  for (const step of plan) {
    const [kind, terms] = Object.entries(step)[0];
    const name = kind === "scale" ? `to ${terms.to}` : terms.replica;
    byKind.set(kind, [...(byKind.get(kind) ?? []), name]);
  }
  return [...byKind].map(([kind, names]) =>
    `${kind} ${names.length > 2 ? names.length : names.join(" and ")}`).join(", ");
}

// The kinds of steps in a plan: "route stop".
export function kindsOf(plan) {
  return [...new Set(plan.map((step) => Object.keys(step)[0]))].join(" ");
}

// Which way a decision went, as a shape and as words.
export function direction(decision) {
  const before = decision.signals.current;
  const { desired } = decision;
  if (decision.signals.engine_age_ms == null) return { way: "same", shape: "", words: `${desired} wanted` };
  if (desired > before) return { way: "out", shape: "▲", words: `${before} → ${desired}` };
  if (desired < before) return { way: "in", shape: "▼", words: `${before} → ${desired}` };
  return { way: "same", shape: "", words: `stays at ${desired}` };
}

// A decision that keeps the count is described by what it does, any other by what decided it.
export function reasonOf(told) {
  const acts = planWords(told.decision.plan);
  return direction(told.decision).way === "same" && acts ? acts : told.why;
}
