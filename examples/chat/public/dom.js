/** The element with this id. */
export const byId = (id) => document.getElementById(id)

/**
 * Makes an element. What users wrote becomes text and attributes, never HTML. Props that are undefined are left out.
 */
export function element(tag, props = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(props)) {
    if (value !== undefined && value !== false) made.setAttribute(name, value === true ? '' : value)
  }
  made.append(...children)
  return made
}

/** One of eight colours, the same for a name in every tab. */
export function hueOf(name) {
  let hash = 0
  for (const character of name) hash = Math.imul(hash ^ character.codePointAt(0), 0x9e3779b1)
  return String(hash >>> 29)
}

/**
 * A round sign with the first letter of a name. It says nothing that the name beside it does not, so the letter is no
 * text for those who hear the page: the style writes it.
 */
export function avatar(name) {
  const [first = '?'] = name
  return element('span', {
    class: 'avatar',
    'data-hue': hueOf(name),
    'data-letter': first.toUpperCase(),
    'aria-hidden': 'true',
  })
}

/** A number that nobody else has. `crypto.randomUUID` is not there for a phone that comes by plain HTTP. */
export function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
