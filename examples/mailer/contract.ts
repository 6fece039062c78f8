/** What the processes of this example say to each other. Types only: every file imports them, nothing runs. */

export interface Order {
  id: string
  email: string
  items: { name: string; quantity: number }[]
}

export interface Mail {
  to: string
  subject: string
  text: string
}

export interface Shop {
  events: {
    'order.created': (order: Order) => void
  }
  tasks: {
    'email.send': (mail: Mail) => { messageId: string }
  }
}
