// Calls the API and passes on its errors. Keeps the token until the page is closed.

const ANSWER_MS = 5_000;

let token = null;

export class Refusal extends Error {
  constructor(problem) {
    super(problem.detail ?? problem.title ?? `status ${problem.status}`);
    this.status = problem.status;
  }
}

export function present(secret) {
  token = secret;
}

// Headers for any request: the token, once it was entered.
export function headers(more = {}) {
  return token ? { ...more, authorization: `Bearer ${token}` } : more;
}

export async function ask(path, request = {}) {
  const response = await fetch(path, {
    ...request, headers: headers(request.headers), cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS),
  });
  const answer = await response.json();
  if (!response.ok) throw new Refusal(answer);
  return answer;
}

export const pathOf = (service, part = "") => `/api/v1/services/${encodeURIComponent(service)}${part}`;
