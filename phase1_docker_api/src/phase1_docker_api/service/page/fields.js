// The fields of the form, made from the service's own schema of a house and its model's card.

import { element } from "./elements.js";
import { fromShown, number, parseNumber, quantity, sign, toShown, typed } from "./quantities.js";
import { text } from "./texts.js";

/** One field for each one that the service requires or the model uses, the required ones first. */
export function fieldsOf(house, card) {
  const used = Object.keys(house.properties).filter((n) => house.required.includes(n) || card.fields.includes(n));
  const fields = used.map((name) => new Field(name, house.properties[name], house.required.includes(name), card));
  return fields.sort((a, b) => b.required - a.required);
}

class Field {
  constructor(name, property, required, card) {
    // What may be left out is stated as "this or null"; the limits stand beside the type.
    const schema = { ...property, ...property.anyOf?.find((one) => one.type !== "null") };
    Object.assign(this, { name, schema, required, unit: schema.unit });
    this.range = card.ranges[name];
    this.categories = schema.type === "boolean" ? ["true", "false"] : (card.categories[name] ?? []);
    this.isNumber = ["number", "integer"].includes(schema.type);
    this.label = element("label", { for: name });
    this.hint = element("p", { class: "quiet", id: `${name}-hint` });
    this.problem = element("p", { class: "problem", id: `${name}-problem` });
    this.sign = element("span", { class: "sign", "aria-hidden": "true" });
    this.input = this.categories.length ? this.#choice() : this.#line();
    this.input.setAttribute("aria-describedby", `${this.problem.id} ${this.hint.id}`);
    const control = element("div", { class: "control" }, this.input, this.sign);
    this.element = element("div", { class: "field" }, this.label, control, this.problem, this.hint);
  }

  #choice() {
    const options = ["", ...this.categories].map((value) => element("option", { value }));
    return element("select", { id: this.name, name: this.name, required: this.required }, ...options);
  }

  #line() {
    const { name, required, schema } = this;
    const keyboard = this.isNumber ? (schema.type === "integer" ? "numeric" : "decimal") : "text";
    const most = schema.maxLength ?? null;
    // A phone's number keys often lack the minus.
    const inputmode = schema.minimum < 0 ? "text" : keyboard;
    return element("input", { id: name, name, required, inputmode, maxlength: most, autocomplete: "off" });
  }

  /** Write what is beside the value in the language and unit chosen. */
  describe(shown) {
    const say = (key, values, otherwise) => text(shown.language, key, values, otherwise);
    this.sign.textContent = sign(this.unit, shown);
    const unseen = element("span", { class: "unseen" }, this.sign.textContent && ` (${this.sign.textContent})`);
    this.label.replaceChildren(this.title(shown), unseen);
    // A field that texts.js has no words for speaks with the service's.
    const known = say(`field.${this.name}`, {}, "") !== "";
    const remark = say(`hint.${this.name}`, {}, known ? "" : (this.schema.description ?? ""));
    this.hint.textContent = [this.#seen(shown), remark].filter(Boolean).join(" · ");
    for (const option of this.input.options ?? []) option.textContent = this.#option(option.value, shown);
  }

  title(shown) {
    return text(shown.language, `field.${this.name}`, {}, this.schema.title ?? this.name);
  }

  #seen(shown) {
    if (!this.range) return "";
    const [low, high] = this.range;
    const values = { low: number(low, this.unit, shown), high: quantity(high, this.unit, shown) };
    return text(shown.language, this.required ? "house.knows" : "house.seen", values);
  }

  #option(value, shown) {
    if (value === "") return text(shown.language, "house.unknown");
    return this.worded(this.schema.type === "boolean" ? value === "true" : value, shown);
  }

  /** A value of the service in words: 1,420 sqft, Yes, Townhouse. */
  worded(value, shown) {
    if (typeof value === "boolean") return text(shown.language, value ? "house.yes" : "house.no");
    if (typeof value === "number") return quantity(value, this.unit, shown);
    return text(shown.language, `value.${value}`, {}, value);
  }

  /** What to send: a number, a boolean, a text, or undefined for an empty field. What is no number goes as it is. */
  value(shown) {
    const written = this.input.value.trim();
    if (written === "") return undefined;
    if (this.schema.type === "boolean") return written === "true";
    if (!this.isNumber) return written;
    if (written === this.kept?.written) return this.kept.value;
    const most = toShown(this.schema.maximum ?? Infinity, this.unit, shown);
    const read = parseNumber(written, shown.language, most);
    return read === null ? written : fromShown(read, this.unit, shown);
  }

  /** Write a value into the field, and keep it: switching units back and forth must not wear it down. */
  fill(value, shown) {
    this.input.value = typeof value === "number" ? typed(value, this.unit, shown) : String(value ?? "");
    this.kept = { written: this.input.value, value };
  }

  /** Write the same value in another language or unit. */
  rewrite(before, shown) {
    const value = this.value(before);
    if (typeof value === "number") this.fill(value, shown);
  }

  /** Show what is wrong with the field, or nothing. */
  complain(message, language = null) {
    this.problem.textContent = message ?? "";
    this.problem.toggleAttribute("lang", false);
    if (language) this.problem.lang = language;
    if (message) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
  }

  /** Say why the service refused `value`, in the language and unit chosen; null where only the service knows. */
  reason(value, shown) {
    const say = (key, values) => text(shown.language, key, values);
    const { minimum, maximum, type } = this.schema;
    if (value === undefined) return say("problem.missing");
    if (!this.isNumber) return null;
    if (typeof value !== "number") return say("problem.number");
    const limit = (bound, roundingMode) => ({ limit: quantity(bound, this.unit, shown, { roundingMode }) });
    if (value < minimum) return say("problem.at_least", limit(minimum, "ceil"));
    if (value > maximum) return say("problem.at_most", limit(maximum, "floor"));
    return type === "integer" && !Number.isInteger(value) ? say("problem.whole") : null;
  }
}
