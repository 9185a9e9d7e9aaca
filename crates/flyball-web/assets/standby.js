// The page of a flyball on standby: who is the leader, and what this one would scale. Knows
// neither the network nor the other pages.

import { at, element, setText } from "./parts.js";
import { clock, lasting } from "./words.js";

export function standby(leadership, views) {
  document.title = "standby · flyball";
  setText("standby-title", leadership.leader == null ? "This flyball is on standby, and there is no leader" : "This flyball is on standby");
  at("standby-notices").replaceChildren(...items(leadership));
  at("standby-services").replaceChildren(...views.map((view) => element("tr", {},
    element("th", { scope: "row", text: view.name }),
    element("td", { text: view.engine }), element("td", { text: view.balancer }),
    element("td", { class_: "number", text: `${view.bounds.min} to ${view.bounds.max}` }))));
  at("no-standby-services").hidden = views.length > 0;
}

function items(leadership) {
  const all = [];
  if (leadership.leader != null) {
    const since = leadership.since_wall_ms == null ? "" : `since ${clock(leadership.since_wall_ms)} (${lasting(leadership.now_wall_ms - leadership.since_wall_ms)}), term ${leadership.term}`;
    all.push(item("calm", "standby", "◇", [...named(leadership.leader), " is the leader"], since));
  } else {
    all.push(item("pressing", "no_leader", "!", ["no leader: replicas stay as they are"], ""));
  }
  if (leadership.trouble != null) all.push(item("pressing", "trouble", "!", [`this may be out of date: ${leadership.trouble}`], ""));
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
