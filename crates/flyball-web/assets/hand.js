// Manual overrides, and the token that they may require.

import { ask, pathOf, present } from "./ask.js";
import * as panels from "./panels.js";
import { at } from "./parts.js";
import { current, took } from "./service.js";
import { clock } from "./words.js";

async function wish(part, body, done) {
  const headers = { "content-type": "application/json", "flyball-client": "dashboard" };
  try {
    const view = await ask(pathOf(current().name, part), { method: "POST", headers, body: JSON.stringify(body) });
    const until = view.manual?.until_wall_ms;
    const lasts = until == null || part.startsWith("/ro") || part === "/deploy" ? "" : ` until ${clock(until)}`;
    panels.said(`${done}${lasts}.`);
    delete at("count").dataset.touched;
    await took(view);
  } catch (error) {
    if (error.status !== 401) return panels.said(error.message, true);
    panels.said("Not done: a token is required.", true);
    askToken(() => wish(part, body, done));
  }
}

// Asks for the token once, then repeats the request that required it.
export function askToken(then) {
  if (at("asking").open) return;
  at("asking").showModal();
  at("token-form").onsubmit = (event) => {
    event.preventDefault();
    present(at("token").value.trim());
    at("token").value = "";
    at("asking").close();
    then();
  };
}

export function listen() {
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
  at("deploy").addEventListener("click", () => wish("/deploy", {}, "Deployed: replicas are replaced"));
  at("rollback").addEventListener("click", () => wish("/rollback", {}, "Rolled back to the generation before"));
  at("rollout-pause").addEventListener("click", () => (at("rollout-pause").dataset.paused
    ? wish("/rollout/resume", {}, "The rollout goes on") : wish("/rollout/pause", {}, "The rollout is paused")));
  at("resume").addEventListener("click", () => wish("/resume", {}, "The policy decides again"));
}
