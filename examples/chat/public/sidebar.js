/** Who is online, and which workers there are. On a phone it opens over the messages. */
import { avatar, byId, element } from './dom.js'

const sidebar = byId('sidebar')
const toggle = byId('show-sidebar')

toggle.addEventListener('click', () => open(toggle.getAttribute('aria-expanded') !== 'true'))
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || toggle.getAttribute('aria-expanded') !== 'true') return
  open(false)
  toggle.focus()
})

export function open(wanted) {
  toggle.setAttribute('aria-expanded', String(wanted))
  sidebar.classList.toggle('open', wanted)
}

/** `choose` is called with the name of a person to write to. */
export function showPeople(names, me, choose) {
  byId('people-count').textContent = String(names.length)
  const list = byId('people')
  // Only what changed is touched, so that nobody loses the focus because somebody else came.
  const there = new Map([...list.children].map((item) => [item.dataset.name, item]))
  for (const [name, item] of there) if (!names.includes(name)) item.remove()
  names.forEach((name, index) => {
    const item = there.get(name) ?? person(name, name === me, choose)
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null)
  })
}

/** What a worker that is being exchanged is doing. */
const PHASES = { starting: 'next starts', draining: 'hands over' }

/** `changing`: the worker that is being exchanged at a deploy, and its phase. */
export function showWorkers(workers, mine, changing) {
  byId('workers').replaceChildren(
    ...workers.map(({ id, pid, state }) => {
      const phase = changing?.worker === id ? changing.phase : undefined
      const ready = state === 'ready'
      return element(
        'li',
        {
          'data-state': ready && phase ? 'changing' : state,
          'data-worker': id,
          'aria-current': id === mine ? 'true' : undefined,
        },
        element('span', { class: 'id' }, id),
        element('span', { class: 'detail' }, ready ? (PHASES[phase] ?? `pid ${pid}`) : state),
        ...(id === mine ? [element('span', { class: 'tag' }, 'serves you')] : []),
      )
    }),
  )
}

function person(name, isMe, choose) {
  if (isMe)
    return element(
      'li',
      { 'data-name': name },
      avatar(name),
      element('span', {}, name),
      element('span', { class: 'tag' }, 'you'),
    )
  const button = element(
    'button',
    { type: 'button', 'aria-label': `Write to ${name} only` },
    avatar(name),
    element('span', {}, name),
  )
  button.addEventListener('click', () => choose(name))
  return element('li', { 'data-name': name }, button)
}
