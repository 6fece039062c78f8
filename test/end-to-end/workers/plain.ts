// Somebody's own cluster worker, which knows of no hub: tells how it was started, and what its channel makes of a map.
process.send?.({ argv: process.argv.slice(2), map: new Map([[1, 2]]), protocol: process.env.HUBWIRE_PROTOCOL })
process.once('message', () => process.exit(0))
