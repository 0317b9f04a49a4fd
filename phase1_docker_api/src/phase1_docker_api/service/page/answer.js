// What the service answered, and how far its model is to be trusted, as parts of the page.

import { element, place } from "./elements.js";
import { count, month, percent, quantity, usd } from "./quantities.js";
import { text } from "./texts.js";

// Coverage may miss the level by chance; ten points on a year of sales is no chance.
const CHANCE = 0.1;

/** The estimate with its range drawn, what was assumed, and warnings; an invitation while there is none. */
export function estimateParts(state) {
  const { answer, card, shown } = state;
  const say = (key, values) => text(shown.language, key, values);
  const heading = element("h2", { id: "estimate-heading" }, say("estimate.heading"));
  if (!answer) return [heading, element("p", { class: "invitation" }, say("estimate.empty"))];
  const date = month(card.trained_until, shown);
  const { low, high, level } = inWords(answer, shown);
  return [
    heading,
    element("p", { class: "price" }, element("data", { value: answer.price_usd }, usd(answer.price_usd, shown))),
    element("p", { class: "quiet" }, say("estimate.as_of", { date })),
    band(answer, shown),
    element("p", {}, say("estimate.level", { level, low, high, date })),
    ...warningParts(state),
    ...assumedParts(state),
  ];
}

/** One sentence for those who cannot see the estimate appear. */
export function estimateTold({ answer, shown }) {
  return answer ? text(shown.language, "estimate.told", inWords(answer, shown)) : "";
}

/** The model's age, and its errors and coverage on the sales of each later year. */
export function trustParts({ card, shown }) {
  const say = (key, values) => text(shown.language, key, values);
  const trained = {
    sales: count(card.trained_sales, shown),
    from: month(card.trained_from, shown),
    until: month(card.trained_until, shown),
  };
  const years = card.scores.filter(({ request, period }) => request === "complete" && /^\d{4}$/.test(period));
  return [
    element("h2", { id: "trust-heading" }, say("trust.heading")),
    element("p", {}, say("trust.trained", trained)),
    element("p", { class: "verdict" }, verdict(years.at(-1), card, shown)),
    years.length ? record(years, card, shown) : null,
  ].filter(Boolean);
}

function inWords({ price_usd, interval_usd: { low, high, level } }, shown) {
  return { price: usd(price_usd, shown), low: usd(low, shown), high: usd(high, shown), level: percent(level, shown) };
}

/** The range on a scale from zero, as a band, with the estimate marked in it. */
function band(answer, shown) {
  const { price_usd: price, interval_usd: interval } = answer;
  const end = interval.high * 1.18; // room for the label at its upper end
  const label = text(shown.language, "estimate.drawn", { ...inWords(answer, shown), zero: usd(0, shown) });
  const range = { left: interval.low / end, width: (interval.high - interval.low) / end };
  const at = (value, name) => place(element("span", { class: name }, usd(value, shown)), { left: value / end });
  return element(
    "div",
    { class: "band", role: "img", "aria-label": label },
    element("span", { class: "scale" }),
    place(element("span", { class: "range" }), range),
    place(element("span", { class: "mark" }), { left: price / end }),
    element("span", { class: "end zero" }, usd(0, shown)),
    at(interval.low, "end"),
    at(interval.high, "end"),
  );
}

function warningParts({ answer, card, fields, asked, shown }) {
  if (!answer.warnings.length) return [];
  const items = answer.warnings.map((warning) => {
    const field = fields.find(({ name }) => name === warning.field);
    const words = { field: field?.title(shown), value: field?.worded(asked[warning.field], shown) };
    const [low, high] = (card.ranges[warning.field] ?? []).map((value) => quantity(value, field?.unit, shown));
    const known = field && text(shown.language, `warning.${warning.code}`, { ...words, low, high }, "");
    return known ? element("li", {}, known) : element("li", { lang: "en" }, warning.message);
  });
  return [
    element("h3", {}, text(shown.language, "warnings.heading")),
    element("ul", { class: "warnings" }, ...items),
  ];
}

function assumedParts({ answer, fields, shown }) {
  const assumed = Object.entries(answer.assumed);
  const heading = element("h3", {}, text(shown.language, "assumed.heading"));
  if (!assumed.length) return [heading, element("p", {}, text(shown.language, "assumed.none"))];
  const rows = assumed.map(([name, value]) => {
    const field = fields.find((one) => one.name === name);
    const words = field ? [field.title(shown), field.worded(value, shown)] : [name, String(value)];
    return element("div", {}, element("dt", {}, words[0]), element("dd", {}, words[1]));
  });
  return [
    heading,
    element("p", { class: "quiet" }, text(shown.language, "assumed.lead")),
    element("dl", {}, ...rows),
  ];
}

function fell(score, card) {
  return score.coverage < card.interval_level - CHANCE;
}

function verdict(latest, card, shown) {
  if (!latest) return text(shown.language, "trust.untested");
  const values = {
    year: latest.period,
    coverage: percent(latest.coverage, shown),
    level: percent(card.interval_level, shown),
    date: month(card.trained_until, shown),
  };
  return text(shown.language, fell(latest, card) ? "trust.fell" : "trust.held", values);
}

/** A table whose cells draw their figures: the bar of an error, and coverage beside the level it should reach. */
function record(years, card, shown) {
  const say = (key) => text(shown.language, key, { level: percent(card.interval_level, shown) });
  const worst = Math.max(...years.map((score) => score.median_abs_error_pct));
  const columns = ["trust.year", "trust.error", "trust.coverage"].map((key) =>
    element("th", { scope: "col" }, say(key)),
  );
  const rows = years.map((score) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, score.period),
      cell(percent(score.median_abs_error_pct / 100, shown), score.median_abs_error_pct / worst, "error"),
      cell(percent(score.coverage, shown), score.coverage, fell(score, card) ? "fell" : "held", card.interval_level),
    ),
  );
  return element(
    "table",
    {},
    element("caption", { class: "quiet" }, say("trust.caption")),
    element("thead", {}, element("tr", {}, ...columns)),
    element("tbody", {}, ...rows),
  );
}

function cell(words, share, name, level = null) {
  const bar = element("span", { class: `bar ${name}` }, place(element("span"), { width: share }));
  if (level !== null) bar.append(place(element("i"), { left: level }));
  return element("td", {}, element("span", { class: "figure" }, words), bar);
}
