// The page of a flyball that stands by: who acts instead, and what this one would look after. Knows
// neither the network nor the other pages.

import { at, element, setText } from "./parts.js";
import { clock, lasting } from "./words.js";

export function standby(office, views) {
  document.title = "stands by · flyball";
  setText("standby-title", office.leader == null ? "This flyball stands by, and nobody acts" : "This flyball stands by");
  at("standby-notices").replaceChildren(...items(office));
  at("standby-services").replaceChildren(...views.map((view) => element("tr", {},
    element("th", { scope: "row", text: view.name }),
    element("td", { text: view.engine }), element("td", { text: view.balancer }),
    element("td", { class_: "number", text: `${view.bounds.min} to ${view.bounds.max}` }))));
  at("no-standby-services").hidden = views.length > 0;
}

function items(office) {
  const all = [];
  if (office.leader != null) {
    const since = office.since_wall_ms == null ? "" : `since ${clock(office.since_wall_ms)} (${lasting(office.now_wall_ms - office.since_wall_ms)}), term ${office.term}`;
    all.push(item("calm", "stands_by", "◇", [...named(office.leader), " acts"], since));
  } else {
    all.push(item("pressing", "nobody_acts", "!", ["nobody acts: replicas stay as they are"], ""));
  }
  if (office.trouble != null) all.push(item("pressing", "trouble", "!", [`this may be out of date: ${office.trouble}`], ""));
  return all;
}

// "http://10.0.0.1:7878/ on a", its address as a link.
function named(leader) {
  const [address, ...rest] = leader.split(" ");
  if (!/^https?:\/\//.test(address)) return [leader];
  return [element("a", { href: address, text: address, rel: "noreferrer" }), ["", ...rest].join(" ")];
}

function item(class_, kind, shape, parts, when) {
  return element("li", { class_, "data-kind": kind },
    element("span", { class_: "shape", "aria-hidden": "true", text: shape }),
    element("span", {}, ...parts), element("span", { class_: "when", text: when }));
}
