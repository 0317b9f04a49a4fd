// Asks the service what it needs to know, sends it the house, and shows what it answers.

import { estimateParts, estimateTold, trustParts } from "./answer.js";
import { element } from "./elements.js";
import { fieldsOf } from "./fields.js";
import { TEXTS, text } from "./texts.js";

const PATIENCE_MS = 15_000;
const $ = (id) => document.getElementById(id);

// All that the page shows follows from this; `shown` is the language and the unit of area.
const state = { shown: chosen(), schema: null, card: null, fields: [], asked: {}, answer: null, failure: null };

start();

async function start() {
  for (const [name, value] of Object.entries(state.shown)) $("choices").elements[name].value = value;
  $("choices").addEventListener("change", choose);
  $("house").addEventListener("submit", ask);
  $("example").addEventListener("click", fillExample);
  show();
  await load();
}

/** Fetch the schema and the card, and make the form of them. */
async function load() {
  const answers = await Promise.all([request("openapi.json"), request("model")]);
  state.failure = answers.find((answer) => answer.failure)?.failure ?? null;
  if (state.failure) {
    state.failure.again = load;
    show();
    $("failure").focus();
    return;
  }
  [state.schema, state.card] = [answers[0].body.components.schemas.House, answers[1].body];
  state.fields = fieldsOf(state.schema, state.card);
  for (const field of state.fields) $(field.required ? "required" : "optional").append(field.element);
  $("more").hidden = state.fields.every((field) => field.required);
  $("house").hidden = false;
  show();
}

/** Send the house; only the last of several requests counts. */
async function ask(event) {
  event.preventDefault();
  const values = state.fields.map((field) => [field.name, field.value(state.shown)]);
  const asked = Object.fromEntries(values.filter(([, value]) => value !== undefined));
  state.asked = asked;
  $("estimate").setAttribute("aria-busy", "true");
  const { body, failure } = await request("predict", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(asked),
  });
  if (state.asked !== asked) return;
  $("estimate").removeAttribute("aria-busy");
  [state.answer, state.failure] = [failure ? null : body, failure];
  show();
  if (failure) showFirstProblem();
  else bringIntoView();
}

/** Ask the service; give its body, or a failure that can be told. */
async function request(path, options = {}) {
  try {
    const answer = await fetch(path, { ...options, signal: AbortSignal.timeout(PATIENCE_MS) });
    const body = await answer.json().catch(() => null);
    if (answer.ok && body) return { body, failure: null };
    const failure = { status: answer.status, problems: body?.problems ?? [], wait: answer.headers.get("Retry-After") };
    return { failure };
  } catch {
    return { failure: { status: null, problems: [] } }; // no answer at all, or not in time
  }
}

function choose(event) {
  const before = { ...state.shown };
  state.shown[event.target.name] = event.target.value;
  remember(event.target.name, event.target.value);
  for (const field of state.fields) field.rewrite(before, state.shown);
  show();
}

function fillExample() {
  const example = state.schema.examples?.[0] ?? {};
  for (const field of state.fields) if (field.name in example) field.fill(example[field.name], state.shown);
}

/** Show the state, in the language and the unit chosen. */
function show() {
  const { language } = state.shown;
  const parts = (kind) => document.querySelectorAll(`[data-${kind}]`);
  document.documentElement.lang = language;
  document.title = text(language, "page.title");
  for (const part of parts("text")) part.textContent = text(language, part.dataset.text);
  for (const part of parts("label")) part.setAttribute("aria-label", text(language, part.dataset.label));
  for (const field of state.fields) field.describe(state.shown);
  showProblems();
  if (!state.card) return;
  $("estimate").replaceChildren(...estimateParts(state));
  $("trust").replaceChildren(...trustParts(state));
  $("told").textContent = estimateTold(state);
}

/** Tell each problem at its field, and what no field can tell at the top. */
function showProblems() {
  const { failure, fields, asked, shown } = state;
  for (const field of fields) {
    const problem = failure?.problems.find(({ field: name }) => name === field.name);
    const reason = problem && field.reason(asked[field.name], shown);
    if (problem && !reason) field.complain(`${problem.problem}. ${problem.hint}`, "en");
    else field.complain(reason);
  }
  $("failure").replaceChildren(...(failure ? failureParts(failure) : []));
}

function failureParts(failure) {
  const parts = [element("p", {}, failureInWords(failure))];
  if (failure.again) {
    const button = element("button", { type: "button", class: "plain" }, text(state.shown.language, "failure.again"));
    button.addEventListener("click", failure.again);
    parts.push(button);
  }
  if (failure.problems.length) parts.push(said(failure.problems));
  return parts;
}

/** How many fields of the form are faulty. */
function faulty({ problems }) {
  return problems.filter(({ field }) => state.fields.some(({ name }) => name === field)).length;
}

function failureInWords(failure) {
  const say = (key, values) => text(state.shown.language, key, values);
  const { status, wait } = failure;
  const number = faulty(failure);
  if (status === null) return say("failure.unreachable");
  if (status === 503) return wait ? say("failure.busy_for", { seconds: wait }) : say("failure.busy");
  if (status === 413) return say("failure.too_large");
  if (status !== 422 || !number) return say("failure.other", { status });
  return number === 1 ? say("failure.field") : say("failure.fields", { number });
}

/** The service's own words, for those who want to know what the page was told. */
function said(problems) {
  const lines = problems.map(({ field, problem, hint }) =>
    element("li", {}, element("code", {}, field), ` ${problem} (${hint})`),
  );
  const summary = element("summary", {}, text(state.shown.language, "failure.said"));
  return element("details", {}, summary, element("ul", { lang: "en" }, ...lines));
}

function showFirstProblem() {
  const first = state.fields.find(({ input }) => input.hasAttribute("aria-invalid"));
  if (first && !first.required) $("more").open = true;
  (first?.input ?? $("failure")).focus();
}

/** On a narrow page the estimate lies below the button; go there, without motion for those who want none. */
function bringIntoView() {
  const { top } = $("estimate").getBoundingClientRect();
  if (top >= 0 && top < window.innerHeight * 0.6) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  $("estimate").scrollIntoView({ behavior: calm ? "auto" : "smooth" });
}

/** What was chosen here before; else the browser's language, and the unit that goes with it. */
function chosen() {
  const spoken = navigator.languages.map((tag) => tag.split("-")[0]).find((one) => one in TEXTS);
  const language = recall("language", Object.keys(TEXTS)) ?? spoken ?? "en";
  return { language, areas: recall("areas", ["sqft", "m2"]) ?? (language === "id" ? "m2" : "sqft") };
}

function recall(name, allowed) {
  try {
    const value = localStorage.getItem(`house.${name}`);
    return allowed.includes(value) ? value : null;
  } catch {
    return null; // a browser may forbid it
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(`house.${name}`, value);
  } catch {
    // Then it holds until the page is left.
  }
}
