// Build what is shown from parts, never from markup in strings: text of the service stays text.

/** Make an element; attributes that are null or false are left out. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Place an element by shares (0 to 1) of its parent's width; the policy allows this, but no style attribute. */
export function place(made, { left = null, width = null }) {
  if (left !== null) made.style.left = `${left * 100}%`;
  if (width !== null) made.style.width = `${width * 100}%`;
  return made;
}
