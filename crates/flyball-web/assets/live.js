// Follows the event stream and passes the events on. Reconnects by itself where it left off, and
// reports when events were missed. Reads the stream itself, since a request may need a token.

import { Refusal, headers } from "./ask.js";

// The daemon is silent for 15 s at most.
const SILENCE_MS = 20_000;
const AGAIN_MS = 1_000;

// `told` gets each event's name and data; `state` gets null while connected, otherwise the error.
export async function follow(told, state) {
  let last = null;
  for (;;) {
    try {
      const quiet = new AbortController();
      const request = { headers: headers(last ? { "last-event-id": last } : {}), cache: "no-store", signal: quiet.signal };
      const response = await fetch("/api/v1/events", request);
      if (!response.ok) throw new Refusal(await response.json());
      state(null);
      for await (const event of events(response.body, quiet)) {
        last = event.id ?? last;
        told(event.name, JSON.parse(event.data));
      }
    } catch (error) {
      state(error);
    }
    await new Promise((resolve) => { setTimeout(resolve, AGAIN_MS); });
  }
}

async function* events(body, quiet) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const timer = setTimeout(() => quiet.abort(), SILENCE_MS);
    const { done, value } = await reader.read();
    clearTimeout(timer);
    if (done) return;
    const blocks = (text + value).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const event = parse(block);
      if (event.data) yield event;
    }
  }
}

function parse(block) {
  const event = { name: "message", data: "", id: null };
  for (const line of block.split("\n")) {
    const [field, value] = [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)];
    if (field === "event") event.name = value;
    if (field === "data") event.data += value;
    if (field === "id") event.id = value;
  }
  return event;
}
