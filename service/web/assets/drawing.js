// What pictures are made of.

const SVG = "http://www.w3.org/2000/svg";

/** Adds an element to `parent`, with its attributes and its text, and returns it. */
export function element(parent, name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}
