// Writes what is known into the page's parts. Asks nothing of the network; every text is set as
// text, never as markup, since names and reasons come from elsewhere.

import { clock, count, direction, kindsOf, lasting, millis, percent, rate, reasonOf } from "./words.js";

const at = (id) => document.getElementById(id);

export function element(tag, { text, ...set } = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(set)) {
    if (value != null && value !== false) node.setAttribute(name === "class_" ? "class" : name, value);
  }
  if (text != null) node.textContent = text;
  node.append(...children);
  return node;
}

function setText(id, text) {
  const node = at(id);
  if (node.textContent !== text) node.textContent = text;
}

// Shapes besides colours: each notice has its own.
const SHAPES = { blind: "⊘", starts_held: "■", trouble: "!", at_maximum: "▲", paused: "‖", pinned: "◆", held: "◐" };
const PRESSING = ["blind", "starts_held", "trouble", "at_maximum"];

export function headline(view) {
  document.title = `${view.name} ${view.summary.split(" replicas")[0]} · flyball`;
  setText("summary", view.summary);
  setText("why", view.why ?? "");
  const spread = view.balancer === "none" ? "no balancer" : `${view.balancer} balancer`;
  const facts = [element("strong", { text: view.name }), ` ${view.engine} engine`, ` ${spread}`, ` ${view.policy.rule} policy`];
  if (view.address) facts.push(linkTo(view.address));
  at("facts").replaceChildren(...facts.map((fact) => element("span", {}, fact)));
  notices(view);
  rail(view);
}

function linkTo(address) {
  return /^https?:\/\//.test(address)
    ? element("a", { href: address, text: address, rel: "noreferrer" }) : document.createTextNode(address);
}

function notices(view) {
  const told = view.notices.map((notice) => {
    const times = [];
    if (notice.since_wall_ms != null) times.push(`since ${clock(notice.since_wall_ms)} (${lasting(view.now_wall_ms - notice.since_wall_ms)})`);
    if (notice.until_wall_ms != null) times.push(`until ${clock(notice.until_wall_ms)} (${lasting(notice.until_wall_ms - view.now_wall_ms)} left)`);
    return element("li", { class_: PRESSING.includes(notice.kind) ? "pressing" : "calm", "data-kind": notice.kind },
      element("span", { class_: "shape", "aria-hidden": "true", text: SHAPES[notice.kind] ?? "!" }),
      element("span", { text: notice.text }),
      element("span", { class_: "when", text: times.join(", ") }));
  });
  at("notices").replaceChildren(...told);
  // Read out when it changes, without the clocks that change every second.
  setText("announced", [view.summary, ...view.notices.map((notice) => notice.text)].join(". "));
}

// One cell for each place up to the maximum: filled, hatched, dotted or empty.
function rail(view) {
  const node = at("rail");
  const seen = view.decision?.seen;
  node.hidden = seen?.engine_age_ms == null || view.bounds.max > 60;
  if (node.hidden) return;
  const { ready, starting, draining } = seen;
  const states = [...Array(ready).fill("ready"), ...Array(starting).fill("starting"), ...Array(draining).fill("draining")];
  const places = Math.max(view.bounds.max, states.length);
  const cells = Array.from({ length: places }, (_, i) => {
    const marks = [i + 1 === view.bounds.min && "floor", i + 1 === view.decision.desired && "wanted"].filter(Boolean);
    return element("i", { class_: ["cell", states[i] ?? "free", ...marks].join(" ") });
  });
  node.setAttribute("aria-label", `${ready} ready, ${starting} starting, ${draining} draining, ${view.decision.desired} wanted, at least ${view.bounds.min}, at most ${view.bounds.max}`);
  node.replaceChildren(...cells);
}

export function figures(view, sample) {
  const seen = view.decision?.seen;
  const rows = [
    ["Mean CPU", percent(seen?.mean_cpu), view.policy.thresholds.map((t) => `${t.label} ${percent(t.share)}`).join(", ")],
    ["Arrivals", rate(seen?.arrivals_per_s), seen?.work_s == null ? "" : `${millis(seen.work_s * 1000)} of work each`],
    ["Latency p99", millis(sample?.p99_ms), sample?.p50_ms == null ? "" : `half within ${millis(sample.p50_ms)}`],
    ["Waiting", count(sample?.waiting), sample?.in_flight == null ? "" : `${sample.in_flight} in flight`],
    ["Start lag", millis(seen?.start_lag_ms), seen ? (seen.start_lag_measured ? "measured" : "assumed") : ""],
  ];
  at("figures").replaceChildren(...rows.map(([name, value, more]) => element("div", {},
    element("dt", { text: name }), element("dd", { text: value }), element("dd", { class_: "more", text: more }))));
}

const STATES = { ready: "●", starting: "◐", draining: "◌", stopping: "×" };

export function replicas(view) {
  const rows = view.replicas.map((replica) => element("tr", {},
    element("th", { scope: "row", text: replica.id }),
    element("td", { class_: `state ${replica.state}` },
      element("span", { class_: "shape", "aria-hidden": "true", text: STATES[replica.state] }), ` ${replica.state}`),
    element("td", { class_: "number", text: lasting(view.now_wall_ms - replica.asked_wall_ms) }),
    element("td", { class_: "number" }, cpu(replica.cpu)),
    element("td", { class_: "number", text: count(replica.in_flight) }),
    element("td", { class_: "wide", text: replica.address ?? "–" })));
  at("replicas").replaceChildren(...rows);
  at("no-replicas").hidden = rows.length > 0;
}

function cpu(share) {
  const bar = element("span", { class_: "bar", "aria-hidden": "true" }, element("i"));
  bar.firstChild.style.width = `${Math.min(100, (share ?? 0) * 100)}%`;
  return element("span", { class_: "cpu" }, bar, percent(share));
}

// Decisions that leave the count and do the same kind of thing one after another are one item.
function runs(told) {
  const items = [];
  for (const one of told) {
    const does = direction(one.decision).way === "same" ? kindsOf(one.decision.plan) : null;
    const last = items.at(-1);
    if (does != null && last?.does === does) last.times += 1;
    else items.push({ told: one, does, times: 1 });
  }
  return items;
}

// Keeps the items it has, so that focus and scrolling stay where they are.
export function decisions(told, open) {
  const list = at("decisions");
  const known = new Map([...list.children].map((item) => [item.dataset.key, item]));
  const items = runs(told).map((run) => known.get(keyOf(run)) ?? decisionItem(run, open));
  if (items.length !== list.children.length || items.some((item, i) => list.children[i] !== item)) {
    const focused = document.activeElement;
    list.replaceChildren(...items);
    if (list.contains(focused)) focused.focus();
  }
  at("no-decisions").hidden = items.length > 0;
}

const keyOf = (run) => `${run.told.decision.wall_ms} ${run.times}`;

function decisionItem(run, open) {
  const { way, shape, words } = direction(run.told.decision);
  const wallMs = run.told.decision.wall_ms;
  const button = element("button", { type: "button", class_: `decision ${way}` },
    element("time", { datetime: new Date(wallMs).toISOString(), text: clock(wallMs) }));
  if (way !== "same") {
    button.append(element("span", { class_: "change" },
      element("span", { class_: "shape", "aria-hidden": "true", text: shape }), ` ${words}`));
  }
  const before = run.times > 1 ? `, and ${run.times - 1} such before` : "";
  button.append(element("span", { class_: "reason", text: reasonOf(run.told) + before }));
  button.addEventListener("click", () => open(run.told));
  return element("li", { "data-key": keyOf(run) }, button);
}

export function explanation(told) {
  setText("explanation-title", `${told.decision.service}, ${clock(told.decision.wall_ms)}`);
  setText("explanation-why", told.why);
  setText("explanation-text", told.text);
  at("explanation").showModal();
}

export function picker(names, chosen) {
  at("picker").hidden = names.length < 2;
  const select = at("service");
  if ([...select.options].map((o) => o.value).join("\n") !== names.join("\n")) {
    select.replaceChildren(...names.map((name) => element("option", { value: name, text: name })));
  }
  select.value = chosen;
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
