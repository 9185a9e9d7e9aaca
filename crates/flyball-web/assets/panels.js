// Writes the state of one service into its page. Makes no requests.

import { at, element, fillLegend, fillRail, howOld, noticeItems, setText } from "./parts.js";
import { clock, count, direction, errorsPerS, kindsOf, lasting, millis, percent, rate, reasonOf } from "./words.js";

export function headline(view) {
  document.title = `${view.name} ${view.summary.split(" replica")[0]} · flyball`;
  setText("summary", view.summary);
  setText("why", view.why ?? "");
  at("explain").hidden = view.decision == null;
  const spread = view.balancer === "none" ? "no balancer" : `${view.balancer} balancer`;
  const facts = [element("strong", { text: view.name }), ` ${view.engine} engine`, ` ${spread}`, ` ${view.policy.rule} policy`];
  if (view.address) facts.push(linkTo(view.address));
  at("facts").replaceChildren(...facts.map((fact) => element("span", {}, fact)));
  notices(view);
  fillRail(at("rail"), view);
  fillLegend(at("rail-legend"), view);
}

function linkTo(address) {
  return /^https?:\/\//.test(address)
    ? element("a", { href: address, text: address, rel: "noreferrer" }) : document.createTextNode(address);
}

function notices(view) {
  at("notices").replaceChildren(...noticeItems(view));
  // Read out when it changes, without the clocks that change every second.
  setText("announced", [view.summary, ...view.notices.map((notice) => notice.text)].join(". "));
}

// Since when requests wait for a replica, or else how many are with one.
function heldOrInFlight(view, sample) {
  if (view.held) return `for a replica, ${lasting(view.now_wall_ms - view.held.since_wall_ms)}`;
  return sample?.in_flight == null ? "" : `${sample.in_flight} in flight`;
}

export function figures(view, sample) {
  const signals = view.decision?.signals;
  const rows = [
    ["Mean CPU", percent(signals?.mean_cpu), view.policy.thresholds.map((t) => `${t.label} ${percent(t.share)}`).join(", ")],
    ["Arrivals", rate(signals?.arrivals_per_s), signals?.work_s == null ? "" : `${millis(signals.work_s * 1000)} of work each`],
    ["Errors", rate(errorsPerS(signals?.last_minute)), errorCount(signals?.last_minute)],
    ["Latency p99", millis(sample?.p99_ms), latencies(view.policy.slo_ms, sample?.p50_ms)],
    ["Waiting", count(view.held?.requests ?? sample?.waiting), heldOrInFlight(view, sample)],
    ["Start lag", millis(signals?.start_lag_ms), signals ? (signals.start_lag_measured ? "measured" : "assumed") : ""],
  ];
  at("figures").replaceChildren(...rows.map(([name, value, more]) => element("div", {},
    element("dt", { text: name }), element("dd", { text: value }), element("dd", { class_: "more", text: more }))));
}

function errorCount(minute) {
  if (minute == null) return "";
  const span = lasting(minute.window_ms);
  return minute.failed === 0 ? `none in ${span}` : `${minute.failed} of ${minute.arrivals} in ${span}`;
}

function latencies(limit, half) {
  const words = [limit != null && `limit ${millis(limit)}`, half != null && `p50 ${millis(half)}`];
  return words.filter(Boolean).join(", ");
}

const STATES = { ready: "●", starting: "◐", draining: "◌", unhealthy: "!", stopping: "×" };

export function replicas(view) {
  const rows = view.replicas.map((replica) => element("tr", {},
    element("th", { scope: "row", text: replica.id }),
    element("td", { class_: `state ${replica.state}` },
      element("span", { class_: "shape", "aria-hidden": "true", text: STATES[replica.state] }), ` ${replica.state}${view.last_seen ? " when last seen" : ""}`,
      ...(replica.reason ? [element("span", { class_: "reason", text: replica.reason })] : [])),
    element("td", { class_: "number", text: lasting(view.now_wall_ms - replica.asked_wall_ms) }),
    element("td", { class_: "number" }, cpu(replica.cpu, replica.held_back)),
    element("td", { class_: "number", text: count(replica.in_flight) }),
    element("td", { class_: "wide", text: replica.address ?? "–" }),
    ...(view.nodes.length ? [element("td", { class_: "wide", text: replica.node ?? "–" })] : [])));
  at("replicas").replaceChildren(...rows);
  nodes(view);
  at("no-replicas").hidden = rows.length > 0;
  setText("no-replicas", view.decision?.signals.engine_age_ms == null ? `Unknown: the ${view.engine} engine does not respond.` : "None.");
  const old = howOld(view);
  at("old-replicas").hidden = old == null;
  setText("old-replicas", old == null ? "" : `As the ${view.engine} engine reported ${old}. It does not respond now.`);
}

// The newest generation comes first.
export function generations(view) {
  at("generations-card").hidden = view.generations.length === 0;
  const rows = [...view.generations].reverse().map((own) => element("tr", { class_: own.current ? "current" : null },
    element("th", { scope: "row" }, element("code", { text: own.generation })),
    element("td", { text: own.what ?? "–" }),
    element("td", { class_: "number", text: own.protected ? `${own.replicas} (${own.protected} not flyball's)` : own.replicas }),
    element("td", { class_: "number", text: own.ready }),
    element("td", { text: own.since_wall_ms == null ? "–" : clock(own.since_wall_ms) }),
    element("td", { text: standing(own, view.rollout) })));
  at("generations").replaceChildren(...rows);
  rollout(view);
}

function standing(own, rolling) {
  if (rolling?.state === "aborted" && rolling.to === own.generation) return "aborted";
  if (own.current) return "current";
  return own.replicas > 0 ? "old" : "earlier";
}

function rollout({ deploy, rollout: rolling }) {
  const by = deploy == null ? "" : `${deploy.is_rollback ? "Rolled back" : "Deployed"} by ${deploy.by} at ${clock(deploy.at_wall_ms)}`;
  const image = deploy?.image == null ? "" : `, image ${deploy.image}`;
  const preparing = deploy != null && deploy.generation == null && deploy.failed == null ? ", being prepared" : "";
  setText("rollout", by + image + preparing);
  at("rollout").hidden = by === "";
  const paused = deploy?.paused || rolling?.state === "paused";
  setText("rollout-pause", paused ? "Resume rollout" : "Pause rollout");
  at("rollout-pause").dataset.paused = paused ? "yes" : "";
  at("rollout-pause").disabled = !paused && rolling?.state !== "rolling";
}

function nodes(view) {
  at("nodes").hidden = at("node-column").hidden = view.nodes.length === 0;
  at("nodes").replaceChildren(...view.nodes.map((node) => {
    const [shape, state, more] = !node.up ? ["!", "unhealthy", "not heard of"]
      : node.silence != null ? ["?", "unhealthy", "no CPU time"] : ["●", "ready", ""];
    return element("li", { title: node.silence },
      element("span", { class_: `state ${state}` }, element("span", { class_: "shape", "aria-hidden": "true", text: shape })),
      ` ${node.name} `, element("strong", { text: node.replicas.length }), more && ` ${more}`);
  }));
}

function cpu(share, heldBack) {
  const bar = element("span", { class_: "bar", "aria-hidden": "true" }, element("i"));
  bar.firstChild.style.width = `${Math.min(100, (share ?? 0) * 100)}%`;
  const held = heldBack >= 0.01 ? [element("span", { class_: "held-back", text: `throttled ${percent(heldBack)}` })] : [];
  return element("span", { class_: "cpu" }, ...held, bar, element("span", { class_: "share", text: percent(share) }));
}

// Decisions that leave the count and do the same kind of thing one after another are one item.
function runs(told) {
  const items = [];
  for (const one of told) {
    const does = direction(one.decision).way === "same" ? kindsOf(one.decision.plan) : null;
    const last = items.at(-1);
    if (does != null && last?.does === does) Object.assign(last, { oldest: one, times: last.times + 1 });
    else items.push({ told: one, oldest: one, does, times: 1 });
  }
  return items;
}

// Keeps the items it has, so that focus and scrolling stay where they are.
export function decisions(told, open) {
  const list = at("decisions");
  const known = new Map([...list.children].map((item) => [item.dataset.key, item]));
  const items = runs(told).map((run) => fillDecision(known.get(keyOf(run)) ?? decisionItem(run, open), run));
  if (items.length !== list.children.length || items.some((item, i) => list.children[i] !== item)) {
    const focused = document.activeElement;
    list.replaceChildren(...items);
    if (list.contains(focused)) focused.focus();
  }
  at("no-decisions").hidden = items.length > 0;
}

// A run grows at its newest end.
const keyOf = ({ oldest: { decision } }) => `${decision.service} ${decision.wall_ms} ${decision.at}`;

function decisionItem(run, open) {
  const button = element("button", { type: "button" });
  const item = element("li", { "data-key": keyOf(run) }, button);
  button.addEventListener("click", () => open(item.told));
  return item;
}

function fillDecision(item, run) {
  if (item.told === run.told) return item;
  item.told = run.told;
  const button = item.firstChild;
  const { way, shape, words } = direction(run.told.decision);
  const wallMs = run.told.decision.wall_ms;
  button.className = `decision ${way}`;
  button.replaceChildren(element("time", { datetime: new Date(wallMs).toISOString(), text: clock(wallMs) }));
  if (way !== "same") {
    button.append(element("span", { class_: "change" },
      element("span", { class_: "shape", "aria-hidden": "true", text: shape }), ` ${words}`));
  }
  const before = run.times > 1 ? `, and ${run.times - 1} more like it before` : "";
  button.append(element("span", { class_: "reason", text: reasonOf(run.told) + before }));
  return item;
}

export function explanation(told) {
  const { way, shape, words } = direction(told.decision);
  const kind = at("explanation-kind");
  kind.className = way;
  kind.replaceChildren(element("span", { class_: "shape", "aria-hidden": "true", text: shape }), ` ${told.decision.service} ${words}`);
  setText("explanation-when", `decided at ${clock(told.decision.wall_ms)}`);
  at("explanation-text").replaceChildren(
    element("li", { class_: "sources", text: `${told.headline}   ${told.ages}` }),
    ...told.lines.map(explainedLine));
  if (!at("explanation").open) at("explanation").showModal();
}

function explainedLine({ label, text, decides }) {
  const line = element("li", { class_: decides ? "decides" : null },
    element("strong", { text: label }), element("span", { text: ` ${text}` }));
  if (decides) line.lastChild.append(" ", element("em", { text: "decides" }));
  return line;
}

// With only one service, there is nothing to choose.
export function picker(names, chosen) {
  at("picker").hidden = names.length < 2;
  const select = at("service");
  const wanted = ["", ...names];
  if ([...select.options].map((o) => o.value).join("\n") !== wanted.join("\n")) {
    select.replaceChildren(...wanted.map((name) => element("option", { value: name, text: name || "all services" })));
  }
  select.value = chosen ?? "";
}

export function said(text, isProblem = false) {
  setText("said", text);
  at("said").classList.toggle("problem", isProblem);
}

export function connection(text, isLost) {
  setText("connection", text);
  document.body.classList.toggle("lost", isLost);
  if (isLost) setText("announced", text);
}

export function offerCount(view) {
  const input = at("count");
  input.min = view.bounds.min;
  input.max = view.bounds.max;
  const touched = document.activeElement === input || input.dataset.touched;
  if (!touched && view.decision) input.value = view.decision.desired;
  at("resume").disabled = view.manual == null;
}
