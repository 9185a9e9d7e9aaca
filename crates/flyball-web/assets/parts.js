// The small parts that overview and service page are made of. Every text is set as text, never as
// markup, since names and reasons come from elsewhere.

import { clock, lasting } from "./words.js";

export const at = (id) => document.getElementById(id);

export function element(tag, { text, ...set } = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(set)) {
    if (value != null && value !== false) node.setAttribute(name === "class_" ? "class" : name, value);
  }
  if (text != null) node.textContent = text;
  node.append(...children);
  return node;
}

export function setText(id, text) {
  const node = at(id);
  if (node.textContent !== text) node.textContent = text;
}

// Shapes besides colours: each notice has its own.
const SHAPES = {
  blind: "⊘", starts_held: "■", sick: "✚", not_ready: "◔", failing: "✗", trouble: "!", futile: "≠", objective_missed: "≯", at_maximum: "▲",
  rollout_aborted: "↯", rollout: "↻",
  paused: "‖", pinned: "◆", held: "◐",
};

const STATES = ["ready", "starting", "draining", "unhealthy"];

export const isPressing = (notice) => notice.pressing;

// How many replicas are in each state: now, or when the engine last responded. Null if unknown.
function counted(view) {
  const signals = view.decision?.signals;
  if (signals?.engine_age_ms != null) return signals;
  if (view.last_seen == null) return null;
  return Object.fromEntries(STATES.map((state) => [state, view.replicas.filter((replica) => replica.state === state).length]));
}

// "12 s ago" while the engine does not respond.
export const howOld = (view) => view.last_seen == null ? null
  : `${lasting(view.now_wall_ms - view.last_seen.wall_ms)} ago`;

export function noticeItems(view) {
  return view.notices.map((notice) => {
    const times = [];
    if (notice.since_wall_ms != null) times.push(`since ${clock(notice.since_wall_ms)} (${lasting(view.now_wall_ms - notice.since_wall_ms)})`);
    if (notice.until_wall_ms != null) times.push(`until ${clock(notice.until_wall_ms)} (${lasting(notice.until_wall_ms - view.now_wall_ms)} left)`);
    return element("li", { class_: isPressing(notice) ? "pressing" : "calm", "data-kind": notice.kind },
      element("span", { class_: "shape", "aria-hidden": "true", text: SHAPES[notice.kind] ?? "!" }),
      element("span", { text: notice.text }),
      element("span", { class_: "when", text: times.join(", ") }));
  });
}

// One cell for each place up to the maximum: filled, hatched, dotted, crossed or empty.
export function fillRail(node, view) {
  const signals = counted(view);
  node.hidden = signals == null || view.bounds.max > 60;
  if (node.hidden) return;
  node.classList.toggle("old", howOld(view) != null);
  const states = STATES.flatMap((state) => Array(signals[state]).fill(state));
  const places = Math.max(view.bounds.max, states.length);
  const cells = Array.from({ length: places }, (_, i) => {
    const marks = [i + 1 === view.bounds.min && view.bounds.min < places && "floor", i + 1 === view.decision.desired && "wanted"].filter(Boolean);
    return element("i", { class_: ["cell", states[i] ?? "free", ...marks].join(" ") });
  });
  const counts = STATES.map((state) => `${signals[state]} ${state}`).join(", ");
  const old = howOld(view) == null ? "" : "as last seen: ";
  node.setAttribute("aria-label", `${old}${counts}, ${view.decision.desired} wanted, at least ${view.bounds.min}, at most ${view.bounds.max}`);
  node.replaceChildren(...cells);
}

// What the cells mean, with how many there are of each.
export function fillLegend(node, view) {
  const signals = counted(view);
  node.hidden = signals == null;
  if (node.hidden) return;
  const old = howOld(view);
  const states = STATES.filter((state) => state === "ready" || signals[state] > 0);
  const key = (look, text) => element("span", {}, element("i", { class_: `cell ${look}` }), text);
  node.replaceChildren(...(old ? [element("strong", { text: `Last seen ${old}:` })] : []),
    ...states.map((state) => key(state, `${signals[state]} ${state}`)),
    element("span", {}, element("i", { class_: "mark wanted", text: "▲" }), `${view.decision.desired} wanted`),
    element("span", { text: `${view.bounds.min > 0 ? `never fewer than ${view.bounds.min}, ` : "none while there are no requests, "}never more than ${view.bounds.max}` }));
}
