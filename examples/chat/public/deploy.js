/** The button that deploys, how far that is, and what it was to this tab. */
import { byId, element } from './dom.js'
import { note } from './timeline.js'

const button = byId('deploy')
const status = byId('deploy-status')
const bar = byId('deploy-progress')

/** The deploy under way, and this tab as it was when that began. */
let current
let before

/** `press` is called for each press, also while a deploy is under way. */
export function startDeploys(press) {
  button.addEventListener('click', press)
}

/** The worker that is being exchanged, and how far it is. */
export function changing() {
  return current && { worker: current.worker, phase: current.phase }
}

/** `tab` tells this tab as it is: its connection, and the process at the other end. */
export function showDeploy(deploy, tab) {
  if (deploy.state === 'running') {
    if (current?.release !== deploy.release) before = tab
    current = deploy
    // How far it is can be seen, and is not read out at each step.
    const counted = element('span', { 'aria-hidden': 'true' }, ` · ${deploy.done} of ${deploy.total}`)
    if (status.textContent === '') status.append(`Deploying release ${deploy.release}`, counted)
    else status.lastElementChild.replaceWith(counted)
    bar.max = deploy.total
    bar.value = deploy.done
    bar.hidden = false
    button.textContent = `Deploying …`
    return
  }
  if (deploy.state === 'failed') note(`Release ${deploy.release} is not deployed. ${deploy.reason}`)
  else note(`Release ${deploy.release} is live. ${becomeOf(tab)}`.trim())
  endDeploy()
}

/** It is over, or this tab has lost sight of it. */
export function endDeploy() {
  current = undefined
  before = undefined
  status.replaceChildren()
  bar.hidden = true
  button.textContent = 'Deploy'
}

function becomeOf(tab) {
  // One that came meanwhile, or anew, has nothing to compare with.
  if (before?.connection !== tab.connection) return ''
  return `This tab went from pid ${before.pid} to pid ${tab.pid}, and kept its connection.`
}
