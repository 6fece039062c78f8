/** The messages on the screen: each once, in the order of their ids, with notes of what happened to this tab. */
import { avatar, byId, element } from './dom.js'

/** Messages of one person that follow each other within so many milliseconds stand together. */
const TOGETHER = 120_000
/** A tab that stays open for weeks shows no more than these. */
const SHOWN = 1000

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })

const log = byId('log')
const list = byId('messages')
const newer = byId('newer')

/** Of what is shown: by id, and by the key of what was sent here and has no id yet. */
const shown = new Map()
const pending = new Map()
let me = ''
let last = 0

newer.addEventListener('click', toEnd)
log.addEventListener('scroll', () => {
  if (atEnd()) newer.hidden = true
})
// A keyboard that opens, or a composer that grows, must not hide what was in sight.
let wasAtEnd = true
log.addEventListener('scroll', () => {
  wasAtEnd = atEnd()
})
new ResizeObserver(() => wasAtEnd && toEnd()).observe(log)

export function setMe(name) {
  me = name
}

/** Shows what was missed while this tab was away, or before it came. */
export function showMissed({ messages, gap }) {
  // A screen reader is not to read out fifty messages at once.
  const quiet = list.childElementCount === 0
  if (quiet) log.setAttribute('aria-live', 'off')
  if (gap) note('Some messages may be missing here.')
  for (const message of messages) show(message)
  toEnd()
  if (quiet) requestAnimationFrame(() => requestAnimationFrame(() => log.setAttribute('aria-live', 'polite')))
}

/** Shows a message, unless it is shown already. */
export function show(message) {
  if (shown.has(message.id)) return
  const follow = atEnd() || message.from === me
  const sent = pending.get(message.key)
  if (sent && message.from === me) {
    // It has its place now: it moves there if others were faster.
    pending.delete(message.key)
    sent.remove()
  }
  const item = render(message)
  place(item, message.id)
  shown.set(message.id, item)
  last = Math.max(last, message.id)
  if (shown.size > SHOWN) dropOldest()
  if (follow) toEnd()
  else newer.hidden = false
}

/** Shows what is on its way to the server. Returns how to say that it did not arrive. */
export function showPending({ text, to, key }, tryAgain) {
  const item = render({ from: me, to, text, time: Date.now(), key })
  item.classList.add('pending')
  place(item, Number.MAX_SAFE_INTEGER)
  pending.set(key, item)
  toEnd()
  return (why) => {
    if (pending.get(key) !== item) return
    item.classList.replace('pending', 'failed')
    const again = element('button', { type: 'button', class: 'link' }, 'Try again')
    again.addEventListener('click', () => {
      pending.delete(key)
      item.remove()
      tryAgain()
    })
    item.querySelector('.meta').replaceChildren(`Not sent: ${why} `, again)
  }
}

/** Whether anything is still to be sent. */
export const waiting = () => pending.size > 0

/** A line about this tab, which nobody else sees. */
export function note(text) {
  const follow = atEnd()
  place(element('li', { class: 'note' }, element('span', {}, text)), last)
  if (follow) toEnd()
}

function render({ id, from, to, text, time, via, key, published }) {
  const mine = from === me && !published
  const when = new Date(time)
  const item = element('li', {
    class: `message${mine ? ' mine' : ''}${to === undefined ? '' : ' direct'}${published ? ' published' : ''}`,
    'data-from': JSON.stringify([from, to, published]),
    'data-time': String(time),
    'data-key': key,
    'data-message': id === undefined ? undefined : String(id),
  })
  const head = element('p', { class: 'head' }, element('span', { class: 'from' }, mine ? 'You' : from))
  if (to !== undefined) head.append(element('span', { class: 'tag' }, to === me ? 'to you only' : `to ${to} only`))
  if (published) head.append(element('span', { class: 'tag' }, 'by HTTP'))
  const meta = element('p', { class: 'meta' })
  if (id === undefined) meta.append('sending …')
  else {
    const title = when.toLocaleString()
    meta.append(element('time', { datetime: when.toISOString(), title }, clock.format(when)), ` · ${via}`)
  }
  item.append(
    avatar(from),
    element('div', { class: 'bubble' }, head, element('p', { class: 'text', dir: 'auto' }, text), meta),
  )
  return item
}

/** Puts an item before the first that has a higher id: nearly always at the end. */
function place(item, id) {
  item.dataset.id = String(id)
  let next = null
  for (let at = list.lastElementChild; at && Number(at.dataset.id) > id; at = at.previousElementSibling) next = at
  list.insertBefore(item, next)
  byId('empty').hidden = true
  for (const changed of [item, item.nextElementSibling]) changed?.classList.toggle('follows', follows(changed))
}

/** Whether a message stands directly below another one of the same person. */
function follows(item) {
  const before = item.previousElementSibling
  if (!before?.dataset.from || before.dataset.from !== item.dataset.from) return false
  return item.dataset.time - before.dataset.time < TOGETHER
}

function dropOldest() {
  const [id] = shown.keys()
  const item = shown.get(id)
  shown.delete(id)
  const next = item.nextElementSibling
  item.remove()
  next?.classList.remove('follows')
}

function atEnd() {
  return log.scrollHeight - log.scrollTop - log.clientHeight < 40
}

function toEnd() {
  log.scrollTop = log.scrollHeight
  newer.hidden = true
}
