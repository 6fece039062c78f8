export { attachSocketIo } from './attach.js'
