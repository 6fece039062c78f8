/** The page: what comes is shown, what is entered is bid. */
export const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hubwire auction</title>
<style>
  body { max-width: 30em; margin: 2em auto; padding: 0 1em; font: 16px/1.5 system-ui, sans-serif; color-scheme: light dark }
  ol { padding: 0; list-style: none }
</style>
<h1>Auction</h1>
<p role="status" id="status">Connecting …</p>
<form id="form"><label>Your bid <input id="amount" type="number" min="1" value="1" required></label> <button>Bid</button></form>
<ol id="bids" aria-live="polite" aria-label="Bids"></ol>
<script>
  const socket = new WebSocket(location.origin.replace('http', 'ws'))
  const status = document.getElementById('status')
  socket.onmessage = ({ data }) => {
    const told = JSON.parse(data)
    if (told.you) status.textContent = 'You are ' + told.you + ', served by pid ' + told.pid + ' over one connection.'
    if (!told.by) return
    const item = document.createElement('li')
    item.textContent = told.n + '. ' + told.by + ' bids ' + told.amount
    document.getElementById('bids').prepend(item)
  }
  socket.onclose = ({ code, reason }) => { status.textContent = 'The connection is closed: ' + code + ' ' + reason }
  document.getElementById('form').onsubmit = (event) => {
    event.preventDefault()
    socket.send(document.getElementById('amount').value++)
  }
</script>
</html>
`
