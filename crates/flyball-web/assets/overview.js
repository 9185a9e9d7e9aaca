// All services at a glance: which ones need attention, and what each does now. Each item links to
// its service page.

import { at, element, fillRail, isPressing, noticeItems, setText } from "./parts.js";
import { count, errorsPerS, millis, percent, rate } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [240, 44];

export function overview(views, samplesOf) {
  const needy = views.filter((view) => view.notices.some(isPressing));
  const services = views.length === 1 ? "1 service" : `${views.length} services`;
  const names = needy.slice(0, 3).map((view) => view.name).join(", ") + (needy.length > 3 ? ", ..." : "");
  const look = needy.length === 1 ? "needs attention" : "need attention";
  setText("overview-title", needy.length ? `${needy.length} of ${services} ${look}: ${names}` : `${services}, all well`);
  document.title = `${needy.length ? `${needy.length} ${look}` : services} · flyball`;
  const list = at("services");
  const known = new Map([...list.children].map((item) => [item.dataset.service, item]));
  const items = views.map((view) => known.get(view.name) ?? emptyItem(view.name));
  if (items.length !== list.children.length || items.some((item, i) => list.children[i] !== item)) list.replaceChildren(...items);
  views.forEach((view, i) => fill(items[i], view, samplesOf(view.name)));
  at("no-services").hidden = views.length > 0;
}

function emptyItem(name) {
  const link = element("a", { href: `#${new URLSearchParams({ service: name })}`, text: name });
  const curve = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "curve", role: "img" })) {
    curve.setAttribute(key, value);
  }
  return element("li", { class_: "card service", "data-service": name },
    element("div", { class_: "service-words" },
      element("h2", {}, link), element("p", { class_: "service-summary" }), element("p", { class_: "service-why" }),
      element("div", { class_: "rail", role: "img" }), element("ul", { class_: "notices" })),
    element("div", { class_: "service-load" }, curve, element("p", { class_: "curve-words" }), element("dl", { class_: "small-figures" })));
}

function fill(item, view, samples) {
  const part = (name) => item.querySelector(name);
  const set = (name, text) => { if (part(name).textContent !== text) part(name).textContent = text; };
  const { min, max } = view.bounds;
  set(".service-summary", `${view.summary}; ${min === max ? `always ${min}` : `${min} to ${max} allowed`}`);
  set(".service-why", view.why ?? "");
  fillRail(part(".rail"), view);
  part(".notices").replaceChildren(...noticeItems(view));
  const latest = samples.at(-1);
  const figures = [
    ["CPU", percent(view.decision?.signals.mean_cpu)], ["arrivals", rate(view.decision?.signals.arrivals_per_s)],
    ["errors", rate(errorsPerS(view.decision?.signals.last_minute))],
    ["p99", millis(latest?.p99_ms)], ["waiting", count(latest?.waiting)],
  ];
  part(".small-figures").replaceChildren(...figures.map(([name, value]) =>
    element("div", {}, element("dt", { text: name }), element("dd", { text: value }))));
  draw(part(".curve"), samples, view);
}

// Load as an area, wanted replicas as steps over it: each on a scale of its own.
function draw(curve, samples, view) {
  const [first, last] = [samples[0]?.wall_ms, samples.at(-1)?.wall_ms];
  const counted = samples.some((sample) => sample.arrivals_per_s != null);
  const load = (sample) => counted ? sample.arrivals_per_s : sample.mean_cpu;
  const words = `${counted ? "arrivals" : "mean CPU"} and wanted replicas, last 15 min`;
  curve.setAttribute("aria-label", words);
  curve.nextElementSibling.replaceChildren(
    element("i", { class_: "key load" }), counted ? "arrivals" : "mean CPU", element("i", { class_: "key wanted" }), "wanted replicas, last 15 min");
  if (first == null || last <= first) return curve.replaceChildren();
  const x = (sample) => ((sample.wall_ms - first) / (last - first) * WIDTH).toFixed(1);
  const highest = Math.max(1e-9, ...samples.map((sample) => load(sample) ?? 0));
  const y = (share) => (HEIGHT - 2 - Math.min(1, share) * (HEIGHT - 4)).toFixed(1);
  const areas = stretches(samples, load).map((all) => line("polygon", "load", [
    `${x(all[0])},${HEIGHT}`, ...all.map((s) => `${x(s)},${y(load(s) / highest)}`), `${x(all.at(-1))},${HEIGHT}`]));
  const wanted = (sample) => y(sample.desired / view.bounds.max);
  const steps = stretches(samples, (sample) => sample.desired).map((all) => line("polyline", "wanted",
    all.flatMap((s, i) => [...(i ? [`${x(s)},${wanted(all[i - 1])}`] : []), `${x(s)},${wanted(s)}`])));
  curve.replaceChildren(...areas, ...steps);
}

// Four points of the curve without a sample are time without measurements.
const HOLE_MS = 30_000;

// The samples in which there is a figure, as runs between the times in which there is none.
function stretches(samples, of) {
  const all = [[]];
  for (const sample of samples) {
    const last = all.at(-1).at(-1);
    const hole = last && sample.wall_ms - last.wall_ms > HOLE_MS;
    if ((hole || of(sample) == null) && all.at(-1).length > 0) all.push([]);
    if (of(sample) != null) all.at(-1).push(sample);
  }
  return all.filter((run) => run.length > 0);
}

function line(tag, name, points) {
  const node = document.createElementNS(SVG, tag);
  node.setAttribute("class", name);
  node.setAttribute("points", points.join(" "));
  return node;
}
