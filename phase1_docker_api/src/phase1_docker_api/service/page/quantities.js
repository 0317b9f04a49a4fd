// Numbers as people read and type them, in the language and the unit of area they chose; the service gets sqft.

export const LOCALES = { en: "en-US", id: "id-ID" };
const SQUARE_METRES_A_SQFT = 0.09290304;
const SIGNS = { sqft: "sqft", m2: "m²" };

/** The sign of the unit of area chosen; other quantities need none in a field. */
export function sign(unit, shown) {
  return unit === "sqft" ? SIGNS[shown.areas] : "";
}

/** From what the service means to what is shown, in the unit chosen. */
export function toShown(value, unit, shown) {
  return unit === "sqft" && shown.areas === "m2" ? value * SQUARE_METRES_A_SQFT : value;
}

/** From what was typed to what the service means; a hundredth of a sqft is finer than any survey. */
export function fromShown(value, unit, shown) {
  return unit === "sqft" && shown.areas === "m2" ? Math.round((value / SQUARE_METRES_A_SQFT) * 100) / 100 : value;
}

/** Write a value of the service in the unit and the separators chosen, without its sign. */
export function number(value, unit, shown, rounding = {}) {
  return digits(toShown(value, unit, shown), unit, shown, { useGrouping: unit !== "year", ...rounding });
}

/** Write a value of the service with its sign. */
export function quantity(value, unit, shown, rounding = {}) {
  const behind = { sqft: `\u00a0${sign(unit, shown)}`, degrees: "°" };
  return `${number(value, unit, shown, rounding)}${behind[unit] ?? ""}`;
}

/** Write a number as one would type it into a field. */
export function typed(value, unit, shown) {
  return digits(toShown(value, unit, shown), unit, shown, { useGrouping: false });
}

function digits(value, unit, shown, options) {
  const decimals = unit === "sqft" ? Number(shown.areas === "m2" && value < 1000) : 4;
  return new Intl.NumberFormat(LOCALES[shown.language], { maximumFractionDigits: decimals, ...options }).format(value);
}

/**
 * Read a number as it is typed in this language, or give null.
 *
 * A point or comma parts thousands only where the groups are right and the field can hold thousands (`most`);
 * else it is a decimal sign, whatever the language: so 0.75 is never 75, and 47.661 degrees are never 47,661.
 */
export function parseNumber(text, language, most) {
  const [group, decimal] = language === "id" ? [".", ","] : [",", "."];
  const compact = text.replace(/\s/g, "").replace("−", "-");
  const grouped = new RegExp(`^-?[1-9]\\d{0,2}(\\${group}\\d{3})+(\\${decimal}\\d*)?$`);
  const plain = most >= 1000 && grouped.test(compact) ? compact.replaceAll(group, "") : compact;
  return /^-?(\d+[.,]?\d*|[.,]\d+)$/.test(plain) ? Number(plain.replace(",", ".")) : null;
}

/** USD to three significant digits: the interval makes any more of them a pretence. */
export function usd(value, shown) {
  const style = { style: "currency", currency: "USD", maximumFractionDigits: 0 };
  return new Intl.NumberFormat(LOCALES[shown.language], style).format(Number(value.toPrecision(3)));
}

export function percent(share, shown) {
  return new Intl.NumberFormat(LOCALES[shown.language], { style: "percent" }).format(share);
}

export function count(value, shown) {
  return new Intl.NumberFormat(LOCALES[shown.language]).format(value);
}

/** A day such as 2011-12-31 as its month and year, whatever the time zone. */
export function month(day, shown) {
  const style = { month: "long", year: "numeric", timeZone: "UTC" };
  return new Intl.DateTimeFormat(LOCALES[shown.language], style).format(new Date(`${day}T00:00:00Z`));
}
