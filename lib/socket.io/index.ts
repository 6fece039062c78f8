export { type Handover, handoverOf } from './arrivals.js'
export { type AttachOptions, attachSocketIo } from './attach.js'
