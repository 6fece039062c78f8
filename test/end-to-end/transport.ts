// Imported before the tests that it is for: their hubs talk to the workers over pipes.
process.env.TEST_TRANSPORT = 'pipe'
