// What is promised does not depend on what messages travel over: the same tests, over pipes. Not those that look at the
// channel itself.
import './transport.js'
import './fidelity.test.js'
import './order.test.js'
import './flow.test.js'
import './killing.test.js'
import './leaving.test.js'
import './closing.test.js'
import './delegation.test.js'
