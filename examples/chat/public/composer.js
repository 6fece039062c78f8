/** Where messages are written: to everybody, or to one. */
import { byId, element, randomKey } from './dom.js'

/** While somebody writes, the others are told so this often, in milliseconds. */
const TYPING_EVERY = 1500

const form = byId('composer')
const text = byId('text')
const to = byId('to')
let toldAt = 0

/** `send` is given what was written; `typing` whom it is being written to. */
export function startComposer({ send, typing }) {
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const written = text.value.trim()
    if (written === '') return
    text.value = ''
    toldAt = 0
    fit()
    send({ text: written, to: to.value || undefined, key: randomKey() })
    text.focus()
  })
  text.addEventListener('keydown', (event) => {
    // While an input method composes, Enter is its own.
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault()
      form.requestSubmit()
    } else if (event.key === 'Escape') address('')
  })
  text.addEventListener('input', () => {
    fit()
    if (text.value === '' || Date.now() - toldAt < TYPING_EVERY) return
    toldAt = Date.now()
    typing(to.value || undefined)
  })
  to.addEventListener('change', showAddressee)
}

/** Writes to this person from now on; to everybody for an empty name. */
export function address(name) {
  if (name !== '' && ![...to.options].some(({ value }) => value === name)) to.append(option(name))
  to.value = name
  showAddressee()
  text.focus()
}

/** Offers these people. Who is being written to stays, even if gone meanwhile. */
export function offer(names) {
  const chosen = to.value
  const offered = chosen === '' || names.includes(chosen) ? names : [...names, chosen]
  to.replaceChildren(element('option', { value: '' }, 'Everybody'), ...offered.map(option))
  to.value = chosen
}

const option = (name) => element('option', { value: name }, name)

function showAddressee() {
  form.classList.toggle('direct', to.value !== '')
  text.placeholder = to.value === '' ? 'Write a message' : `Write to ${to.value} only`
}

/** As high as what is written in it, up to what the style allows. */
function fit() {
  text.style.height = 'auto'
  text.style.height = `${text.scrollHeight}px`
}
